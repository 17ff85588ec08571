"""Keyset cursors: where a page ended, so that the next one goes on there whatever was added or changed before it."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, LiteralString
from uuid import UUID

from api.problems import FieldError, ProblemError

Sort = Literal["score", "name", "trend"]
Order = Literal["asc", "desc"]
Key = int | str

_KEYS: tuple[LiteralString, ...] = ("key_0", "key_1", "key_2")


@dataclass(frozen=True)
class Ordering:
    """SQL expressions to sort by, most significant first; the account's id follows, which makes the order total.

    All expressions go one way, as row comparison needs it, so a descending number is a negated one. None may be null.
    kinds: type of each, checked when a cursor comes back.
    """

    expressions: tuple[LiteralString, ...]
    kinds: tuple[type[Key], ...]
    descending: bool = False

    @property
    def columns(self) -> LiteralString:
        """The sort keys as columns key_0, key_1 …"""
        return ", ".join(
            [expression + " as " + name for expression, name in zip(self.expressions, _KEYS, strict=False)]
        )

    def key_of(self, row: Mapping[str, Any]) -> list[Key]:
        """The sort key of a row with those columns."""
        return [row[name] for name in _KEYS[: len(self.kinds)]]

    @property
    def order_by(self) -> LiteralString:
        """For `order by`, on those columns."""
        direction: LiteralString = " desc" if self.descending else ""
        return ", ".join([name + direction for name in (*_KEYS[: len(self.kinds)], "account_id")])

    @property
    def after(self) -> LiteralString:
        """Condition on the rows that follow %(key_0)s, %(key_1)s …, %(after_account_id)s."""
        comparison: LiteralString = " < (" if self.descending else " > ("
        types: dict[type[Key], LiteralString] = {int: ")s::bigint", str: ")s::text"}
        keys = ["%(" + name + types[kind] for name, kind in zip(_KEYS, self.kinds, strict=False)]
        names = ", ".join([*_KEYS[: len(self.kinds)], "account_id"])
        return "(" + names + ")" + comparison + ", ".join([*keys, "%(after_account_id)s"]) + ")"


_UNSCORED: LiteralString = "(score is null)::int"
_TREND: LiteralString = "case trend when 'down' then 0 when 'flat' then 1 else 2 end"

ORDERINGS: dict[tuple[Sort, Order], Ordering] = {
    # Accounts without a score come last either way.
    ("score", "asc"): Ordering((_UNSCORED, "coalesce(score, 0)"), (int, int)),
    ("score", "desc"): Ordering((_UNSCORED, "-coalesce(score, 0)"), (int, int)),
    ("name", "asc"): Ordering(("lower(name)",), (str,)),
    ("name", "desc"): Ordering(("lower(name)",), (str,), descending=True),
    # Of one trend, the worst score first.
    ("trend", "asc"): Ordering((_UNSCORED, _TREND, "coalesce(score, 0)"), (int, int, int)),
    ("trend", "desc"): Ordering((_UNSCORED, "-(" + _TREND + ")", "coalesce(score, 0)"), (int, int, int)),
}


@dataclass(frozen=True)
class Cursor:
    """The last row of a page: its sort key and account."""

    key: tuple[Key, ...]
    account_id: UUID

    def parameters(self) -> dict[str, object]:
        """What `Ordering.after` refers to."""
        return {f"key_{index}": part for index, part in enumerate(self.key)} | {"after_account_id": self.account_id}


def encode(sort: Sort, order: Order, key: Sequence[Key], account_id: UUID) -> str:
    """An opaque cursor."""
    document = json.dumps([sort, order, list(key), str(account_id)], separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(document.encode()).decode().rstrip("=")


def decode(text: str, sort: Sort, order: Order) -> Cursor:
    """The cursor in a request with this order.

    Raises:
        ProblemError: 422, not one of ours or of another order.
    """
    try:
        padded = text + "=" * (-len(text) % 4)
        document = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        its_sort, its_order, key, account_id = document
        ordering = ORDERINGS[(sort, order)]
        if (its_sort, its_order) != (sort, order) or tuple(type(part) for part in key) != ordering.kinds:
            raise ValueError("of another order")
        if any(abs(part) >= 2**63 for part in key if isinstance(part, int)) or "\0" in "".join(map(str, key)):
            raise ValueError("out of range")
        return Cursor(tuple(key), UUID(account_id))
    except (ValueError, TypeError, AttributeError, KeyError, binascii.Error, RecursionError) as error:
        detail = "The cursor does not belong to this order: start again without it."
        raise ProblemError(422, detail, errors=[FieldError(field="query.cursor", detail=detail)]) from error
