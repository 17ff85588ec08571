"""The rollup benchmark's contenders, plan and report."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from benchmarks.rollup import report
from benchmarks.rollup.__main__ import found, planned
from benchmarks.rollup.environments import ENVIRONMENTS
from benchmarks.rollup.growth import steps
from benchmarks.rollup.log import Shape
from benchmarks.rollup.measured import Measured

SHAPE = Shape()
FLOOR = Measured("consume only", 1_000_000, 2.0, 1.5, 100_000_000)
WORKER = Measured("worker", 1_000_000, 4.0, 6.0, 400_000_000, rows=10)


def test_every_contender_is_found_once_and_the_floor_comes_first() -> None:
    everyone = found()
    names = [contender.NAME for contender in everyone.values()]
    assert names[0] == report.FLOOR
    assert report.OURS in names
    assert len(set(names)) == len(names)
    assert len({contender.ORDER for contender in everyone.values()}) == len(names)


def test_repeated_ones_run_in_every_round_and_peers_once() -> None:
    everyone = list(found().values())
    plan = [contender.NAME for contender in planned(everyone, 5)]
    assert all(plan.count(contender.NAME) == (5 if contender.REPEATED else 1) for contender in everyone)


def test_ratios_are_of_medians() -> None:
    slow = replace(WORKER, seconds=10.0)
    table = report.comparison(SHAPE, [FLOOR, WORKER, slow, WORKER], {"Spark": "no network"})
    assert "| worker | 250,000 | 100,000 to 250,000 | 0.500 | - | 6.0 | 400 | 10 rows right |" in table
    assert "| worker / consume only | >= 0.45 (goal 0.6) | 0.50 | met | 0.25 |" in table
    assert "| Spark | - | - | - | - | - | - | no result | no network |" in table


def test_a_wrong_row_in_any_run_is_said() -> None:
    table = report.comparison(SHAPE, [WORKER, replace(WORKER, problem="1 row is wrong")], {})
    assert "WRONG: 1 row is wrong" in table


def test_a_section_replaces_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    report.write(path, "Growth", "grown")
    report.write(path, "Comparison", "old table")
    report.write(path, "Comparison", "new table")
    text = path.read_text()
    assert "old table" not in text
    assert text.index("new table") < text.index("grown")
    assert text.count("\n## ") == 2


def test_growth_varies_one_dimension_at_a_time() -> None:
    sizes: dict[str, list[int]] = defaultdict(list)
    for step in steps(SHAPE):
        sizes[step.dimension].append(step.size)
    assert sizes["events"] == [100_000, 1_000_000, 10_000_000]
    assert (sizes["accounts"][0], sizes["accounts"][-1]) == (100, 1_000_000)
    assert (sizes["partitions"][0], sizes["partitions"][-1]) == (1, 16)
    assert (sizes["metrics"][0], sizes["metrics"][-1]) == (5, 50)


def test_every_pin_has_a_hash() -> None:
    for requirements, _ in ENVIRONMENTS.values():
        text = requirements.read_text()
        assert 0 < text.count("==") <= text.count("--hash="), requirements
