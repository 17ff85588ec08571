"""Records for the sinks' tests, and what the tables must hold after them, computed plainly and independently."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

from sinks.delivery import Delivery, Message, Source

DAY_ONE = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MODEL = "health-test"
NAMESPACE = UUID("00000000-0000-0000-0000-00000000abcd")

Record = dict[str, Any]


def account(number: int) -> str:
    """The id of the n-th account."""
    return str(uuid5(NAMESPACE, str(number)))


def score(day: int, micro: int | None, **more: Any) -> Record:
    """A health score whose every column follows from its value, so that a mixed-up row shows."""
    return {
        "tick": DAY_ONE + day * DAY,
        "score": micro,
        "band": "unknown" if micro is None else "watch",
        "trend": "flat",
        "coverage": 1_000_000,
        "contributions": [micro, None],
        "signal_values": [None, None if micro is None else micro / 7],
        "adjustment": -day,
        "segment": f'"{day}", a segment',
        "statuses": ["missing", "not_applicable"] if micro is None else ["fresh", "stale"],
    } | more


def scores_bundle(
    partition: int, position: int, scores: Mapping[str, list[Record]], *, live: bool = False, model: str = MODEL
) -> Record:
    """A `HealthScoresBundle`; its freshness follows from its position."""
    return {
        "model": model,
        "partition": partition,
        "position": position,
        "live": live,
        "watermark": DAY_ONE + timedelta(seconds=position),
        "sealed_through": DAY_ONE,
        "newest_ingested_at": DAY_ONE + timedelta(seconds=position + 1),
        "accounts": [{"account_id": account_id, "scores": rows} for account_id, rows in scores.items()],
        "written_at": DAY_ONE,
    }


def metric(name: str, day: int, value: int, grain: str = "day") -> Record:
    """A metric value."""
    return {"metric": name, "grain": grain, "window_start": DAY_ONE + day * DAY, "value": Decimal(value)}


def values_bundle(
    partition: int,
    next_offset: int,
    values: Mapping[str, list[Record]],
    *,
    counts: Iterable[tuple[str, str, int]] = (),
    last_part: bool = True,
    definition_version: int = 1,
    rank: int = 0,
) -> Record:
    """A `MetricValuesBundle` of events.product."""
    return {
        "input_topic": "events.product",
        "input_partition": partition,
        "next_offset": next_offset,
        "definition_version": definition_version,
        "rank": rank,
        "last_part": last_part,
        "watermark": DAY_ONE + timedelta(seconds=next_offset),
        "sealed_through": None,
        "newest_ingested_at": DAY_ONE + timedelta(seconds=next_offset + 1),
        "accounts": [{"account_id": account_id, "values": rows} for account_id, rows in values.items()],
        "counts": [{"kind": kind, "fate": fate, "count": count} for kind, fate, count in counts],
        "written_at": DAY_ONE,
    }


def profile(account_id: str, day: int, name: str) -> Record:
    """An `AccountProfile`."""
    return {
        "account_id": account_id,
        "crm_id": f"crm-{account_id}",
        "name": name,
        "segment": "enterprise",
        "owner": None,
        "region": "emea",
        "plan": "gold",
        "created_at": DAY_ONE,
        "valid_from": DAY_ONE + day * DAY,
        "deleted": False,
        "source": "salesforce",
    }


def delivery(topic: str, partition: int, offset: int, record: Record) -> Delivery:
    """The record as read from the log."""
    return Delivery(Message(Source(topic, partition), offset, None, b""), record)


def expected_scores(bundles: Iterable[Record], *, live: bool) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Key to (score, position) of `health_live` or `health_scores`.

    Raises AssertionError where one revision has two values: then there is no one right answer.
    """
    best: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for bundle in bundles:
        if bundle["live"] != live:
            continue
        for entry in bundle["accounts"]:
            for row in entry["scores"]:
                key = (entry["account_id"], bundle["model"]) + (() if live else (row["tick"],))
                _keep_greater(best, key, (bundle["position"],), row["score"])
    return {key: (value, *revision) for key, (revision, value) in best.items()}


def expected_values(bundles: Iterable[Record]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Key to (value, definition version, rank, position) of `metric_values`. Raises as `expected_scores` does."""
    best: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for bundle in bundles:
        revision = (bundle["definition_version"], bundle["rank"], bundle["next_offset"])
        for entry in bundle["accounts"]:
            for row in entry["values"]:
                key = (entry["account_id"], row["metric"], row["grain"], row["window_start"])
                _keep_greater(best, key, revision, row["value"])
    return {key: (value, *revision) for key, (revision, value) in best.items()}


def _keep_greater(best: dict[Any, Any], key: Any, revision: tuple[int, ...], value: object) -> None:
    held = best.get(key)
    if held is not None and held[0] == revision:
        assert held[1] == value, f"revision {revision} of {key} has two values: {held[1]} and {value}"
    if held is None or revision > held[0]:
        best[key] = (revision, value)


TABLE_OF_SCORES = "select account_id::text, model, tick, score, position from health_scores"
TABLE_OF_LIVE = "select account_id::text, model, score, position from health_live"
TABLE_OF_VALUES = (
    "select account_id::text, metric, grain, window_start, value, definition_version, rank, position from metric_values"
)
