"""What a vendor's webhooks are made of: what it tells of which change, and how it signs that."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from connectors.simulation.stage import Simulation


@dataclass(frozen=True, slots=True)
class Notice:
    """What a vendor tells of one change at the source second `at`. The id is the same whenever it is asked."""

    notice_id: str
    at: int
    content: Any


class VendorWebhooks(ABC):
    """One vendor's webhooks; its `simulated_webhooks.py` has `WEBHOOKS`, an instance."""

    name: str
    attempts: int
    """How often a delivery is sent at most."""
    stale_seconds: float = 600.0
    """Age of a delivery that no receiver may take any more."""

    @abstractmethod
    def secrets(self) -> tuple[str, ...]:
        """The secrets that deliveries of the demonstration are signed with."""

    @abstractmethod
    def notices(self, simulation: "Simulation", first: int, last: int) -> Sequence[Notice]:
        """What is told of the changes within these source seconds, both included, oldest first."""

    @abstractmethod
    def headers(self, body: bytes, url: str, secrets: Sequence[str], signed_at: float) -> dict[str, str]:
        """The headers of a delivery to `url`. `signed_at` is wall time: source time may run much faster."""

    @abstractmethod
    def retried(self, status: int | None) -> bool:
        """Whether a delivery that was answered with this status, or not at all, is sent again."""

    def body(self, notice: Notice, attempt: int, first_sent_at: float) -> bytes:
        """The body of the attempt with this number, from 1 on; `first_sent_at` is wall time, of the first attempt."""
        del attempt, first_sent_at
        return orjson.dumps(notice.content)
