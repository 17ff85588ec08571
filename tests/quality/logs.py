"""Logs of all partitions as quality checks read them, a worker's state without Kafka, and plain answers."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import gettempdir
from typing import Any
from uuid import UUID

from analytics.quality.declarations import Check, parse_check
from schemas.topics import PARTITIONS
from streams.quality.state import QualityState
from streams.quality.verdicts import Ends, GateStep, Result, Verdicts
from tests.rollup.logs import LogDecoder, LogMessage

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
SOURCES = {"events.billing": "stripe", "events.crm": "salesforce", "events.product": "mixpanel"}
Body = tuple[str, dict[str, Any]]
Logs = dict[tuple[str, int], list[Body]]


def check(name: str, kind: str, **more: Any) -> Check:
    told = {"description": "A check of the tests.", "owner": "tests", "severity": "info", "window": "day"}
    return parse_check({"name": name, "kind": kind, "minimum_records": 3, **told, **more})


CHECKS = (
    check("amounts", "completeness", topic="events.billing", field="value", maximum_share=0.2, gates=["billing.seats"]),
    check("seats", "validity", topic="events.billing", field="properties.seats", minimum=0, maximum=9, maximum_share=0),
    check("money", "validity", topic="events.billing", field="properties.currency", code_list="iso4217",
          maximum_share=0.1),
    check("repeats", "uniqueness", topic="events.billing", maximum_share=0.3),
    check("mix", "drift", topic="events.product", field="properties.feature", window="hour", reference_windows=24,
          minimum_reference=3, maximum_divergence=0.2),
    check("amount_of_events", "volume", topic="events.product", weeks=3, minimum_weeks=3, least_spread=0.05,
          deviations=3),
    check("known", "known_accounts", topic="events.billing", maximum_share=0.1),
    check("order", "sequence", topic="events.billing", earlier="billing.subscription_started",
          later="billing.subscription_canceled", maximum_share=0.1),
    check("both", "cross_source", left={"topic": "events.crm", "kinds": ["crm.opportunity_won"]},
          right={"topic": "events.billing", "kinds": ["billing.invoice_paid"]}, minimum_share=0.5),
    check("streams", "freshness", window="hour", maximum_lag_seconds=3600),
)  # fmt: skip


def event(number: int, source: str, kind: str, at: datetime, account: int, **more: Any) -> Body:
    return "Event", {
        "event_id": str(UUID(int=number)),
        "account_id": str(UUID(int=account)),
        "user_id": None,
        "kind": kind,
        "source": source,
        "event_time": at,
        "ingested_at": at,
        "value": None,
        "properties": {},
    } | more


def progress(stream: str, through: datetime | None, written_at: datetime, mode: str = "live") -> Body:
    source = stream.partition(".")[0]
    return "Progress", {
        "source": source, "stream": stream, "complete_through": through, "mode": mode, "written_at": written_at,
    }  # fmt: skip


def quarantined(source: str, kind: str, at: datetime) -> dict[str, Any]:
    return {"source": source, "kind": kind, "event_time": at, "set_aside_at": at, "attempt": 1}


@dataclass
class World:
    """Logs by topic and partition, and quarantined records by partition."""

    logs: Logs = field(default_factory=dict)
    quarantine: dict[int, list[dict[str, Any]]] = field(default_factory=dict)


KINDS = {
    "events.billing": ("billing.invoice_paid", "billing.subscription_started", "billing.subscription_canceled"),
    "events.crm": ("crm.opportunity_won", "crm.account_updated"),
    "events.product": ("product.feature_used",),
}


def world(seed: int, days: int = 30, a_day: int = 6) -> World:
    """Random days with duplicates, tardy events and days that go wrong, in the order in which connectors write them."""
    chance = random.Random(seed)
    made = World({(topic, partition): [] for topic in SOURCES for partition in range(PARTITIONS)})
    number = 0
    for topic, source in SOURCES.items():
        for partition in range(PARTITIONS):
            made.logs[(topic, partition)].append(progress(f"{source}.all", None, START))
    for day in range(days):
        bad = chance.random() < 0.3
        for (topic, partition), log in made.logs.items():
            written: list[Body] = []
            for _ in range(chance.randrange(a_day + 1)):
                number += 1
                back = chance.choice((0, 0, 0, 0, 1, 3))
                at = START + (day - back) * DAY + timedelta(seconds=chance.randrange(86_400))
                seats = str(chance.randrange(12 if bad else 10))
                money = chance.choice(("usd", "eur", "xxq" if bad else "gbp"))
                written.append(
                    event(
                        number,
                        SOURCES[topic],
                        chance.choice(KINDS[topic]),
                        at,
                        8 * chance.randrange(4) + partition,
                        value=None if bad and chance.random() < 0.5 else Decimal("1.5"),
                        properties={
                            "seats": seats,
                            "currency": money,
                            "feature": chance.choice("ab" if bad else "bcd"),
                        },
                    )
                )
            written += chance.sample(written, min(len(written), chance.randrange(3 if bad else 2)))
            log += written
            end = START + (day + 1) * DAY
            log.append(progress(f"{SOURCES[topic]}.all", end, end))
        if bad:
            records = [quarantined("stripe", "billing.invoice_paid", START + day * DAY) for _ in range(9)]
            made.quarantine.setdefault(day % PARTITIONS, []).extend(records)
    return made


class InMemory:
    """A worker without Kafka: reads a world in cuts and an order of its own, and collects what it publishes."""

    def __init__(self, made: World, checks: Sequence[Check] = CHECKS) -> None:
        self._made, self._checks = made, checks
        self.messages = {
            where: [LogMessage(offset, body) for offset, body in enumerate(log)] for where, log in made.logs.items()
        }
        # Bodies are looked up by position, so each log has a decoder of its own.
        self.finals: dict[tuple[str, str, int], Result] = {}
        self.steps: dict[tuple[str, str, int], GateStep] = {}
        self.open: list[Result] = []
        self.restart()

    def restart(self) -> None:
        """Forgets everything that is in memory."""
        self.state = QualityState(self._checks, 64, Path(gettempdir()) / "vitals-tests-spill")
        for partition in range(PARTITIONS):
            self.state.add(partition)
        self.verdicts = Verdicts(self.state, self)

    def now(self) -> Ends:
        quarantine = {("quarantine", partition): len(records) for partition, records in self._made.quarantine.items()}
        return {where: len(log) for where, log in self.messages.items()} | quarantine

    def reached(self, ends: Ends) -> bool:
        return all(
            self.state.partitions[partition].next_offsets.get(topic, 0) >= end
            for (topic, partition), end in ends.items()
        )

    def cuts(self, chance: random.Random, largest: int) -> Iterator[None]:
        """Reads on, a cut at a time, until everything is read."""
        while True:
            behind = [
                where
                for where, end in self.now().items()
                if self.state.partitions[where[1]].next_offsets.get(where[0], 0) < end
            ]
            if not behind:
                return
            topic, partition = chance.choice(behind)
            start = self.state.partitions[partition].next_offsets.get(topic, 0)
            if topic == "quarantine":
                records = self._made.quarantine[partition]
                end = min(len(records), start + chance.randrange(1, largest))
                self.state.take_quarantined(partition, records[start:end], end)
            else:
                run = self.messages[(topic, partition)][start : start + chance.randrange(1, largest)]
                self.state.take(topic, {partition: run}, LogDecoder(run))
            self.publish()
            yield

    def publish(self) -> None:
        """What a worker would publish now. Results that are final must be the same whenever they come."""
        for told in self.verdicts.closed():
            if isinstance(told, GateStep):
                key = (told.check.name, told.source, told.since)
                assert self.steps.setdefault(key, told) == told
            else:
                key = (told.check.name, told.source, told.window_start)
                assert self.finals.setdefault(key, told) == told, "a final result was taken back"
        self.open += self.verdicts.open()

    def run(self, seed: int = 0, largest: int = 400) -> "InMemory":
        """Reads everything."""
        for _ in self.cuts(random.Random(seed), largest):
            pass
        self.publish()
        return self
