"""A stream that only webhooks bring anything to: each delivery's body is the number of a thing."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from connectors.contract import Delivery, Mapped, MappedEvent, Page, RawObject, State, Stream
from vitals.errors import BadRecordError, VitalsError

START = datetime(2026, 1, 5, tzinfo=UTC)


class NoticedStream(Stream):
    """Raises `faults` one after another before it takes anything; `fetches` counts its polls."""

    source = "collect"
    topics = ("events.product",)

    def __init__(self, name: str, faults: Sequence[VitalsError] = ()) -> None:
        self.name = name
        self._faults = list(faults)
        self.fetches = 0

    def fetch(self, state: State) -> Page:
        del state
        self.fetches += 1
        return Page((), {}, START, more=False)

    def received(self, deliveries: Sequence[Delivery], state: State) -> Page | None:
        del state
        if self._faults:
            raise self._faults.pop(0)
        for delivery in deliveries:
            if not delivery.body.isdigit():
                raise BadRecordError("The delivery's body is no number.")
        return Page([RawObject("thing", str(int(one.body)), {}) for one in deliveries], {}, None, more=False)

    def map(self, raw: RawObject, state: State) -> Mapped:
        del state
        number = int(raw.source_id)
        return Mapped([
            MappedEvent(
                "product.event_tracked", self.name, raw.source_id, START + timedelta(minutes=number),
                "crm:account:alpha", user=self.name, value=Decimal(number),
            )
        ])  # fmt: skip
