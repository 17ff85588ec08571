"""Which rows to score when a bundle of metric values arrives: ticks that passed, ticks that changed, live scores. Pure.

Nothing here outlives a message: after a restart the same rows follow from the store, the log and the newest published
live bundle (`streams.scoring.rebuild`). What a message makes due is published before its offset is committed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from analytics.health.day_values import NEVER, Ints, Mask
from analytics.health.model import HealthModel
from analytics.health.scores import TickScores, earliest_day, score_ticks
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
        spoken: topics whose first load is in those scores, and the day that each had reached for them.
    """

    def __init__(self, model: HealthModel, state: PartitionState, position: int = 0) -> None:
        self.model, self.state, self.position = model, state, position
        self.scored_through: int | None = None
        self.spoken: dict[str, int] = {}
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
        restated = self._restated_from(bundle)
        # The past of an incomplete first load is scored once, when its watermark comes, not flush by flush.
        yield from self._history({} if incomplete else mentions, since, tick, restated)
        live_rows = self._live_rows(mentions, since if restated > tick + 1 else None, tick)
        yield from self._score(live_rows, np.full(len(live_rows), tick + 1, dtype=np.int64), tick + 1, live=True)
        self._spoke(None if since is None else topic)
        self.scored_through = tick
        if len(live_rows) or now - self._published_at >= KEEP_ALIVE_SECONDS:
            self._published_at = now
            if not len(live_rows):
                yield None

    def _restated_from(self, bundle: Mapping[str, Any]) -> int:
        """The tick from which on all accounts' rows change; `NEVER` where the bundle changes none of that kind.

        A gate that moves changes them from its own tick on, and a topic that was behind from the day on that it had
        reached: its signals were stale, and are not now.
        """
        since = min((step.since for step in gate_steps(bundle)), default=NEVER)
        topic = bundle["input_topic"]
        watermark, reached = self.state.progress(topic).watermark, self.spoken.get(topic)
        if reached is not None and watermark is not None and day_of(watermark) > reached:
            since = min(since, reached + 1) if self.state.feeds_signals(topic) else since
        return since

    def _holds_back(self, loading: bool, now: float) -> bool:
        """Whether the first scoring still waits for a topic without a watermark: each would have it all done again."""
        spoken = {name for name, progress in self.state.topics.items() if progress.watermark is not None}
        complete = spoken.issuperset(EVENTS_TOPICS)
        if self._life_at is None or loading:
            self._life_at = now
        return not complete and now - self._life_at < FIRST_LOAD_GRACE_SECONDS

    def _spoke(self, topic: str | None) -> None:
        """Notes how far a topic is in the scores, once its first load is; None: those of all that have a watermark."""
        for name, progress in self.state.topics.items():
            if progress.watermark is not None and topic in (None, name):
                self.spoken[name] = day_of(progress.watermark)

    def _history(self, mentions: Mentions, since: int | None, tick: int, restated: int) -> Iterator[ScoredChunk]:
        """New ticks of every account, and of an account whose windows changed every tick from the first that ends them.

        A changed window is of an open day, so that this goes back by the allowed lateness; longer only when a first
        load or a reconciliation changes the past. From the tick `restated` on all are scored.
        """
        first_ticks = self.state.arrays.first_day + 1
        starts = first_ticks.copy() if since is None else np.full(len(first_ticks), since + 1, dtype=np.int64)
        for row, day in mentions.items():
            starts[row] = min(int(starts[row]), day + 1)
        starts = np.maximum(np.minimum(starts, restated), first_ticks)
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
        warm_up = self.model.warm_up_ticks + 1
        view = self.state.arrays.view()
        circumstances = self.state.circumstances(live=live)
        done = 0
        while done < len(rows):
            first_tick = int(starts[done])
            size = max(1, CELLS_A_CHUNK // (last_tick - first_tick + warm_up))
            chunk, own = rows[done : done + size], starts[done : done + size]
            days = view.select(chunk, earliest_day(self.model, circumstances, first_tick, last_tick), last_tick)
            scores = score_ticks(self.model, days, first_tick, last_tick, circumstances)
            ticks = np.arange(first_tick, last_tick + 1, dtype=np.int64)
            yield ScoredChunk(live, chunk, scores, scores.exists & (ticks >= own[:, None]))
            done += size
