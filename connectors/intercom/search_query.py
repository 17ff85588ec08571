"""The query language of Intercom's searches: groups of conditions over fields of known types. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Any

MOST_FILTERS = 15
MOST_LEVELS = 2
MOST_PER_PAGE = 150

_EQUAL = ("=", "!=", "IN", "NIN")
_ORDER = (">", "<")
_TEXT = ("~", "!~", "^", "$")
_OPERATORS: Mapping[str, Sequence[str]] = {
    "string": (*_EQUAL, *_TEXT),
    "boolean": ("=", "!="),
    "integer": (*_EQUAL, *_ORDER),
    "date": (*_EQUAL, *_ORDER),
    "day": ("=", *_ORDER),
}
_TYPES: Mapping[str, type] = {"string": str, "boolean": bool, "integer": int, "date": int, "day": int}

CONVERSATION_FIELDS: Mapping[str, str] = {
    "id": "string",
    "created_at": "date",
    "updated_at": "date",
    "source.type": "string",
    "source.id": "string",
    "source.delivered_as": "string",
    "source.subject": "string",
    "source.author.id": "string",
    "source.author.type": "string",
    "source.author.email": "string",
    "contact_ids": "string",
    "admin_assignee_id": "integer",
    "team_assignee_id": "integer",
    "open": "boolean",
    "read": "boolean",
    "state": "string",
    "priority": "string",
    "statistics.time_to_last_close": "integer",
    "statistics.first_close_at": "date",
    "statistics.last_close_at": "date",
    "conversation_rating.score": "integer",
}
CONTACT_FIELDS: Mapping[str, str] = {
    "id": "string",
    "role": "string",
    "name": "string",
    "email": "string",
    "external_id": "string",
    "created_at": "day",
    "updated_at": "day",
    "signed_up_at": "day",
    "last_seen_at": "day",
    "last_replied_at": "day",
    "unsubscribed_from_emails": "boolean",
    "has_hard_bounced": "boolean",
}
_PATHS = {"contact_ids": ("contacts", "contacts"), "conversation_rating.score": ("conversation_rating", "rating")}


class QueryError(Exception):
    """A search that Intercom refuses with 400."""


Row = Mapping[str, Any]
Matches = Callable[[Row], bool]


@dataclass(frozen=True, slots=True)
class Search:
    """What a search asks for.

    Everything that matches was updated from `low` to `high`, both included; where `bounds_only`, that is all of it.
    """

    matches: Matches
    low: int
    high: int
    bounds_only: bool
    descending: bool
    per_page: int
    starting_after: str | None


def parse(asked: Any, fields: Mapping[str, str], zone: tzinfo, default_per_page: int) -> Search:
    """Reads a search's body. Fields of type `day` are compared by calendar day in `zone`.

    Raises:
        QueryError: Intercom does not take it.
    """
    if not isinstance(asked, Mapping) or not isinstance(asked.get("query"), Mapping):
        raise QueryError("A query is required.")
    query = asked["query"]
    low, high, bounds_only = _bounds(query, fields)
    sort, pagination = asked.get("sort") or {}, asked.get("pagination") or {}
    if not isinstance(sort, Mapping) or not isinstance(pagination, Mapping):
        raise QueryError("sort and pagination are objects.")
    if sort.get("field", "updated_at") != "updated_at" or sort.get("order", "descending") not in (
        "ascending",
        "descending",
    ):
        raise QueryError("This simulator sorts by updated_at, ascending or descending.")
    per_page = pagination.get("per_page") or default_per_page
    if not isinstance(per_page, int) or not 1 <= per_page <= MOST_PER_PAGE:
        raise QueryError(f"per_page must be between 1 and {MOST_PER_PAGE}")
    after = pagination.get("starting_after")
    return Search(
        matches=_compiled(query, fields, zone, 1),
        low=low,
        high=high,
        bounds_only=bounds_only,
        descending=sort.get("order", "descending") == "descending",
        per_page=per_page,
        starting_after=None if after is None else str(after),
    )


def _compiled(node: Any, fields: Mapping[str, str], zone: tzinfo, level: int) -> Matches:
    if not isinstance(node, Mapping):
        raise QueryError("A filter is an object.")
    if node.get("operator") in ("AND", "OR"):
        members = node.get("value")
        if level > MOST_LEVELS:
            raise QueryError(f"Filters can be nested {MOST_LEVELS} levels deep at most.")
        if not isinstance(members, list) or not 1 <= len(members) <= MOST_FILTERS:
            raise QueryError(f"A group has from 1 to {MOST_FILTERS} filters.")
        parts = [_compiled(one, fields, zone, level + 1) for one in members]
        joined = all if node["operator"] == "AND" else any
        return lambda row: joined(part(row) for part in parts)
    field, operator, value = node.get("field"), node.get("operator"), node.get("value")
    kind = fields.get(field) if isinstance(field, str) else None
    if kind is None or not isinstance(field, str):
        raise QueryError(f"Field '{field}' is not searchable.")
    if operator not in _OPERATORS[kind]:
        raise QueryError(f"Operator '{operator}' is not supported for the field '{field}'.")
    listed = operator in ("IN", "NIN")
    values = value if listed else [value]
    if not isinstance(values, list) or not all(_fits(one, kind) for one in values):
        raise QueryError(f"The value of '{field}' is not of its type.")
    path = _PATHS.get(field, tuple(field.split(".")))
    test = _day_test(str(operator), value, zone) if kind == "day" else _test(str(operator), value)
    return lambda row: test(_found(row, path))


def _fits(value: Any, kind: str) -> bool:
    return value is None or (isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool)))


def _test(operator: str, value: Any) -> Callable[[list[Any]], bool]:
    tests: Mapping[str, Callable[[list[Any]], bool]] = {
        "=": lambda found: value in found,
        "!=": lambda found: value not in found,
        "IN": lambda found: any(one in value for one in found),
        "NIN": lambda found: not any(one in value for one in found),
        # Both are inclusive, whatever they look like.
        ">": lambda found: any(one is not None and one >= value for one in found),
        "<": lambda found: any(one is not None and one <= value for one in found),
        "~": lambda found: any(one is not None and value.lower() in one.lower() for one in found),
        "!~": lambda found: not any(one is not None and value.lower() in one.lower() for one in found),
        "^": lambda found: any(one is not None and one.startswith(value) for one in found),
        "$": lambda found: any(one is not None and one.endswith(value) for one in found),
    }
    return tests[operator]


def _day_test(operator: str, value: int | None, zone: tzinfo) -> Callable[[list[Any]], bool]:
    def day(second: int) -> date:
        return datetime.fromtimestamp(second, zone).date()

    if value is None:
        return lambda found: operator == "=" and None in found
    asked = day(value)
    tests: Mapping[str, Callable[[int], bool]] = {
        "=": lambda second: day(second) == asked,
        ">": lambda second: day(second) > asked,
        "<": lambda second: day(second) < asked,
    }
    return lambda found: any(one is not None and tests[operator](one) for one in found)


def _found(row: Any, path: Sequence[str]) -> list[Any]:
    """The values at a path; of a list of objects their ids."""
    for name in path:
        row = row.get(name) if isinstance(row, Mapping) else None
    return [one["id"] for one in row] if isinstance(row, list) else [row]


def _bounds(query: Mapping[str, Any], fields: Mapping[str, str]) -> tuple[int, int, bool]:
    """The `updated_at` that a query of exact times leaves, and whether it says nothing else."""
    low, high, others = 0, 2**62, 0
    members = query.get("value") if query.get("operator") == "AND" else [query]
    for one in members if isinstance(members, list) else []:
        exact = isinstance(one, Mapping) and one.get("field") == "updated_at" and fields.get("updated_at") == "date"
        value = one.get("value") if exact else None
        if isinstance(value, int) and one.get("operator") == ">":
            low = max(low, value)
        elif isinstance(value, int) and one.get("operator") == "<":
            high = min(high, value)
        else:
            others += 1
    return low, high, not others
