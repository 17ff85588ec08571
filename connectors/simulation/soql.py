"""The part of SOQL that replication uses: a parser, and its evaluation over rows that are dictionaries.

`SELECT fields FROM object [WHERE condition] [ORDER BY field [ASC|DESC], …] [LIMIT n]`; conditions with AND, OR, NOT,
parentheses, `= != <> < <= > >= IN NOT IN`; `SELECT COUNT()`; one step to a parent, such as `Owner.Name`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from connectors.simulation.calendar import epoch, iso

Row = Mapping[str, Any]
Condition = Callable[[Row], bool]
# Field name to its Salesforce type.
Fields = Mapping[str, str]

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')"
    r"|(?P<datetime>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))"
    r"|(?P<date>\d{4}-\d\d-\d\d)"
    r"|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_.]*)"
    r"|(?P<sign><=|>=|!=|<>|[<>=(),]))"
)
_KEYWORDS = {"SELECT", "FROM", "WHERE", "ORDER", "BY", "LIMIT", "AND", "OR", "NOT", "IN", "ASC", "DESC", "NULLS"}


class SoqlError(Exception):
    """A query that Salesforce would refuse, with its error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query; `order` pairs each field with whether it descends."""

    fields: tuple[str, ...]
    object_name: str
    condition: Condition
    order: tuple[tuple[str, bool], ...]
    limit: int | None
    count_only: bool


def parse(text: str, schema: Callable[[str], Fields | None]) -> Query:
    """Parse `text`; `schema(object)` gives an object's fields, or None for one that does not exist.

    Raises:
        SoqlError: with MALFORMED_QUERY, INVALID_TYPE or INVALID_FIELD.
    """
    return _Parser(text, schema).query()


def run(query: Query, rows: list[Row]) -> list[Row]:
    """The rows that match, ordered and limited. Nulls come first when ascending, as in Salesforce."""
    found = [row for row in rows if query.condition(row)]
    for name, descends in reversed(query.order):
        found.sort(key=lambda row: _sort_key(row.get(name)), reverse=descends)
    return found if query.limit is None else found[: query.limit]


def _sort_key(value: Any) -> tuple[bool, Any]:
    return (value is not None, "" if value is None else value)


def datetime_text(seconds: int) -> str:
    """The REST form, `2026-11-20T10:04:11.000+0000`."""
    return iso(seconds).removesuffix("Z") + ".000+0000"


class _Parser:
    def __init__(self, text: str, schema: Callable[[str], Fields | None]) -> None:
        self._tokens = _tokens(text)
        self._place = 0
        self._schema = schema
        self._fields: Fields = {}
        self._object = ""

    def query(self) -> Query:
        self._expect("SELECT")
        names = [self._name()]
        count_only = names[0].upper() == "COUNT" and self._accept("(")
        if count_only:
            self._expect(")")
            names = []
        while not count_only and self._accept(","):
            names.append(self._name())
        self._expect("FROM")
        self._object = self._name()
        known = self._schema(self._object)
        if known is None:
            raise SoqlError("INVALID_TYPE", f"sObject type '{self._object}' is not supported.")
        self._fields = known
        fields = tuple(self._known(name) for name in names)
        condition: Condition = self._any() if self._accept("WHERE") else (lambda _row: True)
        order: list[tuple[str, bool]] = []
        if self._accept("ORDER"):
            self._expect("BY")
            order.append(self._ordering())
            while self._accept(","):
                order.append(self._ordering())
        limit = self._limit() if self._accept("LIMIT") else None
        if self._place < len(self._tokens):
            raise _malformed(self._tokens[self._place][1])
        return Query(fields, self._object, condition, tuple(order), limit, count_only)

    def _any(self) -> Condition:
        parts = [self._all()]
        while self._accept("OR"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else (lambda row: any(part(row) for part in parts))

    def _all(self) -> Condition:
        parts = [self._one()]
        while self._accept("AND"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else (lambda row: all(part(row) for part in parts))

    def _one(self) -> Condition:
        if self._accept("NOT"):
            inner = self._one()
            return lambda row: not inner(row)
        if self._accept("("):
            grouped = self._any()
            self._expect(")")
            return grouped
        name = self._known(self._name())
        negated = self._accept("NOT")
        if negated or self._peek() == "IN":
            self._expect("IN")
            self._expect("(")
            values = {self._literal(name)}
            while self._accept(","):
                values.add(self._literal(name))
            self._expect(")")
            return lambda row: (_comparable(row.get(name)) in values) != negated
        return _comparison(name, self._sign(), self._literal(name))

    def _ordering(self) -> tuple[str, bool]:
        name = self._known(self._name())
        descends = self._accept("DESC")
        if not descends:
            self._accept("ASC")
        if self._accept("NULLS"):
            self._name()
        return name, descends

    def _limit(self) -> int:
        kind, text = self._next()
        if kind != "number" or not text.isdigit():
            raise _malformed(text)
        return int(text)

    def _literal(self, name: str) -> Any:
        kind, text = self._next()
        expected = self._fields.get(name, "string")
        if kind == "text" and expected in ("datetime", "date", "boolean", "currency", "double", "int", "percent"):
            raise SoqlError(
                "INVALID_FIELD",
                f"value of filter criterion for field '{name}' must be of type {expected} "
                "and should not be enclosed in quotes",
            )
        if kind == "text":
            return re.sub(r"\\(.)", r"\1", text[1:-1])
        if kind == "datetime":
            return float(epoch(text)) if "." not in text else datetime.fromisoformat(text).timestamp()
        if kind == "date":
            return text
        if kind == "number":
            return float(text)
        if kind == "name" and text.lower() in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[text.lower()]
        raise _malformed(text)

    def _sign(self) -> str:
        kind, text = self._next()
        if kind != "sign" or text in "(),":
            raise _malformed(text)
        return text

    def _known(self, name: str) -> str:
        own = {field.lower(): field for field in self._fields}
        if name.lower() in own:
            return own[name.lower()]
        raise SoqlError("INVALID_FIELD", f"No such column '{name}' on entity '{self._object}'.")

    def _name(self) -> str:
        kind, text = self._next()
        if kind != "name" or text.upper() in _KEYWORDS:
            raise _malformed(text)
        return text

    def _peek(self) -> str:
        return self._tokens[self._place][1].upper() if self._place < len(self._tokens) else ""

    def _next(self) -> tuple[str, str]:
        if self._place >= len(self._tokens):
            raise SoqlError("MALFORMED_QUERY", "unexpected token: '<EOF>'")
        self._place += 1
        return self._tokens[self._place - 1]

    def _accept(self, word: str) -> bool:
        if self._peek() == word:
            self._place += 1
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            raise _malformed(self._next()[1])


def _comparable(value: Any) -> Any:
    """Datetimes compare as instants, whatever their written form; everything else as it is."""
    if isinstance(value, str) and len(value) == 28 and value.endswith("+0000"):
        return _instant(value)
    return value


@lru_cache(maxsize=500_000)
def _instant(text: str) -> float:
    """Kept, because a connector asks about the same records every second."""
    return datetime.fromisoformat(text).timestamp()


def _comparison(name: str, sign: str, wanted: Any) -> Condition:
    if sign in ("=", "!=", "<>"):
        return lambda row: (_comparable(row.get(name)) == wanted) == (sign == "=")

    def ordered(row: Row) -> bool:
        value = _comparable(row.get(name))
        if value is None or wanted is None:
            return False
        if sign == "<":
            return bool(value < wanted)
        if sign == "<=":
            return bool(value <= wanted)
        return bool(value > wanted) if sign == ">" else bool(value >= wanted)

    return ordered


def _tokens(text: str) -> list[tuple[str, str]]:
    found, place = list[tuple[str, str]](), 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None:
            raise _malformed(text[place:].strip()[:20])
        kind = match.lastgroup or ""
        found.append((kind, match.group(kind)))
        place = match.end()
    return found


def _malformed(text: str) -> SoqlError:
    return SoqlError("MALFORMED_QUERY", f"unexpected token: '{text}'")
