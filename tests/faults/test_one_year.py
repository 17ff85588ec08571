"""One year of real activity through the whole pipeline: the counts add up, an independent script agrees, and killed
processes change nothing. All ten years: tests/long.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.faults.pipeline import pipeline, year_of_git_usage
from tests.faults.recomputed import declared_counts, independent_script, recomputed_metrics, recomputed_scores

START = "2024-01-02T06:00:00Z"
TICKS = [date(2023, 4, 2), date(2023, 8, 15), date(2023, 12, 24)]
SERVICES = ("bootstrap", "simulators", "connect", "collect", "rollup", "scoring", "sink-timescale", "sink-redis")
KILLED = ("rollup", "scoring", "sink-timescale", "sink-redis", "connect", "collect")


@dataclass
class Undisturbed:
    """What an undisturbed run ended with."""

    tables: dict[str, list[tuple[Any, ...]]]
    scores: list[tuple[Any, Any]]
    metrics: dict[str, tuple[Any, Any]]
    declared: dict[str, int]
    by_fate: dict[tuple[str, str, str], int] = field(default_factory=dict)


@pytest.fixture(scope="module")
def one_year(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return year_of_git_usage(data_dir, tmp_path_factory.mktemp("year"), "2023")


@pytest.fixture(scope="module")
def undisturbed(one_year: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    script, until = independent_script(), datetime.fromisoformat(START)
    with pipeline(tmp_path_factory.mktemp("undisturbed"), one_year, START, SERVICES) as run:
        run.wait_complete()
        tables = run.tables()
        by_fate: Counter[tuple[str, str, str]] = Counter()
        for stage, _, _, kind, fate, count in tables["counts"]:
            by_fate[(stage, kind, fate)] += count
        yield Undisturbed(
            tables,
            recomputed_scores(run, script, one_year, TICKS, 10, until),
            recomputed_metrics(run, script, one_year, until),
            declared_counts(script, one_year),
            dict(by_fate),
        )


@pytest.mark.timeout(400)
def test_counts_add_up_by_kind_and_equal_what_the_file_declares(undisturbed: Undisturbed) -> None:
    counts = undisturbed.by_fate
    kinds = {kind for _, kind, _ in counts}
    for kind in kinds:
        published = counts.get(("connector", kind, "published"), 0)
        ended = sum(counts.get(("rollup", kind, fate), 0) for fate in ("counted", "duplicate", "late", "dead_lettered"))
        assert published == ended, kind
        assert counts.get(("rollup", kind, "late"), 0) == 0, kind
    for kind, declared in undisturbed.declared.items():
        if kind == "quarantined":
            assert sum(count for (_, _, fate), count in counts.items() if fate == "quarantined") == declared
        else:
            assert counts[("rollup", kind, "counted")] == declared, kind
    assert not [key for key in counts if key[2] == "dead_lettered"]


def test_three_metrics_equal_those_of_the_independent_script(undisturbed: Undisturbed) -> None:
    for metric, (stored, expected) in undisturbed.metrics.items():
        assert expected, metric
        assert stored == expected, metric


def test_ten_scores_at_three_past_ticks_equal_those_of_the_independent_script(undisturbed: Undisturbed) -> None:
    assert len(undisturbed.scores) == 30
    assert sum(bool(expected) for _, expected in undisturbed.scores) >= 10
    for stored, expected in undisturbed.scores:
        assert stored == expected


def test_contributions_sum_to_the_score_in_every_row(undisturbed: Undisturbed) -> None:
    rows = undisturbed.tables["health_scores"] + undisturbed.tables["health_live"]
    assert len(rows) > 10_000
    for row in rows:
        score, contributions = row[3], row[7]
        applicable = [part for part in contributions if part is not None]
        assert score == (sum(applicable) if applicable else None)


@pytest.mark.timeout(400)
def test_killed_in_mid_load_ends_as_undisturbed(undisturbed: Undisturbed, one_year: Path, tmp_path: Path) -> None:
    with pipeline(tmp_path / "disturbed", one_year, START, SERVICES) as run:
        run.wait_underway("sink_offsets")
        run.kill("connect")
        run.kill("rollup", "sink-timescale")
        run.wait_underway("metric_values", 100)
        run.kill("scoring", "connect")
        run.stack.restart("kafka")
        run.wait_underway("health_scores", 100)
        run.kill(*KILLED)
        run.wait_complete()
        got = run.tables()
    for table, rows in undisturbed.tables.items():
        assert got[table] == rows, table
