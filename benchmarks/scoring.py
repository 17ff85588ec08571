"""Account-days a second of the health model, beside a floor measured in the same run.

`python -m benchmarks.scoring`. First the formula alone, then a first load through `streams.scoring`: bundles in, Avro
out, without Kafka and the store. The floor is one cumulative sum over each of the same arrays: reading every input once
and writing one number for it, without which no window can be had. Batches are those of streams/scoring.
"""

import io
import time
from collections.abc import Callable

import fastavro
import numpy as np

from analytics.health.day_values import ABSENT, MICRO, DayValues
from analytics.health.model import HealthModel
from analytics.health.scores import score_ticks
from models.loader import read_model
from streams.scoring.bundles import account_groups, bundle_record
from streams.scoring.instants import EPOCH
from streams.scoring.scorer import PartitionScorer
from streams.scoring.state import PartitionState
from tests.scoring.logs import ORIGIN, at_once, windows_of, world
from vitals.avro import parsed_schema

REQUIRED, REQUIRED_ENCODED = 200_000.0, 10_000.0
"""Account-days a second that the design asks for: of the formula, and of a first load with everything around it."""

ACCOUNTS, DAYS, REPEATS = 32, 3650, 5


def synthetic(model: HealthModel, accounts: int, days: int, seed: int = 1) -> DayValues:
    """Busy accounts: every day has events, one day in thirty a new level."""
    rng = np.random.default_rng(seed)
    shape = (accounts, days)
    born = np.zeros(accounts, dtype=np.int64)
    return DayValues(
        origin=0,
        first_day=born,
        summed={metric: rng.poisson(3, shape).astype(np.int64) * MICRO for metric in sorted(model.summed)},
        levels={
            metric: np.where(rng.random(shape) < 1 / 30, rng.integers(1, 90, shape) * MICRO, ABSENT)
            for metric in sorted(model.levels)
        },
        first_seen=dict.fromkeys(sorted(model.first_seen), born),
    )


def best_seconds(work: Callable[[], object]) -> float:
    """Shortest of several runs: the machine is shared, so the shortest is the least disturbed."""
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def first_load(model: HealthModel) -> tuple[float, float]:
    """Day values applied a second, and account-days scored and encoded a second, of one partition's first load."""
    schema = parsed_schema("HealthScoresBundle")
    accounts = world(model, 1, ACCOUNTS, DAYS)
    bundles = at_once(accounts, ORIGIN + DAYS)
    loading = [bundle for bundle in bundles if bundle["accounts"]]
    scorer = PartitionScorer(model, PartitionState(model))
    started = time.perf_counter()
    for offset, bundle in enumerate(loading):
        list(scorer.step(bundle, offset, 0.0))
    applied = time.perf_counter() - started
    rows = 0
    started = time.perf_counter()
    for offset, bundle in enumerate(bundles[len(loading) :]):
        for chunk in scorer.step(bundle, len(loading) + offset, 0.0):
            assert chunk is not None
            rows += int(chunk.due.sum())
            for group in account_groups(chunk, scorer):
                record = bundle_record(scorer, 0, chunk.live, group, EPOCH)
                fastavro.schemaless_writer(io.BytesIO(), schema, record)
    return sum(1 for _ in windows_of(accounts)) / applied, rows / (time.perf_counter() - started)


def main() -> None:
    """Prints both figures and fails below the required one."""
    model = read_model()
    days = synthetic(model, ACCOUNTS, DAYS)
    cells = ACCOUNTS * DAYS
    floor = cells / best_seconds(
        lambda: [np.cumsum(values, axis=1) for values in (*days.summed.values(), *days.levels.values())]
    )
    bulk = cells / best_seconds(lambda: score_ticks(model, days, 1, DAYS))
    tick = ACCOUNTS / best_seconds(lambda: score_ticks(model, days, DAYS, DAYS))
    print(f"model {model.version}: {len(model.signals)} signals, {ACCOUNTS} accounts x {DAYS} days")
    print(f"floor (one cumulative sum a metric)  {floor:12,.0f} account-days/s")
    print(f"history (all ticks at once)          {bulk:12,.0f} account-days/s, {floor / bulk:.1f} x the floor's time")
    print(f"live (one tick, {ACCOUNTS} accounts)           {tick:12,.0f} accounts/s")
    applied, encoded = first_load(model)
    print(f"first load: values applied           {applied:12,.0f} values/s")
    print(f"first load: scored and encoded       {encoded:12,.0f} account-days/s")
    if bulk < REQUIRED or encoded < REQUIRED_ENCODED:
        raise SystemExit(f"Below the required {REQUIRED:,.0f} and {REQUIRED_ENCODED:,.0f} account-days/s.")


if __name__ == "__main__":
    main()
