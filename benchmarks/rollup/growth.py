"""How our cost grows: one dimension at a time around the comparison's log, each beside its own floors."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.rollup.broker import EVENTS
from benchmarks.rollup.contender import Field
from benchmarks.rollup.contenders import consume_only, consume_paused, worker
from benchmarks.rollup.jobs.our_worker import extended
from benchmarks.rollup.log import Shape
from benchmarks.rollup.measured import Measured
from metrics.catalogue import metrics_of

MANY_EVENTS = 2_000_000
"""Beyond so many events one run is enough."""


@dataclass(frozen=True)
class Step:
    """One configuration. `metrics` are those that read the topic; None is the catalogue as it is."""

    dimension: str
    shape: Shape
    metrics: int | None = None

    @property
    def size(self) -> int:
        """Where on its dimension the step is."""
        if self.dimension == "metrics":
            return self.metrics or len(metrics_of(EVENTS))
        return int(getattr(self.shape, self.dimension))


def steps(base: Shape) -> Iterator[Step]:
    """Every configuration; what does not vary is as in `base`."""
    for events in (base.events // 10, base.events, base.events * 10):
        yield Step("events", replace(base, events=events))
    for accounts in (100, 1_000, 10_000, 100_000, 1_000_000):
        yield Step("accounts", replace(base, accounts=accounts))
    for partitions in (1, 2, 4, 8, 16):
        yield Step("partitions", replace(base, partitions=partitions))
    for metrics in (5, 10, 20, 50):
        yield Step("metrics", base, metrics)


def measure(step: Step, field: Field, repeats: int) -> tuple[list[Measured], list[Measured]]:
    """Runs of both floors and of the worker, in turn."""
    floors, ours = [], []
    for _ in range(1 if step.shape.events > MANY_EVENTS else repeats):
        floors += consume_only.run(field) + consume_paused.run(field)
        if step.metrics is None:
            ours += worker.run(field)
        else:
            expected = [(metric.name, grain) for metric in extended(step.metrics) for grain in metric.grains]
            ours.append(worker.run_synthetic(field, worker.NAME, f"--metrics={step.metrics}", expected))
    return floors, ours
