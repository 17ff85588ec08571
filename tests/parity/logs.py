"""One generated log for every engine: out of order, duplicate, hot accounts, several versions of the event's schema.

A log holds the messages of one events topic of one partition, encoded as they lie in Kafka. Its events are those of a
lively company, so that every metric of the catalogue finds some.
"""

import io
import json
import random
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

import fastavro

from vitals.avro import schema_text

START = datetime(2026, 3, 2, tzinfo=UTC)

KINDS = {
    "events.product": ("product.feature_used", "product.event_tracked"),
    "events.support": ("support.ticket_opened", "support.ticket_solved", "support.csat_answered"),
    "events.crm": (
        "crm.account_created",
        "crm.account_updated",
        "crm.account_deleted",
        "crm.opportunity_created",
        "crm.opportunity_won",
        "crm.opportunity_lost",
        "crm.nps_answered",
        "crm.pulse_recorded",
        "crm.stakeholder_set",
        "crm.stakeholder_touched",
    ),
    "events.billing": (
        "billing.invoice_paid",
        "billing.payment_failed",
        "billing.subscription_started",
        "billing.subscription_canceled",
    ),
}

SCALES = {"crm.nps_answered": 11, "crm.pulse_recorded": 6, "support.csat_answered": 6}
"""Kinds whose values are answers on a scale: whole numbers from 0 to below this."""

VERSIONS = ("before", "current", "after")
"""Writers' schemas: one from before values and properties, the newest, and one with a field that we do not know yet."""


def schema_of(version: str) -> dict[str, Any]:
    """The event's schema as a writer of that version registers it."""
    schema: dict[str, Any] = deepcopy(json.loads(schema_text("Event")))
    if version == "before":
        schema["fields"] = [each for each in schema["fields"] if each["name"] not in ("value", "properties")]
    elif version == "after":
        channel = {"name": "channel", "type": ["null", "string"], "default": None}
        schema["fields"].insert(3, channel)
    return schema


@cache
def _parsed(version: str) -> Any:
    return fastavro.parse_schema(schema_of(version))


@dataclass(frozen=True)
class Shape:
    """What a log is like. Shares are of 1."""

    events: int
    accounts: int = 12
    days: int = 3
    duplicates: float = 0.05
    disorder: float = 0.03
    seed: int = 0


@dataclass(frozen=True)
class Written:
    """One event as a writer of one version wrote it."""

    version: str
    record: dict[str, Any]

    def body(self) -> bytes:
        """Avro body, without the wire format's prefix."""
        buffer = io.BytesIO()
        fields = {"channel": "mobile"} if self.version == "after" else {}
        fastavro.schemaless_writer(buffer, _parsed(self.version), self.record | fields)
        return buffer.getvalue()

    def read(self) -> dict[str, Any]:
        """The event as a reader of the newest version sees it."""
        return self.record | ({"value": None, "properties": {}} if self.version == "before" else {})


def generated(topic: str, shape: Shape) -> list[Written]:
    """The events of a topic in log order, duplicates included. The same shape gives the same log."""
    rng = random.Random(f"{shape.seed}/{topic}")
    accounts = [str(UUID(int=rng.getrandbits(128), version=4)) for _ in range(shape.accounts)]
    # The first account is hot: it has about half of the events.
    weights = [1 / (rank + 1) ** 2 for rank in range(shape.accounts)]
    span = timedelta(days=shape.days)
    log: list[Written] = []
    for number in range(shape.events):
        if log and rng.random() < shape.duplicates:
            log.append(rng.choice(log[-200:]))
            continue
        at = START + span * (number / max(1, shape.events))
        if rng.random() < shape.disorder:
            at -= timedelta(seconds=rng.randrange(6 * 3600))
        log.append(Written(rng.choice(VERSIONS), _event(rng, topic, rng.choices(accounts, weights)[0], at)))
    return log


def first_of_each(log: Sequence[Written]) -> Iterator[dict[str, Any]]:
    """The events that count: of each id the first in the log."""
    seen: set[str] = set()
    for written in log:
        if written.record["event_id"] not in seen:
            seen.add(written.record["event_id"])
            yield written.read()


def _event(rng: random.Random, topic: str, account: str, at: datetime) -> dict[str, Any]:
    properties = {
        "feature": f"feature-{rng.randrange(9)}",
        "files": rng.choice(["1", "14", "several"]),
        "event": rng.choice(["Signed In", "Exported", "Loaded a Page"]),
        "seats": rng.choice(["3", "12", "a dozen"]),
        "currency": rng.choice(["eur", "usd"]),
        "priority": rng.choice(["low", "normal", "high", "urgent"]),
        "attempt": str(rng.randrange(1, 4)),
    }
    kind = rng.choice(KINDS[topic])
    if kind == "crm.stakeholder_set":
        properties |= {"role": rng.choice(["champion", "billing"]), "status": rng.choice(["active", "left", "left"])}
    number = Decimal(rng.randrange(-(10**9), 10**12)).scaleb(-6)
    if kind in SCALES:
        number = Decimal(rng.randrange(SCALES[kind]))
    kept = {name: text for name, text in properties.items() if rng.random() < 0.8}
    return {
        "event_id": str(UUID(int=rng.getrandbits(128), version=4)),
        "account_id": account,
        "user_id": f"{rng.randrange(15):032x}" if rng.random() < 0.9 else None,
        "kind": kind,
        "source": rng.choice(["one", "two"]),
        "event_time": at + timedelta(microseconds=rng.randrange(10**6)),
        "ingested_at": START,
        "value": number if rng.random() < 0.8 else None,
        "properties": kept,
    }
