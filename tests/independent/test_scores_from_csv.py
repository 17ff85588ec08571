"""The independent script against the product's own scorer, on the real file's day metrics."""

import importlib.util
import json
import random
import subprocess
import sys
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from models.loader import read_model
from streams.scoring.scorer import PartitionScorer
from streams.scoring.state import PartitionState
from tests.scoring.logs import Published, at_once, run

SCRIPT = Path(__file__).with_name("scores_from_csv.py")
MODEL = read_model()
LAST = (date(2024, 3, 1) - date(1970, 1, 1)).days
ACCOUNTS = 12


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scores_from_csv", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def worlds(script: ModuleType, data_dir: Path) -> dict[str, Any]:
    """Day windows of some accounts, small and large."""
    rows = script.rows_of(data_dir / "git_usage" / "events.csv.gz")
    labels = random.Random(4).sample(sorted({row["account"] for row in rows}), ACCOUNTS)
    return {label: script.windows_of(rows, label) for label in labels}


def test_the_scorer_agrees_exactly_on_real_activity(script: ModuleType, worlds: dict[str, Any]) -> None:
    published = run(PartitionScorer(MODEL, PartitionState(MODEL)), at_once(worlds, LAST), Published())
    chance = random.Random(9)
    for label, tick in chance.sample(sorted(published.history), 150):
        assert published.history[(label, tick)] == script.score_at(MODEL.definition, worlds[label], tick)


def test_the_command_line_prints_the_same(worlds: dict[str, Any], script: ModuleType, data_dir: Path) -> None:
    label = sorted(worlds, key=lambda each: -sum(map(len, worlds[each].values())))[0]
    printed = subprocess.run(
        [sys.executable, str(SCRIPT), label, "2023-11-01", "--data", str(data_dir)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    answer = json.loads(printed)
    expected = script.score_at(MODEL.definition, worlds[label], (date(2023, 11, 1) - date(1970, 1, 1)).days)
    assert answer["score"] == expected["score"]
    assert list(answer["contributions"].values()) == expected["contributions"]
    assert list(answer["signal_values"].values()) == expected["signal_values"]
    assert sum(part for part in answer["contributions"].values() if part is not None) == answer["score"]


def test_totals_are_the_declared_counts(script: ModuleType, data_dir: Path) -> None:
    """docs/data-mapping.md declares them; they tie the script's reading of the file to the vendors'."""
    rows = script.rows_of(data_dir / "git_usage" / "events.csv.gz")
    labels = sorted({row["account"] for row in rows})
    by_label: dict[str, list[dict[str, str]]] = {label: [] for label in labels}
    for row in rows:
        by_label[row["account"]].append(row)
    assert len(labels) == 244
    assert len(rows) == 50_312
    assert len({row["change_id"] for row in rows}) == 36_911
    seats = [seats for own in by_label.values() for _, seats in script.seats_of(own)]
    assert sum(each > 0 for each in seats) == 2_172
    assert sum(each == 0 for each in seats) == 978
    assert sum(seats) == 7_549
