"""All ten years, undisturbed and with every process killed in mid-load: the same tables, equal to the file's."""

import time
from collections import Counter
from datetime import date, datetime
from pathlib import Path

import pytest

from tests.faults.pipeline import pipeline
from tests.faults.recomputed import declared_counts, independent_script, recomputed_metrics, recomputed_scores
from tests.faults.test_one_year import KILLED, SERVICES
from tests.long.conftest import Facts

START = "2024-03-01T06:00:00Z"
TICKS = [date(2016, 5, 1), date(2019, 11, 11), date(2023, 6, 30)]


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_ten_years_killed_in_mid_load_end_as_undisturbed_and_as_the_file_says(
    data_dir: Path, tmp_path: Path, facts: Facts
) -> None:
    script, until = independent_script(), datetime.fromisoformat(START)
    with pipeline(tmp_path / "undisturbed", data_dir, START, SERVICES) as run:
        began = time.monotonic()
        run.wait_complete(600)
        facts("ten years loaded, scored and at rest, undisturbed", f"{time.monotonic() - began:.0f} s")
        expected = run.tables()
        counted: Counter[str] = Counter()
        for stage, _, _, kind, fate, count in expected["counts"]:
            if (stage, fate) == ("rollup", "counted"):
                counted[kind] += count
            elif fate == "quarantined":
                counted["quarantined"] += count
        for kind, declared in declared_counts(script, data_dir).items():
            assert counted[kind] == declared, kind
        facts("counted by kind", ", ".join(f"{kind} {count:,}" for kind, count in sorted(counted.items())))
        metrics = recomputed_metrics(run, script, data_dir, until)
        for metric, (stored, recomputed) in metrics.items():
            assert stored == recomputed, metric
        facts("metric values equal to the independent script's", f"{sum(len(s) for s, _ in metrics.values()):,}")
        scores = recomputed_scores(run, script, data_dir, TICKS, 40, until)
        assert sum(bool(recomputed) for _, recomputed in scores) >= 30
        for stored, recomputed in scores:
            assert stored == recomputed
        facts("scores equal to the independent script's", f"{sum(bool(r) for _, r in scores)} at {len(TICKS)} ticks")
    kills = 0
    with pipeline(tmp_path / "disturbed", data_dir, START, SERVICES) as run:
        run.wait_underway("sink_offsets")
        for name in KILLED:
            run.kill(name)
            kills += 1
        run.wait_underway("metric_values", 5_000)
        run.kill(*KILLED)
        run.stack.restart("kafka")
        run.wait_underway("health_scores", 1_000)
        for name in ("scoring", "sink-timescale", "sink-redis", "rollup"):
            run.kill(name)
            kills += 1
        run.wait_complete(900)
        got = run.tables()
    for table, rows in expected.items():
        assert got[table] == rows, table
    facts(
        "killed in mid-load",
        f"{kills + len(KILLED)} processes with SIGKILL and one restart of the broker; "
        f"{sum(map(len, expected.values())):,} rows in {len(expected)} tables identical",
    )
