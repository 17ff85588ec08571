"""Which rows to score when a bundle of metric values arrives: ticks that passed, ticks that changed, live scores. Pure.

Nothing here outlives a message: after a restart the same rows follow from the store, the log and the newest published
live bundle (`streams.scoring.rebuild`). What a message makes due is published before its offset is committed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from analytics.health.day_values import Ints, Mask
from analytics.health.model import HealthModel
from analytics.health.scores import TickScores, score_ticks
from schemas.topics import EVENTS_TOPICS
from streams.scoring.instants import day_of
from streams.scoring.state import Mentions, PartitionState, gate_steps

FIRST_LOAD_GRACE_SECONDS: Final = 15.0
"""How long the first scoring waits for topics without a watermark, after the last sign of life of any of them."""

KEEP_ALIVE_SECONDS: Final = 1.0
"""A partition in which nothing changed still publishes its watermark this often."""

CELLS_A_CHUNK: Final = 120_000
"""Account-days computed at once: small enough for the processor's caches, large enough for numpy."""


@dataclass(frozen=True)
class ScoredChunk:
    """Rows to publish: of `scores`, whose accounts are the state's `rows`, those that `due` marks."""

    live: bool
    rows: Ints
    scores: TickScores
    due: Mask


class PartitionScorer:
    """Scores of one partition.

    Attributes:
        position: first offset of `metrics.values` that is not in the state.
        scored_through: newest tick that every account is scored through; None before the first load is scored.
        spoken: topics whose first load is in those scores.
    """

    def __init__(self, model: HealthModel, state: PartitionState, position: int = 0) -> None:
        self.model, self.state, self.position = model, state, position
        self.scored_through: int | None = None
        self.spoken: set[str] = set()
        self._life_at: float | None = None
        self._published_at = float("-inf")

    def step(self, bundle: Mapping[str, Any], offset: int, now: float) -> Iterator[ScoredChunk | None]:
        """Applies one bundle and yields what is to be published: history, then live rows; None: an empty live bundle.

        `now` is a number of seconds on a clock that only goes forward. The step is done once the iterator ends.

        Raises:
            BadRecordError: the bundle cannot be right; it is not applied, and nothing was yielded.
        """
        mentions = self.state.apply(bundle)
        self.position = max(self.position, offset + 1)
        watermark = self.state.watermark
        if watermark is None:
            return
        topic, progress = bundle["input_topic"], self.state.progress(bundle["input_topic"])
        incomplete = progress.watermark is None
        if self.scored_through is None and self._holds_back(incomplete and bool(mentions), now):
            return
        completed = not incomplete and topic not in self.spoken and progress.has_values
        since = None if completed else self.scored_through
        tick = day_of(watermark)
        gated = min((step.since for step in gate_steps(bundle)), default=None)
        # The past of an incomplete first load is scored once, when its watermark comes, not flush by flush.
        yield from self._history({} if incomplete else mentions, since, tick, gated)
        regated = gated is not None and gated <= tick + 1
        live_rows = self._live_rows(mentions, None if regated else since, tick)
        yield from self._score(live_rows, np.full(len(live_rows), tick + 1, dtype=np.int64), tick + 1, live=True)
        self._spoke(None if since is None else topic)
        self.scored_through = tick
        if len(live_rows) or now - self._published_at >= KEEP_ALIVE_SECONDS:
            self._published_at = now
            if not len(live_rows):
                yield None

    def _holds_back(self, loading: bool, now: float) -> bool:
        """Whether the first scoring still waits for a topic without a watermark: each would have it all done again."""
        spoken = {name for name, progress in self.state.topics.items() if progress.watermark is not None}
        complete = spoken.issuperset(EVENTS_TOPICS)
        if self._life_at is None or loading:
            self._life_at = now
        return not complete and now - self._life_at < FIRST_LOAD_GRACE_SECONDS

    def _spoke(self, topic: str | None) -> None:
        """Notes that a topic's first load is scored; None: those of all topics that have a watermark."""
        for name, progress in self.state.topics.items():
            if progress.watermark is not None and topic in (None, name):
                self.spoken.add(name)

    def _history(self, mentions: Mentions, since: int | None, tick: int, gated: int | None) -> Iterator[ScoredChunk]:
        """New ticks of every account, and of an account whose windows changed every tick from the first that ends them.

        A changed window is of an open day, so that this goes back by the allowed lateness; longer only when a first
        load or a reconciliation changes the past. From the tick on at which a gate moved (`gated`) all are scored.
        """
        first_ticks = self.state.arrays.first_day + 1
        starts = first_ticks.copy() if since is None else np.full(len(first_ticks), since + 1, dtype=np.int64)
        for row, day in mentions.items():
            starts[row] = min(int(starts[row]), day + 1)
        if gated is not None:
            starts = np.minimum(starts, gated)
        starts = np.maximum(starts, first_ticks)
        rows = np.flatnonzero(starts <= tick)
        yield from self._score(rows, starts[rows], tick, live=False)

    def _live_rows(self, mentions: Mentions, since: int | None, tick: int) -> Ints:
        """Accounts whose live score changes: all of them when the day rolls, else those with changed windows."""
        exists = self.state.arrays.first_day <= tick
        if since is None or tick > since:
            return np.flatnonzero(exists)
        rows = np.array(sorted(mentions), dtype=np.int64)
        return rows[exists[rows]]

    def _score(self, rows: Ints, starts: Ints, last_tick: int, *, live: bool) -> Iterator[ScoredChunk]:
        """Scores each account from its own start to the last tick, in chunks of accounts with similar starts."""
        order = np.argsort(starts, kind="stable")
        rows, starts = rows[order], starts[order]
        warm_up = self.model.trend.ticks
        view = self.state.arrays.view()
        done = 0
        while done < len(rows):
            first_tick = int(starts[done])
            size = max(1, CELLS_A_CHUNK // (last_tick - first_tick + warm_up))
            chunk, own = rows[done : done + size], starts[done : done + size]
            days = view.select(chunk, first_tick - self.model.lookback_days, last_tick)
            scores = score_ticks(self.model, days, first_tick, last_tick, self.state.gates)
            ticks = np.arange(first_tick, last_tick + 1, dtype=np.int64)
            yield ScoredChunk(live, chunk, scores, scores.exists & (ticks >= own[:, None]))
            done += size
