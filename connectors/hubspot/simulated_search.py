"""HubSpot's object search: what a request may ask, and the rows that match. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from connectors.hubspot.simulated_objects import Shelf
from connectors.simulation.calendar import epoch
from connectors.simulation.world import Ints

DEEPEST = 10_000
"""A search gives no object beyond this place."""

_MOST, _DEFAULT = 200, 10
_GROUPS, _FILTERS = 5, 6

Mask = npt.NDArray[np.bool_]


class SearchError(Exception):
    """A search that HubSpot refuses with 400."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition; `values` are its operands as text."""

    name: str
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A checked request: groups are alternatives, the filters of a group hold together."""

    groups: Sequence[Sequence[Filter]]
    sort: str
    descending: bool
    properties: Sequence[str]
    limit: int
    offset: int


_COMPARISONS: Mapping[str, Callable[[Any, Sequence[Any]], Any]] = {
    "EQ": lambda actual, values: actual == values[0],
    "NEQ": lambda actual, values: actual != values[0],
    "LT": lambda actual, values: actual < values[0],
    "LTE": lambda actual, values: actual <= values[0],
    "GT": lambda actual, values: actual > values[0],
    "GTE": lambda actual, values: actual >= values[0],
    "BETWEEN": lambda actual, values: (actual >= values[0]) & (actual <= values[1]),
}
_OTHERS = ("IN", "NOT_IN", "HAS_PROPERTY", "NOT_HAS_PROPERTY", "CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN")


def parse(body: Any) -> SearchRequest:
    """Reads a request.

    Raises:
        SearchError: HubSpot would refuse it.
    """
    if not isinstance(body, dict):
        raise SearchError("Invalid input JSON")
    groups = [[_filter(one) for one in group.get("filters", ())] for group in body.get("filterGroups") or ()]
    if len(groups) > _GROUPS or any(len(group) > _FILTERS for group in groups):
        raise SearchError(f"At most {_GROUPS} filter groups of {_FILTERS} filters are allowed.")
    sorts = body.get("sorts") or ()
    if len(sorts) > 1:
        raise SearchError("Only one sort is allowed.")
    sort = sorts[0] if sorts else {"propertyName": "createdate", "direction": "ASCENDING"}
    if isinstance(sort, str):
        sort = {"propertyName": sort.lstrip("-"), "direction": "DESCENDING" if sort.startswith("-") else "ASCENDING"}
    limit, after = body.get("limit", _DEFAULT), str(body.get("after") or "0")
    if not isinstance(limit, int) or not 0 < limit <= _MOST:
        raise SearchError(f"limit must be from 1 to {_MOST}.")
    if not after.isdigit():
        raise SearchError("after must be an integer.")
    if int(after) + limit > DEEPEST:
        raise SearchError(f"after + limit must not exceed {DEEPEST}.")
    return SearchRequest(
        groups,
        str(sort.get("propertyName")),
        sort.get("direction") == "DESCENDING",
        tuple(body.get("properties") or ()),
        limit,
        int(after),
    )


def _filter(one: Any) -> Filter:
    name, operator = one.get("propertyName"), one.get("operator")
    if not isinstance(name, str) or operator not in (*_COMPARISONS, *_OTHERS):
        raise SearchError(f"Invalid operator {operator} for property {name}.")
    values = one.get("values", [one[key] for key in ("value", "highValue") if key in one])
    if not all(isinstance(value, str) for value in values):
        raise SearchError(f"Values for property {name} must be strings.")
    wanted = 2 if operator == "BETWEEN" else 0 if operator.endswith("HAS_PROPERTY") else 1
    if len(values) < wanted:
        raise SearchError(f"Operator {operator} for property {name} needs a value.")
    return Filter(name, operator, tuple(values))


def matching(request: SearchRequest, shelf: Shelf, rows: Ints) -> Ints:
    """Those of `rows` that match, in the order asked for."""
    columns = _columns(shelf)
    if request.groups:
        matched = np.zeros(len(rows), dtype=np.bool_)
        for group in request.groups:
            matched |= _group(group, shelf, rows, columns)
        rows = rows[matched]
    if request.sort in columns:
        keys: Any = columns[request.sort][rows]
        order = np.argsort(keys, kind="stable")
    else:
        order = np.argsort([shelf.properties(row).get(request.sort) or "" for row in rows.tolist()], kind="stable")
    return rows[order[::-1] if request.descending else order]


def _group(filters: Sequence[Filter], shelf: Shelf, rows: Ints, columns: Mapping[str, Ints]) -> Mask:
    matched = np.ones(len(rows), dtype=np.bool_)
    # Figures first: they leave few rows whose properties must be made.
    for one in sorted(filters, key=lambda one: one.name not in columns):
        if one.name in columns and one.operator in _COMPARISONS:
            bounds = [_number(value, one.name) for value in one.values]
            matched &= _COMPARISONS[one.operator](columns[one.name][rows], bounds)
            continue
        for place in np.flatnonzero(matched).tolist():
            matched[place] = _holds(one, shelf.properties(int(rows[place])).get(one.name))
    return matched


def _holds(one: Filter, actual: str | None) -> bool:
    if one.operator.endswith("HAS_PROPERTY"):
        return (actual is not None) == (one.operator == "HAS_PROPERTY")
    if actual is None:
        return one.operator in ("NEQ", "NOT_IN", "NOT_CONTAINS_TOKEN")
    if one.operator in ("IN", "NOT_IN"):
        return (actual in one.values) == (one.operator == "IN")
    if one.operator.endswith("CONTAINS_TOKEN"):
        tokens = actual.lower().replace("-", " ").split()
        return (one.values[0].strip("*").lower() in tokens) == (one.operator == "CONTAINS_TOKEN")
    try:
        return bool(_COMPARISONS[one.operator](float(actual), [float(value) for value in one.values]))
    except ValueError:
        return bool(_COMPARISONS[one.operator](actual.lower(), [value.lower() for value in one.values]))


def _columns(shelf: Shelf) -> dict[str, Ints]:
    """The figures of every object: its id, and times in epoch milliseconds."""
    created_at, modified_at = shelf.created_at * 1000, shelf.modified_at * 1000
    return {
        "hs_object_id": shelf.ids,
        "createdate": created_at,
        "hs_createdate": created_at,
        "hs_lastmodifieddate": modified_at,
    }


def _number(value: str, name: str) -> int:
    try:
        return int(value) if value.lstrip("-").isdigit() else epoch(value) * 1000
    except ValueError:
        raise SearchError(f"{value} is not a valid value for property {name}.") from None
