"""Parameters of a Stripe list, and the page that they select."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from connectors.simulation.billing_ledger import Shelf

Object = TypeVar("Object")

_DEFAULT, _MOST = 10, 100
_COMMON = {"limit", "starting_after", "ending_before", "created", "expand"}


class ListError(Exception):
    """A list request that Stripe refuses with 400, with the code and the parameter that it names."""

    def __init__(self, message: str, param: str, code: str) -> None:
        super().__init__(message)
        self.param = param
        self.code = code


@dataclass(frozen=True, slots=True)
class ListRequest:
    """What a list is asked for: creation times from `since` to before `until`, and a place to go on from."""

    limit: int
    since: int
    until: int
    starting_after: str | None
    ending_before: str | None

    @classmethod
    def parse(cls, asked: Sequence[tuple[str, str]], now: int, known: set[str]) -> "ListRequest":
        """Read query parameters; raises `ListError` for what Stripe does not know or cannot read."""
        limit, since, until = _DEFAULT, 0, now + 1
        places: dict[str, str] = {}
        for key, value in asked:
            name, _, inner = key.partition("[")
            if name not in _COMMON | known:
                raise ListError(f"Received unknown parameter: {name}", name, "parameter_unknown")
            if name == "limit":
                limit = _whole(key, value)
            elif name == "created":
                at, bound = _whole(key, value), inner.rstrip("]")
                if bound in ("gte", "gt", ""):
                    since = max(since, at + (bound == "gt"))
                if bound in ("lte", "lt", ""):
                    until = min(until, at + (bound != "lt"))
                if bound not in ("gte", "gt", "lte", "lt", ""):
                    raise ListError(f"Received unknown parameter: {key}", key, "parameter_unknown")
            elif name in ("starting_after", "ending_before"):
                places[name] = value
        if not 1 <= limit <= _MOST:
            raise ListError(f"This value must be between 1 and {_MOST}.", "limit", "parameter_invalid_integer")
        if len(places) > 1:
            raise ListError("You may only specify one of these parameters.", "ending_before", "parameter_unknown")
        return cls(limit, since, until, places.get("starting_after"), places.get("ending_before"))

    def page(
        self, shelf: Shelf[Object], now: int, oldest_visible: int, what: str, matches: Callable[[Object], bool]
    ) -> tuple[list[Object], bool]:
        """The objects of this page, newest first, and whether more follow in the direction asked for."""
        low, high = np.searchsorted(
            shelf.created_at, [max(self.since, oldest_visible), min(self.until, now + 1)]
        ).tolist()
        for param, name in (("starting_after", self.starting_after), ("ending_before", self.ending_before)):
            if name is None:
                continue
            place = shelf.places.get(name)
            if place is None or not oldest_visible <= shelf.created_at[place] <= now:
                raise ListError(f"No such {what}: '{name}'", param, "resource_missing")
            if param == "starting_after":
                high = min(high, place)
            else:
                low = max(low, place + 1)
        return shelf.page(low, high, self.limit, matches, oldest=self.ending_before is not None)


def _whole(key: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise ListError(f"Invalid integer: {value}", key, "parameter_invalid_integer") from None
