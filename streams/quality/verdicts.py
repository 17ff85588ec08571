"""Judges windows: each once when it closes, in order; the open one whenever it changes. Pure.

A closed window's result is a function of the logs. A gate moves with it: it opens or closes where a check's verdict on
a source changes, and stays where there is not enough to speak.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from analytics.quality.declarations import Check, Freshness, KnownAccounts, Volume
from analytics.quality.judging import History, Judgement, judge
from analytics.quality.partials import Partial
from streams.quality.state import Judged, QualityState
from streams.quality.store import CARRIED


@dataclass(frozen=True)
class Result:
    """One check's result for one window of one source. A final one is never taken back."""

    check: Check
    source: str
    window_start: int
    judgement: Judgement
    final: bool


@dataclass(frozen=True)
class GateStep:
    """From `since` on (microseconds since the epoch, the end of a window) a check closes its gate for a source, or
    opens it.
    """

    check: Check
    source: str
    since: int
    closed: bool


Ends = Mapping[tuple[str, int], int]
"""Offsets after the last record, by topic and partition."""


class LogEnds(Protocol):
    """Where the logs end, for checks whose windows are closed by other logs than hold their records: what was written
    before a window closed must be read before it is judged.
    """

    def now(self) -> Ends:
        """Where they end at this instant."""
        ...

    def reached(self, ends: Ends) -> bool:
        """Whether everything before them is in the state."""
        ...


class Verdicts:
    """Judges what a state holds."""

    def __init__(self, state: QualityState, ends: LogEnds) -> None:
        self._state, self._ends = state, ends
        self._waiting: dict[str, tuple[int, Ends]] = {}
        self._merged: dict[tuple[str, str, int], Partial] = {}
        self._so_far: dict[tuple[str, str], Partial] = {}
        self._told: dict[tuple[str, str, int], Judgement] = {}

    def closed(self) -> Iterator[Result | GateStep]:
        """Results of the windows that closed since the last time, and the gates that moved. Once the iterator ends
        they count as published.
        """
        for check in self._state.declared:
            bound = self._state.bound(check)
            if bound is None:
                continue
            known = self._state.judged(check)
            end = bound // check.window_micros * check.window_micros
            if known is not None and end <= known.through:
                continue
            if isinstance(check, KnownAccounts | Freshness):
                if check.name not in self._waiting:
                    self._waiting[check.name] = (end, self._ends.now())
                end, ends = self._waiting[check.name]
                if not self._ends.reached(ends):
                    continue
                del self._waiting[check.name]
            failing = {} if known is None else dict(known.failing)
            for window in self._windows(check, None if known is None else known.through, end):
                yield from self._judge_closed(check, window, failing)
            if check.cumulative:
                self._carry(check, end)
            self._state.set_judged(check, Judged(end, failing))
            self._prune(check, end)

    def open(self) -> Iterator[Result]:
        """Provisional results of each check's open window, where they are others than the last time."""
        changed, later = self._state.changed, set()
        for check in self._state.declared:
            bound = self._state.bound(check)
            if bound is None and check.cumulative:
                continue  # a first load: all of history would be merged each time
            newest = max((window for name, window in changed if name == check.name), default=None)
            window = newest if bound is None else bound // check.window_micros * check.window_micros
            later |= {
                (name, each)
                for name, each in changed
                if name == check.name and (bound is None or window is None or each > window)
            }
            if window is None or (check.name, window) not in changed:
                continue
            for source in self._sources(check, window):
                judgement = _so_far_today(check, judge(check, window, self._history(check, source, window, None)))
                key = (check.name, source, window)
                if self._told.get(key) != judgement:
                    self._told[key] = judgement
                    yield Result(check, source, window, judgement, final=False)
        self._state.changed = later

    def _judge_closed(self, check: Check, window: int, failing: dict[str, bool]) -> Iterator[Result | GateStep]:
        if check.cumulative:
            self._carry(check, window)
        for source in self._sources(check, window):
            judgement = judge(check, window, self._history(check, source, window, window))
            yield Result(check, source, window, judgement, final=True)
            if judgement.verdict == "not_enough_data":
                continue
            failed = judgement.verdict == "failed"
            if failing.get(source) != failed:
                failing[source] = failed
                if check.gates or check.version > 1:  # an older version may have had gates
                    yield GateStep(check, source, window + check.window_micros, failed)

    def _windows(self, check: Check, start: int | None, end: int) -> Iterator[int]:
        """The windows to judge: those with anything in them; each, where nothing is a finding too."""
        present = [window for window in self._state.windows.windows(check.name) if window < end]
        if not check.cumulative and not isinstance(check, Volume):
            yield from (window for window in present if start is None or window >= start)
            return
        first = min(present, default=end) if start is None else start
        yield from range(first, end, check.window_micros)

    def _sources(self, check: Check, window: int) -> list[str]:
        store = self._state.windows
        if check.cumulative:
            return [
                source
                for source in store.sources(check.name)
                if (check.name, source) in self._so_far or store.merged(check.name, source, window) is not None
            ]
        known = isinstance(check, Volume)  # its silence is a finding
        before = range(window - check.reference_micros, window, 7 * check.window_micros) if known else ()
        return [
            source
            for source in store.sources(check.name)
            if any(store.merged(check.name, source, each) is not None for each in (*before, window))
        ]

    def _history(self, check: Check, source: str, window: int, closed_through: int | None) -> History:
        windows = {}
        for start in range(window - check.reference_micros, window + 1, check.window_micros):
            partial = self._at(check.name, source, start, closed_through)
            if partial is not None:
                windows[start] = partial
        carried = self._so_far.get((check.name, source), Partial())
        return History(windows, carried, self._furthest(check, window) if isinstance(check, Freshness) else None)

    def _furthest(self, check: Check, window: int) -> int | None:
        store = self._state.windows
        reached = [partial.furthest for (name, _), partial in self._so_far.items() if name == check.name]
        for source in store.sources(check.name):
            partial = store.merged(check.name, source, window)
            reached.append(None if partial is None else partial.furthest)
        return max((instant for instant in reached if instant is not None), default=None)

    def _at(self, check: str, source: str, window: int, closed_through: int | None) -> Partial | None:
        """A window over all partitions; that of a closed one is kept, because it will not change."""
        key = (check, source, window)
        if key in self._merged:
            return self._merged[key]
        partial = self._state.windows.merged(check, source, window)
        if partial is not None and closed_through is not None and window <= closed_through:
            self._merged[key] = partial
        return partial

    def _carry(self, check: Check, window: int) -> None:
        """Merges everything before a window into what is so far."""
        store = self._state.windows
        restored = not any(name == check.name for name, _ in self._so_far)
        before = [each for each in store.windows(check.name) if each < window]
        for source in store.sources(check.name):
            so_far = self._so_far.get((check.name, source), Partial())
            for each in ([CARRIED] if restored else []) + before:
                partial = store.merged(check.name, source, each)
                so_far = so_far if partial is None else so_far.merged(partial)
            if so_far != Partial():
                self._so_far[(check.name, source)] = so_far
        store.forget(check, window)

    def _prune(self, check: Check, end: int) -> None:
        floor = end - check.reference_micros
        for kept in (self._merged, self._told):
            for key in [key for key in kept if key[0] == check.name and key[2] < floor]:
                del kept[key]


def _so_far_today(check: Check, judgement: Judgement) -> Judgement:
    """A day that goes on has not too few events yet."""
    few = judgement.observed is not None and judgement.lower is not None and judgement.observed < judgement.lower
    return replace(judgement, verdict="not_enough_data") if isinstance(check, Volume) and few else judgement
