"""Measures a contender from outside: wall time between two instants, CPU seconds and memory of its process tree."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import psutil

INTERVAL_SECONDS = 0.1
FAMILY_INTERVAL_SECONDS = 2.0
"""How often the tree is searched for new processes: that reads all of /proc."""


@dataclass(frozen=True)
class Measured:
    """One run of one contender. `problem` is empty where the result is right to the row; `busy_cores` is what other
    work of the machine took just before.
    """

    name: str
    events: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    rows: int = 0
    problem: str = ""
    note: str = ""
    busy_cores: float = 0.0

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    @property
    def cpu_per_million(self) -> float:
        """CPU seconds per million events."""
        return self.cpu_seconds / self.events * 1e6


@dataclass(frozen=True)
class Summary:
    """Several runs of one contender: medians, the largest peak, and every problem."""

    name: str
    runs: tuple[Measured, ...]

    @property
    def rate(self) -> float:
        """Events a second, median."""
        return median(run.rate for run in self.runs)

    @property
    def rates(self) -> tuple[float, float]:
        """Slowest and fastest run."""
        return min(run.rate for run in self.runs), max(run.rate for run in self.runs)

    @property
    def cpu_per_million(self) -> float:
        """CPU seconds per million events, median."""
        return median(run.cpu_per_million for run in self.runs)

    @property
    def peak_bytes(self) -> int:
        """Largest peak."""
        return max(run.peak_bytes for run in self.runs)

    @property
    def busy_cores(self) -> float:
        """Median of what other work took."""
        return median(run.busy_cores for run in self.runs)

    @property
    def problem(self) -> str:
        """What was wrong in any run."""
        return "; ".join(sorted({run.problem for run in self.runs if run.problem}))


def summaries(runs: Sequence[Measured]) -> list[Summary]:
    """Runs by contender, in the order in which contenders first came."""
    names = dict.fromkeys(run.name for run in runs)
    return [Summary(name, tuple(run for run in runs if run.name == name)) for name in names]


@dataclass(frozen=True)
class _Sample:
    at: float
    cpu_seconds: float
    resident_bytes: int


class Meter:
    """Samples a process and its descendants until closed. Instants are `time.time()`."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._family = [self._root]
        self._family_due = 0.0
        self._samples: list[_Sample] = []
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)
        self._thread.start()

    def sample(self) -> None:
        """Takes a sample now."""
        with self._lock:
            now = time.monotonic()
            if now >= self._family_due:
                self._family_due = now + FAMILY_INTERVAL_SECONDS
                try:
                    self._family = [self._root, *self._root.children(recursive=True)]
                except psutil.NoSuchProcess:
                    return
            cpu, resident = 0.0, 0
            for process in self._family:
                try:
                    with process.oneshot():
                        # What a child used is added to its parent's once it has ended.
                        cpu += sum(process.cpu_times()[:4])
                        resident += process.memory_info().rss
                except psutil.NoSuchProcess:
                    self._family_due = 0.0
            if cpu:
                self._samples.append(_Sample(time.time(), cpu, resident))

    def measured(self, name: str, events: int, began: float, ended: float) -> Measured:
        """What was used between two instants; the peak is that of the process's whole life until then."""
        with self._lock:
            samples = list(self._samples)
        peak = max(sample.resident_bytes for sample in samples if sample.at <= ended + INTERVAL_SECONDS)
        used = _cpu_at(samples, ended) - _cpu_at(samples, began)
        return Measured(name, events, ended - began, used, peak)

    def close(self) -> None:
        """Stops sampling."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.wait(INTERVAL_SECONDS):
            self.sample()


def _cpu_at(samples: Sequence[_Sample], instant: float) -> float:
    """CPU seconds used until an instant, between samples in proportion."""
    before = max((each for each in samples if each.at <= instant), key=lambda each: each.at, default=None)
    after = min((each for each in samples if each.at > instant), key=lambda each: each.at, default=None)
    if before is None or after is None:
        known = before or after
        return known.cpu_seconds if known else 0.0
    share = (instant - before.at) / (after.at - before.at)
    return before.cpu_seconds + share * (after.cpu_seconds - before.cpu_seconds)


def judged(measured: Measured, rows: int, problem: str, note: str = "") -> Measured:
    """A run with the verdict on its result."""
    return replace(measured, rows=rows, problem=problem, note=note or measured.note)


def busy_cores() -> float:
    """Cores that the machine's work takes now; Kafka at rest takes next to none."""
    return psutil.cpu_percent(1.0) / 100 * (psutil.cpu_count() or 1)
