"""Mistakes in a model's file: every one, where it is, and what was meant."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from metrics.catalogue import catalogue
from models.cli import health
from models.linting import Finding, lint
from models.loader import MODELS, read_model
from models.showing import model_table

GRAINS = {metric.name: tuple(metric.grains) for metric in catalogue()}
TEXT = (MODELS / "2026-11.yaml").read_text()


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def changed(*changes: tuple[str, str]) -> list[Finding]:
    text = TEXT
    for before, after in changes:
        assert before in text
        text = text.replace(before, after, 1)
    return lint(text, GRAINS)


def test_every_model_that_comes_with_vitals_is_valid() -> None:
    for path in MODELS.glob("*.yaml"):
        assert lint(path.read_text(), GRAINS) == []


@pytest.mark.parametrize(
    ("before", "after", "place", "message"),
    [
        ("    weight: 25", "    wieght: 25", "$.signals[0]", "did you mean weight?"),
        ("    weight: 25", "    weight: many", "$.signals[0].weight", "'many' is not of type 'integer'"),
        ("comparison: ratio_to_baseline", "comparison: ratio_to_base", "$.signals[0].comparison", "mean ratio_to"),
        ("metric: product.events}", "metric: product.event}", "$.signals[0].inputs[0].metric", "mean product.events?"),
        ("group: usage", "group: useage", "$.signals[0]", "group useage is not one of"),
        ("curve: [[0, 0], [0.5, 40]", "curve: [[0, 0], [0, 40]", "$.signals[0]", "the curve's values must rise"),
        ("{name: watch, from: 45}", "{name: watch, from: 75}", "$.bands[1]", "must start below healthy"),
        ("label: First health model\n", "", "$", "label is missing"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_at_its_line(before: str, after: str, place: str, message: str) -> None:
    found = changed((before, after))
    assert any(one.place == place and message in one.message for one in found), found
    if place.startswith("$.signals[0]."):
        line = line_of(TEXT, before.splitlines()[0])
        assert any(one.line == line for one in found if one.place == place)


def test_all_mistakes_are_told_in_the_order_of_their_lines() -> None:
    found = changed(
        ("weight: 25", "wieght: 25"), ("comparison: days_since", "comparison: days"), ("from: 0}", "from: low}")
    )
    assert len(found) >= 4
    assert found == sorted(found)


@pytest.mark.parametrize("text", ["", "a: [1", "- 1\n- 2\n", "version: 5\n"])
def test_what_is_no_model_at_all_is_told(text: str) -> None:
    assert lint(text, GRAINS)


def test_a_metric_without_days_cannot_be_read_by_a_model() -> None:
    grains = GRAINS | {"product.events": ("minute", "hour")}
    assert any("no day windows" in one.message for one in lint(TEXT, grains))


def test_the_command_ends_with_a_status_and_the_places(tmp_path: Path) -> None:
    good = CliRunner().invoke(health, ["lint"])
    assert (good.exit_code, "valid" in good.output) == (0, True)
    bad = tmp_path / "bad.yaml"
    bad.write_text(TEXT.replace("weight: 25", "weight: 0"))
    told = CliRunner().invoke(health, ["lint", str(bad)])
    assert told.exit_code == 1
    assert (
        f"{bad}:{line_of(TEXT, 'weight: 25')}:13: $.signals[0].weight: 0 is less than the minimum of 1." in told.output
    )


def test_a_model_is_shown_with_all_that_it_says() -> None:
    model = read_model()
    text = model_table(model)
    assert all(signal.name in text for signal in model.signals)
    assert all(band.name in text for band in model.bands)
    assert model.version in text
