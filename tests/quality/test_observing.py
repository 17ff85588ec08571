"""What single checks see in events of every odd shape."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from analytics.quality.declarations import Check
from analytics.quality.partials import Partial, merge_all
from streams.quality.observing import observe
from streams.rollup.batch import read_batch
from streams.rollup.partition import PartitionState
from tests.quality.logs import START, check, event
from tests.rollup.logs import LogDecoder, LogMessage


def seen(chosen: Check, events: Sequence[dict[str, Any]], source: str = "stripe") -> Partial:
    """All that a check sees in billing events with the given fields."""
    log = [
        LogMessage(number, event(number, source, "billing.invoice_paid", START, 1, **fields))
        for number, fields in enumerate(events)
    ]
    batch = read_batch("events.billing", {0: log}, LogDecoder(log), {0: PartitionState(0)})
    return merge_all(partial for _, partial in observe("events.billing", [chosen], batch))


def properties(name: str, *texts: str | None) -> list[dict[str, Any]]:
    return [{"properties": {} if text is None else {name: text, "other": "x"}} for text in texts]


def validity(**more: Any) -> Check:
    return check("v", "validity", topic="events.billing", maximum_share=0, **more)


@pytest.mark.parametrize(
    ("chosen", "events", "records", "flagged"),
    [
        (validity(field="properties.n", minimum=0, maximum=5),
         properties("n", "0", "5", "5.000001", "-1", "many", "NaN", "Infinity", "1e3", "", None), 9, 7),
        (validity(field="value", maximum=5), [{"value": Decimal(5)}, {"value": Decimal("5.1")}, {}], 2, 1),
        (validity(field="properties.c", code_list="iso4217"),
         properties("c", "usd", "EUR", "xxq", "dem", "", None), 5, 3),
        (validity(field="properties.p", one_of=["low", "high"]), properties("p", "low", "HIGH", "high"), 3, 1),
        (validity(field="properties.p", pattern="[a-z]+"), properties("p", "ab", "ab\n", "aB", ""), 4, 3),
        (validity(field="event_time", ahead_seconds=60),
         [{"ingested_at": START - timedelta(seconds=s)} for s in (-9, 0, 60, 61)], 4, 1),
        (check("c", "completeness", topic="events.billing", field="properties.n", maximum_share=0),
         properties("n", "x", " \t", "", None), 4, 3),
        (check("c", "completeness", topic="events.billing", field="user_id", maximum_share=0),
         [{"user_id": "u"}, {}], 2, 1),
        (check("c", "completeness", topic="events.billing", field="value", maximum_share=0),
         [{"value": Decimal(0)}, {}], 2, 1),
        (check("u", "uniqueness", topic="events.billing", maximum_share=0),
         [{"event_id": "00000000-0000-0000-0000-0000000000aa"}] * 3 + [{"event_id": "no id"}], 3, 2),
        (check("k", "completeness", topic="events.billing", kinds=["billing.payment_failed"], field="value",
               maximum_share=0), [{}], 0, 0),
        (check("s", "completeness", topic="events.billing", sources=["chargebee"], field="value", maximum_share=0),
         [{}], 0, 0),
    ],
)  # fmt: skip
def test_records_and_flagged(chosen: Check, events: list[dict[str, Any]], records: int, flagged: int) -> None:
    found = seen(chosen, events)
    assert (found.records, found.flagged) == (records, flagged)


def test_drift_counts_categories_and_leaves_out_what_has_none() -> None:
    chosen = check("d", "drift", topic="events.billing", field="properties.f", maximum_divergence=0.1)
    found = seen(chosen, properties("f", "a", "b", "a", None))
    assert (found.records, found.counts) == (3, {"a": 2, "b": 1})


def test_no_events_are_nothing() -> None:
    assert seen(validity(field="properties.n", minimum=0), []) == Partial()
