"""Faults to order: each is taken by the next so many matching requests of one vendor, then it is gone."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import count as numbers
from typing import Any

from connectors.simulation.vendors import senders, simulators
from vitals.errors import UserError

# What each kind does, for every vendor.
KINDS: Mapping[str, str] = {
    "rate_limit": "the vendor's own throttling answer; `retry_after` seconds where given",
    "server_error": "an answer with `status` (503 unless given) and a body of HTML, or none for 406",
    "slow": "an answer that waits `seconds` (2 unless given)",
    "truncate": "a body cut in the middle, under 200",
    "corrupt": "a body with bytes overwritten in the middle, under 200",
    "drop": "a connection closed in the middle of the body",
    "expire_token": "every access token stops working before this request; a vendor without tokens answers 401",
    "duplicates": "rows of this page that come again: in the same page, or as the next page's first rows",
}


# What each kind does to a webhook, for every vendor that sends them. What belongs to requests, as `path`, is ignored.
WEBHOOK_KINDS: Mapping[str, str] = {
    "webhook_duplicate": "a delivery that comes twice",
    "webhook_reorder": "a delivery that comes after the one behind it",
    "webhook_tampered": "a delivery whose body was changed after it was signed",
    "webhook_bad_signature": "a delivery signed with another secret",
    "webhook_stale": "a delivery signed ten minutes ago",
    "webhook_lost": "a delivery that never comes",
}


def webhook_kinds_of(vendor: str) -> Mapping[str, str]:
    """Every kind of fault that a vendor's webhooks can have; none where it sends none."""
    return WEBHOOK_KINDS if vendor in senders() else {}


def kinds_of(vendor: str) -> Mapping[str, str]:
    """Every kind of fault that requests to a vendor can meet, with what it does."""
    return {**KINDS, **simulators()[vendor].FAULTS}


@dataclass(slots=True)
class Fault:
    """An order: the requests of `vendor` whose path starts with `path`, `count` of them after `after` others."""

    vendor: str
    kind: str
    path: str = "/"
    count: int = 1
    after: int = 0
    status: int = 503
    retry_after: float | None = None
    seconds: float = 2.0
    fault_id: int = 0

    def __post_init__(self) -> None:
        if self.vendor not in simulators():
            raise UserError(f"vendor is one of {', '.join(simulators())}, not {self.vendor}.")
        known = {**kinds_of(self.vendor), **webhook_kinds_of(self.vendor)}
        if self.kind not in known:
            raise UserError(f"kind of a fault of {self.vendor} is one of {', '.join(known)}, not {self.kind}.")
        if self.count < 1 or self.after < 0:
            raise UserError("count of a fault is at least 1 and after at least 0.")
        if not 400 <= self.status <= 599:
            raise UserError("status of a fault is from 400 to 599.")


class Faults:
    """The orders that still wait for requests."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._numbers = numbers(1)

    def order(self, fault: Fault) -> Fault:
        """Add an order; the answer carries its id."""
        fault.fault_id = next(self._numbers)
        self._waiting.append(fault)
        return fault

    def take(self, vendor: str, path: str, *kinds: str) -> Fault | None:
        """The first order of one of the kinds for this request, counted down; None where there is none."""
        for fault in self._waiting:
            if fault.vendor == vendor and fault.kind in kinds and path.startswith(fault.path):
                if fault.after:
                    fault.after -= 1
                    continue
                fault.count -= 1
                if not fault.count:
                    self._waiting.remove(fault)
                return fault
        return None

    def clear(self, fault_id: int | None = None) -> None:
        """Withdraw one order, or all."""
        self._waiting = [fault for fault in self._waiting if fault_id is not None and fault.fault_id != fault_id]

    def waiting(self) -> list[dict[str, Any]]:
        """The orders as JSON objects."""
        return [asdict(fault) for fault in self._waiting]
