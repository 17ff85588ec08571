"""Random worlds as logs of `MetricValuesBundle` records, and published scores as plain rows."""

import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from analytics.health.model import HealthModel
from schemas.topics import EVENTS_TOPICS, events_topic
from streams.scoring.bundles import account_groups, bundle_record
from streams.scoring.instants import DAY, DAY_MICROS, EPOCH
from streams.scoring.scorer import PartitionScorer
from streams.scoring.state import PartitionState
from tests.analytics.health.worlds import Windows, random_windows

ORIGIN = 18_000
"""First day of every world."""

Bundle = dict[str, Any]
World = dict[str, Windows]
Row = dict[str, Any]


def world(model: HealthModel, seed: int, accounts: int, days: int) -> World:
    """Accounts with random windows; each has at least one."""
    made: World = {}
    number = 0
    while len(made) < accounts:
        windows = random_windows(model, seed * 1000 + number, days, ORIGIN)
        windows.pop("product.value", None)
        if any(windows.values()):
            made[str(UUID(int=seed * 1000 + number + 1))] = {name: each for name, each in windows.items() if each}
        number += 1
    return made


def midnight(day: int) -> datetime:
    return EPOCH + day * DAY


def bundle(
    topic: str,
    next_offset: int,
    values: Iterable[tuple[str, str, int, int]] = (),
    watermark: datetime | None = None,
    sealed_through: datetime | None = None,
    **more: Any,
) -> Bundle:
    """A bundle of (account, metric, day, value in 10^-6 units)."""
    accounts: dict[str, list[dict[str, Any]]] = {}
    for account_id, metric, day, value in values:
        accounts.setdefault(account_id, []).append(
            {
                "metric": metric,
                "grain": "day",
                "window_start": midnight(day),
                "value": Decimal(value).scaleb(-6),
            }
        )
    return {
        "input_topic": topic,
        "input_partition": 0,
        "next_offset": next_offset,
        "definition_version": 1,
        "rank": 0,
        "last_part": True,
        "watermark": watermark,
        "sealed_through": sealed_through,
        "newest_ingested_at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next_offset),
        "accounts": [{"account_id": account_id, "values": rows} for account_id, rows in accounts.items()],
        "counts": [],
        "written_at": datetime(2026, 1, 1, tzinfo=UTC),
        **more,
    }


def windows_of(accounts: World) -> Iterator[tuple[str, str, int, int]]:
    """(account, metric, day, value) of every window."""
    for account_id, windows in accounts.items():
        for metric, days in windows.items():
            for day, value in days.items():
                yield account_id, metric, day, value


def at_once(accounts: World, last_day: int) -> list[Bundle]:
    """A first load: everything with the watermark null, then the watermark of each topic at midday of the last day."""
    bundles = []
    for topic in EVENTS_TOPICS:
        values = [window for window in windows_of(accounts) if events_topic(window[1]) == topic]
        bundles.append(bundle(topic, 10, values))
    return bundles + [
        bundle(topic, 20, (), midnight(last_day) + DAY / 2, midnight(last_day)) for topic in EVENTS_TOPICS
    ]


def day_by_day(accounts: World, first_day: int, last_day: int, seed: int) -> list[Bundle]:
    """The same world as a live stream from `first_day` on: small flushes, values that are corrected, late ones, parts.

    What lies before `first_day` is loaded at first. Topics advance at their own pace.
    """
    chance = random.Random(seed)
    offsets = dict.fromkeys(EVENTS_TOPICS, 100)
    arrivals: dict[tuple[str, int], list[tuple[str, str, int, int]]] = {}
    early: dict[str, list[tuple[str, str, int, int]]] = {topic: [] for topic in EVENTS_TOPICS}
    for account_id, metric, day, value in windows_of(accounts):
        topic = events_topic(metric)
        if day < first_day:
            early[topic].append((account_id, metric, day, value))
            continue
        arrives = min(day + (chance.randrange(6) if chance.random() < 0.2 else 0), last_day)
        if value:
            # A window grows through the day: an earlier, smaller value comes first.
            arrivals.setdefault((topic, day), []).append((account_id, metric, day, value // 2))
        arrivals.setdefault((topic, arrives), []).append((account_id, metric, day, value))
    bundles = [bundle(topic, 50, values) for topic, values in early.items()]
    bundles += [bundle(topic, 60, (), midnight(first_day) + DAY / 3) for topic in EVENTS_TOPICS]
    for day in range(first_day, last_day + 1):
        for topic in chance.sample(EVENTS_TOPICS, len(EVENTS_TOPICS)):
            values = arrivals.get((topic, day), [])
            parts = max(1, min(len(values), chance.randrange(1, 4)))
            size = -(-len(values) // parts)
            for number in range(parts):
                offsets[topic] += 1
                # A flush has a window once, with its newest value.
                part = {each[:3]: each for each in values[number * size : (number + 1) * size]}.values()
                bundles.append(bundle(topic, offsets[topic], part, midnight(day) + DAY / 2, midnight(day - 6)))
    return bundles


class Published:
    """What a log of `HealthScoresBundle` records amounts to: the newest revision of every row."""

    def __init__(self) -> None:
        self.history: dict[tuple[str, int], Row] = {}
        self.live: dict[str, Row] = {}
        self.position = 0
        self.watermark: datetime | None = None
        self._positions: dict[Any, int] = {}

    def add(self, record: dict[str, Any]) -> None:
        """Applies one record as a sink does."""
        for account in record["accounts"]:
            for score in account["scores"]:
                row = {**score, "tick": tick_of(score["tick"])}
                key = account["account_id"] if record["live"] else (account["account_id"], row["tick"])
                if self._positions.get(key, -1) <= record["position"]:
                    self._positions[key] = record["position"]
                    target: dict[Any, Row] = self.live if record["live"] else self.history
                    target[key] = row
        if record["live"]:
            self.position, self.watermark = record["position"], record["watermark"]


def tick_of(instant: Any) -> int:
    """A tick's number, from what fastavro took or gave."""
    return int(instant // DAY_MICROS) if isinstance(instant, int) else (instant - EPOCH) // DAY


def scorer_of(model: HealthModel) -> PartitionScorer:
    return PartitionScorer(model, PartitionState(model))


def run(scorer: PartitionScorer, bundles: Iterable[Bundle], published: Published, first_offset: int = 0) -> Published:
    """Steps through bundles, one a second, and collects what is published."""
    for number, each in enumerate(bundles):
        offset = first_offset + number
        for chunk in scorer.step(each, offset, float(offset)):
            if chunk is None:
                published.add(bundle_record(scorer, 0, True, [], EPOCH))
            else:
                for group in account_groups(chunk, scorer):
                    published.add(bundle_record(scorer, 0, chunk.live, group, EPOCH))
    return published
