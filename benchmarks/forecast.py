"""Forecasts beside seasonal naive, ETS and Theta, from rolling origins in the same run: MASE, coverage, time.

`python -m benchmarks.forecast [--quick]`. Data: the two seasonal series and the accounts of the real usage data of
`VITALS_DATA_DIR`, and daily usage and weekly tickets of the generated world's accounts. An origin's forecast knows
nothing after it, and its intervals come from backtests before it.
"""

import csv
import gzip
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from analytics.forecasting.candidates import Floats, peers
from analytics.forecasting.series import Forecast, filled, forecast_series, interval, mase_scale
from batch.forecast.run import pooled_errors
from batch.forecast.table import read_series
from connectors.simulation import generated

LEVELS = (80, 95)


@dataclass(frozen=True)
class Task:
    """Series of one kind, and from where to forecast them."""

    name: str
    series: Sequence[Floats]
    seasons: tuple[int, ...]
    horizon: int
    origins: int


def data_dir() -> Path:
    return Path(os.environ.get("VITALS_DATA_DIR", "../shared/data"))


def seasonal(name: str, time_column: str, value_column: str) -> Floats:
    with gzip.open(data_dir() / "seasonal" / name, "rt") as file:
        return read_series(file, time_column, value_column, None)[0].values


def usage(accounts: int) -> list[Floats]:
    """Events a week of the accounts with the most weeks."""
    weeks: dict[str, Counter[int]] = defaultdict(Counter)
    with gzip.open(data_dir() / "git_usage" / "events.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            if row["personal_email"] != "1":
                weeks[row["account"]][date.fromisoformat(row["timestamp"][:10]).toordinal() // 7] += 1
    chosen = sorted(weeks.values(), key=len, reverse=True)[:accounts]
    last = max(max(each) for each in chosen)
    return [np.array([each[week] for week in range(min(each), last)], dtype=np.float64) for each in chosen]


def world(accounts: int) -> Iterator[tuple[Floats, Floats]]:
    """Daily events and weekly tickets of each account of a generated world."""
    made = generated.Generator(5, accounts, history_days=365, arrivals=False).world()
    days: dict[int, Counter[int]] = defaultdict(Counter)
    tickets: dict[int, Counter[int]] = defaultdict(Counter)
    for account, at in zip(made.events.company.tolist(), made.events.event_time.tolist(), strict=True):
        days[account][at // 86_400] += 1
    for account, at in zip(made.tickets.account.tolist(), made.tickets.opened_at.tolist(), strict=True):
        tickets[account][at // 86_400 // 7] += 1
    last = max(max(each) for each in days.values())
    for account, counted in days.items():
        first = min(counted)
        if last - first > 200:
            daily = np.array([counted[day] for day in range(first, last)], dtype=np.float64)
            weekly = np.array([tickets[account][week] for week in range(first // 7 + 1, last // 7)], dtype=np.float64)
            yield daily, weekly


def run(task: Task) -> str:
    """One line of the table."""
    errors: dict[str, list[float]] = defaultdict(list)
    inside: dict[int, list[float]] = defaultdict(list)
    seconds = 0.0
    for number in range(1, task.origins + 1):
        made: list[Forecast] = []
        cases: list[tuple[Floats, Floats]] = []
        for values in task.series:
            origin = len(values) - number * task.horizon
            cases.append((values[:origin], values[origin : origin + task.horizon]))
            began = time.perf_counter()
            made.append(forecast_series(values[:origin], task.horizon, task.seasons))
            seconds += time.perf_counter() - began
        pooled = pooled_errors(made)
        for (training, real), one in zip(cases, made, strict=True):
            known = ~np.isnan(real)
            history = filled(training, max(task.seasons, default=1))
            scale = mase_scale(history, one.seasons[0] if one.seasons else 1)
            errors["combined"].append(float(np.abs(one.mean - real)[known].mean()) / scale)
            for peer in peers(history, one.seasons):
                mean, _ = peer.forecast(history, task.horizon)
                errors[peer.name].append(float(np.abs(mean - real)[known].mean()) / scale)
            for level in LEVELS:
                lower, upper = interval(one, level, pooled)
                inside[level].append(float(((real >= lower) & (real <= upper))[known].mean()))
    mase = " | ".join(f"{np.mean(errors[name]):.3f}" for name in ("combined", "seasonal_naive", "ets", "theta"))
    cover = " | ".join(f"{100 * np.mean(inside[level]):.1f}%" for level in LEVELS)
    count = len(task.series) * task.origins
    sizes = f"{len(task.series)} x {task.origins} | {task.horizon}"
    return f"| {task.name} | {sizes} | {mase} | {cover} | {seconds / count:.2f} |"


def main() -> None:
    """Prints the table, line by line."""
    quick = "--quick" in sys.argv
    accounts = list(world(40 if quick else 120))
    tasks = [
        Task(
            "daily page views", [seasonal("daily_peyton_manning.csv.gz", "ts", "y")], (7, 365), 28, 4 if quick else 12
        ),
        Task(
            "hourly traffic",
            [seasonal("hourly_traffic_volume.csv.gz", "date_time", "traffic_volume")[-8_000:]],
            (24, 168),
            48,
            4 if quick else 12,
        ),
        Task("real accounts, events a week", usage(10 if quick else 40), (52,), 8, 2 if quick else 3),
        Task("world's accounts, events a day", [daily for daily, _ in accounts], (7,), 28, 1 if quick else 2),
        Task("world's accounts, tickets a week", [weekly for _, weekly in accounts], (), 4, 1 if quick else 3),
    ]
    print("| series | forecasts | steps | MASE combined | seasonal naive | ETS | Theta | in 80% | in 95% | s each |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for task in tasks:
        print(run(task), flush=True)


if __name__ == "__main__":
    main()
