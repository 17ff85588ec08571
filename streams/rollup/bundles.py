"""A flush as records: one bundle, cut into parts where it would be too large. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from metrics.catalogue import DEFINITION_VERSION
from streams.rollup.batch import Misfit
from streams.rollup.encoding import AccountValues, encoded_array, spliced
from streams.rollup.partition import Counts
from vitals.avro import primitive

ACCOUNTS_A_PART = 500
VALUES_A_PART = 5_000
"""About 85 B a value in Avro: a part stays under 512 KB."""


@dataclass(frozen=True)
class Flush:
    """What one batch changed in one partition of one topic."""

    topic: str
    partition: int
    next_offset: int
    accounts: list[AccountValues]
    watermark: datetime | None
    sealed_through: datetime | None
    newest_ingested_at: datetime | None
    counts: Counts
    sealed_more: bool


def bundles(flush: Flush, written_at: datetime) -> Iterator[bytes]:
    """The flush as Avro bodies of `MetricValuesBundle`, in the order in which they are to be written.

    Watermark, seal and counts hold once the last part is applied, so the earlier parts do not carry them.
    """
    parts = list(_parts(flush.accounts)) or [[]]
    for number, accounts in enumerate(parts):
        last = number == len(parts) - 1
        record = {
            "input_topic": flush.topic,
            "input_partition": flush.partition,
            "next_offset": flush.next_offset,
            "definition_version": DEFINITION_VERSION,
            "rank": 0,
            "last_part": last,
            "watermark": flush.watermark if last else None,
            "sealed_through": flush.sealed_through if last else None,
            "newest_ingested_at": flush.newest_ingested_at,
            "counts": [
                {"kind": kind, "fate": fate, "count": count}
                for (kind, fate), count in sorted(flush.counts.items())
                if last and count
            ],
            "written_at": written_at,
        }
        encoded = b"".join(
            primitive("string", account.account_id) + encoded_array(account.values, account.items)
            for account in accounts
        )
        yield spliced("MetricValuesBundle", record, "accounts", encoded_array(len(accounts), encoded))


def _parts(accounts: list[AccountValues]) -> Iterator[list[AccountValues]]:
    """Accounts in parts. None has more values than a part may have."""
    part: list[AccountValues] = []
    size = 0
    for account in accounts:
        if part and (len(part) >= ACCOUNTS_A_PART or size + account.values > VALUES_A_PART):
            yield part
            part, size = [], 0
        part.append(account)
        size += account.values
    if part:
        yield part


def misfit_record(misfit: Misfit, topic: str, set_aside_at: datetime) -> dict[str, Any]:
    """A message that is set aside, as a `LateEvent` or `DeadLetter` record."""
    event = misfit.event or {}
    return {
        "source": event.get("source", "rollup"),
        "stage": "rollup",
        "event_id": event.get("event_id"),
        "kind": event.get("kind"),
        "account_ref": event.get("account_id"),
        "event_time": event.get("event_time"),
        "error_class": misfit.error_class,
        "message": misfit.reason,
        "origin": f"{topic}/{misfit.partition}/{misfit.message.offset()}",
        "attempt": 1,
        "original": misfit.message.value() or b"",
        "set_aside_at": set_aside_at,
    }
