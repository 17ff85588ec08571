"""`vitals forecast`: files in, files out, and mistakes in a sentence."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from batch.forecast.cli import forecast
from vitals.errors import UserError


def run(*arguments: str, told: str | None = None) -> Result:
    answer = CliRunner().invoke(forecast, arguments, input=told)
    if answer.exception is not None and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    return answer


def table(series: int, days: int = 60) -> str:
    start = datetime(2026, 1, 5, tzinfo=UTC)
    rng = np.random.default_rng(1)
    lines = ["account,day,events"]
    for number in range(series):
        for day in range(days):
            value = 50 + number + 20 * (day % 7 < 5) + rng.normal()
            lines.append(f"a{number},{start + timedelta(days=day):%Y-%m-%d},{value:.3f}")
    return "\n".join(lines) + "\n"


OPTIONS = ("--timestamp-column", "day", "--value-column", "events", "--series-column", "account", "--effort", "fast")


def test_several_series_are_forecast_as_each_alone_and_reported(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    told = run("-", "--horizon", "7", *OPTIONS, "--level", "90", "--report", str(report), told=table(3))
    rows = list(csv.DictReader(io.StringIO(told.stdout)))
    assert list(rows[0]) == ["account", "timestamp", "mean", "lower_90", "upper_90"]
    assert [row["account"] for row in rows] == [f"a{number}" for number in range(3) for _ in range(7)]
    assert [row["timestamp"] for row in rows[:2]] == ["2026-03-06", "2026-03-07"]
    weekdays = [float(row["mean"]) for row in rows[:7]]
    assert min(weekdays[0], *weekdays[3:7]) > max(weekdays[1:3]) + 10, "the weekend is lower"
    alone = "\n".join(line for line in table(3).splitlines() if not line.startswith(("a0", "a2")))
    only = list(csv.DictReader(io.StringIO(run("-", "--horizon", "7", *OPTIONS, told=alone).stdout)))
    assert [row["mean"] for row in only] == [row["mean"] for row in rows[7:14]]
    written = json.loads(report.read_text())
    assert written["series"] == 3
    assert written["by_series"][0]["seasons"] == [7]
    assert {"combined", "seasonal_naive", "ets", "theta"} <= written["mase"].keys()
    assert "Backtest, mean MASE" in told.stderr


def test_many_series_go_through_processes_with_the_same_result() -> None:
    few = run("-", "--horizon", "3", *OPTIONS, told=table(2)).stdout.splitlines()
    many = run("-", "--horizon", "3", *OPTIONS, told=table(9)).stdout.splitlines()
    means = [line.split(",")[:3] for line in many[1:7]]
    assert means == [line.split(",")[:3] for line in few[1:]]


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("", "empty"),
        ("timestamp,value\n", "no rows"),
        ("when,value\n2026-01-01,1\n", "no column timestamp: the file has when, value"),
        ("timestamp,value\n2026-01-01,1\nx,2\n", "Line 3: 'x' is no timestamp"),
        ("timestamp,value\n2026-01-01,one\n", "Line 2: 'one' is no number"),
        ("timestamp,value\n2026-01-01,1\n2026-01-02,1\n2026-01-04T05:00,1\n2026-01-09T01:30,1\n", "no regular step"),
    ],
)
def test_mistakes_are_told(told: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        run("-", "--horizon", "2", told=told)


def test_short_gapped_and_repeated_series_are_forecast() -> None:
    one = run("-", "--horizon", "2", told="timestamp,value\n2026-01-01,5\n").stdout.splitlines()
    assert one[1].startswith("2026-01-02,5,")
    gapped = "timestamp,value\n2026-01-01,5\n2026-01-02,\n2026-01-05,5\n2026-01-05,7\n2026-01-06,6\n"
    told = run("-", "--horizon", "1", told=gapped)
    assert told.stdout.splitlines()[1].startswith("2026-01-07,")
    assert "1 rows repeat a time" in told.stderr
