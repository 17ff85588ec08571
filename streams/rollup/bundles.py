"""A flush as records: one bundle, cut into parts where it would be too large. Pure."""

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from typing import Any

from metrics.catalogue import DEFINITION_VERSION
from streams.rollup.batch import Misfit
from streams.rollup.state import ChangedValue, Flush, aware

ACCOUNTS_A_PART = 500
VALUES_A_PART = 5_000
"""About 85 B a value in Avro: a part stays under 512 KB."""


def bundles(flush: Flush, partition: int, written_at: datetime) -> list[dict[str, Any]]:
    """The flush as `MetricValuesBundle` records, in the order in which they are to be written.

    Watermark, seal and counts hold once the last part is applied, so the earlier parts do not carry them.
    """
    parts = list(_parts(flush.values)) or [[]]
    records = []
    for number, accounts in enumerate(parts):
        last = number == len(parts) - 1
        records.append(
            {
                "input_topic": flush.topic,
                "input_partition": partition,
                "next_offset": flush.next_offset,
                "definition_version": DEFINITION_VERSION,
                "rank": 0,
                "last_part": last,
                "watermark": flush.watermark if last else None,
                "sealed_through": flush.sealed_through if last else None,
                "newest_ingested_at": flush.newest_ingested_at,
                "accounts": accounts,
                "counts": [
                    {"kind": kind, "fate": fate, "count": count}
                    for (kind, fate), count in sorted(flush.counts.items())
                    if last and count
                ],
                "written_at": written_at,
            }
        )
    return records


def _parts(values: list[ChangedValue]) -> Iterator[list[dict[str, Any]]]:
    part: list[dict[str, Any]] = []
    size = 0
    for account, rows in groupby(sorted(values), key=lambda value: value[0]):
        encoded = [
            {"metric": metric, "grain": grain, "window_start": aware(start), "value": value}
            for _, metric, grain, start, value in rows
        ]
        for start in range(0, len(encoded), VALUES_A_PART):
            chunk = encoded[start : start + VALUES_A_PART]
            if part and (len(part) >= ACCOUNTS_A_PART or size + len(chunk) > VALUES_A_PART):
                yield part
                part, size = [], 0
            part.append({"account_id": account, "values": chunk})
            size += len(chunk)
    if part:
        yield part


def misfit_record(misfit: Misfit, topic: str, partition: int, set_aside_at: datetime) -> dict[str, Any]:
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
        "origin": f"{topic}/{partition}/{misfit.message.offset()}",
        "attempt": 1,
        "original": misfit.message.value() or b"",
        "set_aside_at": set_aside_at,
    }
