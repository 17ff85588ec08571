"""What scoring knows of one partition: day values, and how far each events topic has come. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from analytics.health.circumstances import Circumstances
from analytics.health.gates import Gates, GateStep
from analytics.health.model import HealthModel
from schemas.topics import events_topic
from streams.scoring.arrays import EARLIEST_DAY, LATEST_DAY, AccountArrays, micro_units
from streams.scoring.instants import DAY, EPOCH, day_of
from vitals.errors import BadRecordError

STREAM_RANK = 0
"""Rank of values from the stream; reconciliation has a greater one and wins within a definition version."""

Mentions = dict[int, int]
"""By row: the earliest day of that account that a bundle mentions."""

_Windows = dict[str, dict[int, int]]


@dataclass
class TopicProgress:
    """How far one events topic has come in this partition.

    Attributes:
        revision: (definition version, next offset) of the newest complete flush; older values are dropped.
        has_values: whether any window of it is in the state.
    """

    revision: tuple[int, int] = (0, 0)
    watermark: datetime | None = None
    sealed_through: datetime | None = None
    has_values: bool = False


class PartitionState:
    """Day values and progress of one partition, a pure function of the bundles applied, in whatever cuts they came."""

    def __init__(self, model: HealthModel) -> None:
        self._metrics = {metric: events_topic(metric) for metric in sorted(model.summed | model.levels)}
        self.arrays = AccountArrays(model)
        self.gates = Gates()
        self.topics: dict[str, TopicProgress] = {}
        self.newest_ingested_at: datetime | None = None
        self._certified: dict[tuple[int, str, int], tuple[int, int]] = {}

    @property
    def watermark(self) -> datetime | None:
        """That of the furthest topic, which drives the tick; null until a first load is complete."""
        return max((topic.watermark for topic in self.topics.values() if topic.watermark is not None), default=None)

    @property
    def sealed_through(self) -> datetime | None:
        """Up to where every topic that has spoken is sealed; null while one is not at all."""
        bounds = [topic.sealed_through for topic in self.topics.values()]
        known = [bound for bound in bounds if bound is not None]
        return min(known) if known and len(known) == len(bounds) else None

    def circumstances(self, *, live: bool) -> Circumstances:
        """What scores depend on besides the windows. A topic in its first load limits nothing."""
        days = {
            topic: day_of(progress.watermark)
            for topic, progress in self.topics.items()
            if progress.watermark is not None
        }
        complete = {metric: days[topic] for metric, topic in self._metrics.items() if topic in days}
        return Circumstances(complete, live, self.gates)

    def feeds_signals(self, topic: str) -> bool:
        """Whether any signal's metric is of that topic."""
        return topic in self._metrics.values()

    def progress(self, topic: str) -> TopicProgress:
        """Progress of a topic, none yet where it has not spoken."""
        return self.topics.setdefault(topic, TopicProgress())

    def apply(self, bundle: Mapping[str, Any]) -> Mentions:
        """Folds a `MetricValuesBundle` in and returns what it mentions, whether or not that was news.

        A flush in parts moves its topic's progress with the last part only: a rollup that died between two parts sends
        the rest again under older revisions, which must not be dropped.

        Raises:
            BadRecordError: a value or a window that cannot be right; nothing of the bundle is applied.
        """
        for step in gate_steps(bundle):
            self.gates.apply(step)
        checked = [(account["account_id"], _windows(account["values"])) for account in bundle["accounts"]]
        topic = self.progress(bundle["input_topic"])
        revision = (bundle["definition_version"], bundle["next_offset"])
        from_stream = bundle["rank"] == STREAM_RANK
        outdated = from_stream and revision < topic.revision
        mentions: Mentions = {}
        for account_id, windows in checked:
            if windows:
                row = self.arrays.row(account_id)
                mentions[row] = min(day for days in windows.values() for day in days)
                if not outdated:
                    self._put(account_id, row, windows, (bundle["definition_version"], bundle["rank"]))
        if from_stream and not outdated:
            topic.has_values = topic.has_values or bool(mentions)
            if bundle["last_part"]:
                topic.revision = revision
                self._advance(topic, bundle)
        return mentions

    def restore(self, account_id: str, metric: str, windows: Mapping[int, int], certified: tuple[int, int]) -> None:
        """Sets what the store holds of one metric of one account. `certified`: (definition version, rank)."""
        row = self.arrays.row(account_id)
        if certified[1] > STREAM_RANK:
            self._certified |= {(row, metric, day): certified for day in windows}
        self._write(account_id, metric, windows)
        topic = self.progress(events_topic(metric))
        topic.has_values = True

    def restore_gates(self, steps: list[dict[str, Any]]) -> None:
        """Sets what the store holds of the gates."""
        for step in gate_steps({"gates": steps}):
            self.gates.apply(step)

    def _advance(self, topic: TopicProgress, bundle: Mapping[str, Any]) -> None:
        for name in ("watermark", "sealed_through"):
            value, before = bundle[name], getattr(topic, name)
            if value is not None and (before is None or value > before):
                setattr(topic, name, value)
        newest = bundle["newest_ingested_at"]
        if newest is not None and (self.newest_ingested_at is None or newest > self.newest_ingested_at):
            self.newest_ingested_at = newest

    def _put(self, account_id: str, row: int, windows: _Windows, revision: tuple[int, int]) -> None:
        for metric, days in windows.items():
            kept = days
            if self._certified and revision[1] == STREAM_RANK:
                certified = self._certified
                kept = {
                    day: value for day, value in days.items() if revision > certified.get((row, metric, day), (0, 0))
                }
            elif revision[1] > STREAM_RANK:
                self._certified |= {(row, metric, day): revision for day in days}
            if kept:
                self._write(account_id, metric, kept)

    def _write(self, account_id: str, metric: str, windows: Mapping[int, int]) -> None:
        days = np.fromiter(windows.keys(), dtype=np.int64, count=len(windows))
        values = np.fromiter(windows.values(), dtype=np.int64, count=len(windows))
        self.arrays.put(account_id, metric, days, values)


def gate_steps(bundle: Mapping[str, Any]) -> list[GateStep]:
    """The gates that a bundle tells of. A window that ends within a day is first seen by the tick after it."""
    return [
        GateStep(
            step["check"],
            step["source"],
            step["version"],
            -((EPOCH - step["since"]) // DAY),
            step["closed"],
            frozenset(step["metrics"]),
        )
        for step in bundle.get("gates", ())
    ]


def _windows(values: list[dict[str, Any]]) -> _Windows:
    """The day windows among an account's values, by metric and day, in 10^-6 units."""
    windows: _Windows = {}
    for value in values:
        if value["grain"] != "day":
            continue
        day = day_of(value["window_start"])
        if not EARLIEST_DAY <= day < LATEST_DAY:
            raise BadRecordError(f"{value['metric']} has a window that starts on {value['window_start']:%Y-%m-%d}.")
        windows.setdefault(value["metric"], {})[day] = micro_units(value["value"], value["metric"])
    return windows
