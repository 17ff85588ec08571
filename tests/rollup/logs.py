"""Builds logs of one partition for the rollup's tests: messages that decode themselves, and a slow reference."""

import io
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from tempfile import gettempdir
from typing import Any
from uuid import UUID

import fastavro
import polars as pl

from streams.rollup.bundles import Flush, bundles
from streams.rollup.decoding import DECODED_COLUMNS, Decoded
from streams.rollup.state import RollupState
from tests.metrics.oracle import ORACLES
from vitals.avro import parsed_schema

START = datetime(2026, 1, 5, tzinfo=UTC)
TOPIC = "events.billing"


@dataclass(frozen=True)
class LogMessage:
    """A message whose body is the decoded record itself."""

    position: int
    body: tuple[str, dict[str, Any]]

    def offset(self) -> int:
        return self.position

    def key(self) -> bytes:
        return b"key"

    def value(self) -> bytes:
        return str(self.position).encode()


class LogDecoder:
    """Decodes by looking the record up."""

    def __init__(self, log: Sequence[LogMessage]) -> None:
        self._bodies = {message.value(): message.body for message in log}

    def decode(self, bodies: Sequence[bytes | None]) -> Decoded:
        events, records = [], []
        for row, body in enumerate(bodies):
            assert body is not None
            name, record = self._bodies[body]
            if name == "Progress":
                records.append((row, record))
            else:
                properties = [{"key": key, "value": value} for key, value in record["properties"].items()]
                events.append({"row": row, **record, "properties": properties})
        return Decoded(pl.DataFrame(events, schema=DECODED_COLUMNS), records)


def identifier(number: int) -> str:
    return str(UUID(int=number))


def account(number: int) -> str:
    return str(UUID(int=number << 64))


def empty_state(*partitions: int) -> RollupState:
    state = RollupState(512, Path(gettempdir()) / "vitals-tests-spill")
    for partition in partitions:
        state.add(partition)
    return state


def values_of(flush: Flush) -> dict[tuple[str, str, str, datetime], Decimal]:
    """Account, metric, grain and window to value, as a reader of the bundles sees them."""
    found = {}
    for body in bundles(flush, START):
        record: Any = fastavro.schemaless_reader(io.BytesIO(body), parsed_schema("MetricValuesBundle"), None)
        for told in record["accounts"]:
            for value in told["values"]:
                key = (told["account_id"], value["metric"], value["grain"], value["window_start"])
                assert key not in found
                found[key] = value["value"]
    return found


def event(number: int, account: str, at: datetime, **more: Any) -> tuple[str, dict[str, Any]]:
    record = {
        "event_id": identifier(number),
        "account_id": account,
        "user_id": None,
        "kind": "billing.invoice_paid",
        "source": "stripe",
        "event_time": at,
        "ingested_at": START,
        "value": Decimal("10.500000"),
        "properties": {"seats": "3"},
    }
    return "Event", record | more


def progress(stream: str, through: datetime | None, mode: str = "live") -> tuple[str, dict[str, Any]]:
    return "Progress", {
        "source": "stripe", "stream": stream, "complete_through": through,
        "mode": "backfill" if through is None else mode, "written_at": START,
    }  # fmt: skip


def numbered(bodies: Sequence[tuple[str, dict[str, Any]]]) -> list[LogMessage]:
    return [LogMessage(position, body) for position, body in enumerate(bodies)]


def folded(
    state: RollupState, log: Sequence[LogMessage], start: int, end: int, topic: str = TOPIC
) -> dict[tuple[str, str, datetime], Decimal]:
    """What the days' windows are worth that a part of the log changes."""
    flushes = state.fold(state.take(topic, {0: log[start:end]}, LogDecoder(log)))
    return {
        (told, metric, window_start): value
        for flush in flushes
        for (told, metric, grain, window_start), value in values_of(flush).items()
        if grain == "day"
    }


def final_values(
    log: Sequence[LogMessage], cuts: Sequence[int]
) -> tuple[dict[tuple[str, str, datetime], Decimal], RollupState]:
    """The newest value of every day's window after the log was folded in batches cut at the given positions."""
    state = empty_state(0)
    values: dict[tuple[str, str, datetime], Decimal] = {}
    for start, end in pairwise([0, *sorted(set(cuts) - {0, len(log)}), len(log)]):
        values |= folded(state, log, start, end)
    return values, state


def generated_log(seed: int, length: int) -> list[LogMessage]:
    """Out of order, duplicate, late; hot accounts; two streams whose progress advances now and then."""
    rng = random.Random(seed)
    bodies = [progress("one", None), progress("two", None)]
    sent: list[tuple[str, dict[str, Any]]] = []
    through = {"one": START, "two": START}
    for number in range(length):
        choice = rng.random()
        if choice < 0.1 and sent:
            bodies.append(rng.choice(sent))
        elif choice < 0.2:
            stream = rng.choice(["one", "two"])
            through[stream] += timedelta(hours=rng.randrange(1, 30))
            bodies.append(progress(stream, through[stream]))
        else:
            at = min(through.values()) + timedelta(minutes=rng.randrange(-3000, 3000))
            kind = rng.choice(["billing.invoice_paid", "billing.payment_failed", "billing.subscription_canceled"])
            body = event(
                number, account(int(rng.paretovariate(1.0)) % 7), at, kind=kind,
                value=Decimal(rng.randrange(10**9)).scaleb(-6), properties={"seats": str(rng.randrange(50))},
            )  # fmt: skip
            sent.append(body)
            bodies.append(body)
    return numbered(bodies)


def reference(log: Sequence[LogMessage]) -> tuple[dict[tuple[str, str, datetime], Decimal], Counter[str]]:
    """The same by the book: one event at a time, plain dictionaries, all open days kept for ever."""
    spoken: dict[str, datetime | None] = {}
    watermark: datetime | None = None
    seen: set[str] = set()
    fates: Counter[str] = Counter()
    counted: list[dict[str, Any]] = []
    for message in log:
        name, record = message.body
        if name == "Progress":
            known = spoken.get(record["stream"])
            spoken[record["stream"]] = max(filter(None, [known, record["complete_through"]]), default=None)
            if all(spoken.values()):
                lowest = min(filter(None, spoken.values()))
                watermark = lowest if watermark is None else max(watermark, lowest)
            continue
        at = record["event_time"]
        day = at.replace(hour=0, minute=0, second=0, microsecond=0)
        if watermark is not None and day + timedelta(days=1) + timedelta(hours=1) <= watermark:
            fates["late"] += 1
            continue
        if record["event_id"] in seen:
            fates["duplicate"] += 1
            continue
        seen.add(record["event_id"])
        fates["counted"] += 1
        counted.append(record)
    values = {
        (name, metric, window_start): value
        for metric, oracle in ORACLES.items()
        for (name, window_start), value in oracle.windows(counted, "day").items()
    }
    return values, fates
