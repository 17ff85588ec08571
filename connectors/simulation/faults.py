"""Faults to order: each is taken by the next so many matching requests of one vendor, then it is gone."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import count as numbers
from typing import Any

from vitals.errors import UserError

VENDORS = ("salesforce", "zendesk", "mixpanel", "stripe")

# What each kind does, for every vendor or for the one named.
KINDS: Mapping[str, tuple[str | None, str]] = {
    "rate_limit": (None, "the vendor's own throttling answer; `retry_after` seconds where given"),
    "server_error": (None, "an answer with `status` (503 unless given) and a body of HTML, or none for 406"),
    "slow": (None, "an answer that waits `seconds` (2 unless given)"),
    "truncate": (None, "a body cut in the middle, under 200"),
    "corrupt": (None, "a body with bytes overwritten in the middle, under 200"),
    "drop": (None, "a connection closed in the middle of the body"),
    "expire_token": (None, "every access token stops working before this request; a vendor without tokens answers 401"),
    "duplicates": (None, "rows of this page that come again: in the same page, or as the next page's first rows"),
    "locator_expired": ("salesforce", "400 INVALID_QUERY_LOCATOR for a nextRecordsUrl"),
    "concurrent": ("salesforce", "403 REQUEST_LIMIT_EXCEEDED of the concurrency limit"),
    "empty_page": ("zendesk", "a page without rows and with end_of_stream false"),
    "terminated_early": ("mixpanel", "an export cut and ended by the line `terminated early`, under 200"),
    "lock_timeout": ("stripe", "429 lock_timeout without a rate-limit reason"),
}


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
        if self.vendor not in VENDORS:
            raise UserError(f"vendor is one of {', '.join(VENDORS)}, not {self.vendor}.")
        only, _ = KINDS.get(self.kind, ("", ""))
        if only is not None and only != self.vendor:
            known = [kind for kind, (vendor, _) in KINDS.items() if vendor in (None, self.vendor)]
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
