"""`vitals detect`: a row out for every row in, and mistakes in a sentence."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from batch.detect.cli import detect
from tests.detection.planted import SHAPES, series
from tests.detection.running import answers_of
from vitals.errors import UserError


def run(*arguments: str, told: str | None = None) -> Result:
    answer = CliRunner().invoke(detect, arguments, input=told)
    if answer.exception is not None and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    return answer


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_every_row_is_answered_in_its_order_with_its_own_text(tmp_path: Path) -> None:
    one = series(SHAPES[0], 3)
    file = tmp_path / "series.csv"
    lines = [f"{time:.0f},x,{value:.3f}" for time, value in zip(one.times, one.values, strict=True)]
    lines[5] = lines[5].rpartition(",")[0] + ","
    file.write_text("\n".join(["when,note,amount", *lines]) + "\n")
    answered = rows(run(str(file), "--timestamp-column", "when", "--value-column", "amount").stdout)
    assert list(answered[0]) == ["timestamp", "value", "anomaly_score", "expected", "lower", "upper", "kind"]
    assert [row["timestamp"] for row in answered] == [line.split(",")[0] for line in lines]
    assert [row["value"] for row in answered] == [line.split(",")[2] for line in lines]
    assert answered[5]["anomaly_score"] == "0.000000"
    assert {row["kind"] for row in answered} >= {"", "spike", "silence"}
    values = [float(row["value"]) if row["value"] else float("nan") for row in answered]
    expected = answers_of(np.array(values), one.times)[:, 0]
    assert [float(row["anomaly_score"]) for row in answered] == pytest.approx(expected.tolist(), abs=1e-6)


def test_a_prefix_of_the_file_gives_a_prefix_of_the_answer_and_standard_input_works(tmp_path: Path) -> None:
    lines = [f"2026-01-{1 + day // 24:02d} {day % 24:02d}:00:00,{50 + day % 24}" for day in range(600)]
    whole = run("-", told="\n".join(["timestamp,value", *lines])).stdout
    part = run("-", told="\n".join(["timestamp,value", *lines[:300]])).stdout
    assert whole.startswith(part)
    out = tmp_path / "out.csv"
    told = run("-", "--output", str(out), told="\n".join(["timestamp,value", *lines]))
    assert out.read_text() == whole
    assert "600 rows, 0 anomalies" in told.stderr


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("", "empty"),
        ("time,value\n1,2\n", "no column timestamp: the file has time, value"),
        ("timestamp,value\n2026-01-01,1\nyesterday,2\n", "Line 3: 'yesterday' is no timestamp"),
        ("timestamp,value\n2026-01-01,many\n", "Line 2: 'many' is no number"),
        ("timestamp,value\n2026-01-01\n", "Line 2 has 1 cells only"),
    ],
)
def test_mistakes_are_told_with_their_place(told: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        run("-", told=told)


def test_a_missing_file_is_told() -> None:
    with pytest.raises(UserError, match=r"nowhere\.csv cannot be opened"):
        run("nowhere.csv")
