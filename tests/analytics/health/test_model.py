"""Every model file is valid, and a mistake in one is named in a sentence."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.loader import MODELS, model_of, read_model
from vitals.errors import UserError

Definition = dict[str, Any]
PATHS = sorted(MODELS.glob("*.yaml"))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_model_file_is_valid_and_named_after_its_version(path: Path) -> None:
    assert read_model(path).version == f"health-{path.stem}"


def test_the_default_is_the_newest() -> None:
    assert read_model().version == f"health-{PATHS[-1].stem}"


def set_at(definition: Definition, path: str, value: object) -> None:
    target: Any = definition
    *parents, leaf = path.split("/")
    for key in parents:
        target = target[int(key) if key.isdigit() else key]
    target[int(leaf) if leaf.isdigit() else leaf] = value


def drop(key: str) -> Callable[[Definition], None]:
    return lambda definition: definition["signals"][0].pop(key)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("signals/0/weight", 0, r"\$\.signals\[0\]\.weight: 0 is less than the minimum of 1"),
        ("signals/0/weight", 1.5, r"1\.5 is not of type 'integer'"),
        ("signals/0/comparison", "slope", r"'slope' is not one of"),
        ("signals/0/carry_days", 9, r"\$\.signals\[0\]: carry_days does not belong to this comparison"),
        ("signals/6/inputs/0/factor", 2, r"factor does not belong to this comparison"),
        ("signals/0/curve", [[0, 0], [1, 101]], r"101 is greater than the maximum of 100"),
        ("signals/0/curve", [[1, 0], [1, 50]], r"Signal usage_volume: the curve's values must rise, but 1 follows 1"),
        ("signals/0/group", "mood", r"Signal usage_volume: group mood is not one of usage, adoption"),
        ("signals/0/windows", 28, r"'windows' was unexpected"),
        ("signals/0/baseline/minimum_days", 200, r"minimum_days is more than baseline\.days"),
        ("signals/0/inputs/0/factor", 100_000, r"could overflow 64 bits"),
        ("signals/1/name", "usage_volume", r"Signal usage_volume is named twice"),
        ("bands/0/from", 30, r"Band watch must start below healthy"),
        ("bands/2/from", 5, r"The last band, at_risk, must start at 0"),
        ("bands/0/name", "unknown", r"Band unknown is named twice"),
        ("bands/0/from", 70.1234567, r"more than six decimals"),
        ("signals/6/inputs/0/metric", "product.events", r"Metric product\.events is added up by one signal"),
    ],
)
def test_a_mistake_is_named(path: str, value: object, expected: str) -> None:
    definition = copy.deepcopy(dict(read_model().definition))
    set_at(definition, path, value)
    with pytest.raises(UserError, match=expected):
        model_of(definition, "edited.yaml")


def test_a_comparison_without_its_settings_is_refused() -> None:
    definition = copy.deepcopy(dict(read_model().definition))
    drop("baseline")(definition)
    with pytest.raises(UserError, match="baseline"):
        model_of(definition, "edited.yaml")


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_model(tmp_path / "missing.yaml")
    (tmp_path / "broken.yaml").write_text("a: [")
    with pytest.raises(UserError, match="is not YAML"):
        read_model(tmp_path / "broken.yaml")
