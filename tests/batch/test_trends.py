"""`vitals seasons` and `vitals trends` on files."""

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from batch.trends.cli import seasons, trends
from vitals.errors import UserError

START = datetime(2026, 1, 5, tzinfo=UTC)


def told(series: dict[str, Any]) -> str:
    lines = ["plan,at,events"]
    for name, values in series.items():
        lines += [f"{name},{START + timedelta(days=day):%Y-%m-%d},{value:.4f}" for day, value in enumerate(values)]
    return "\n".join(lines) + "\n"


def run(command: Any, text: str, *arguments: str) -> Any:
    options = ("--timestamp-column", "at", "--value-column", "events", "--series-column", "plan", "--json")
    answer = CliRunner().invoke(command, ["-", *options, *arguments], input=text)
    if answer.exception is not None and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    return json.loads(answer.stdout)


def test_seasons_and_trends_of_a_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    days = np.arange(7 * 30)
    weekly = 100 + 30 * (days % 7 < 5) + rng.normal(size=len(days)) * 3
    text = told({"growing": weekly + 2.0 * days, "steady": weekly, "stepped": weekly + 40 * (days >= 105)})
    found = run(seasons, text)
    assert [[each["period"] for each in one["seasons"]] for one in found] == [[7], [7], [7]]
    components = tmp_path / "parts.csv"
    moved = run(trends, text, "--components", str(components))
    assert [one["slope"]["arrow"] for one in moved["series"]][:2] == ["up", "flat"]
    (step,) = moved["series"][2]["change_points"]
    assert step["at"] == f"{START + timedelta(days=105):%Y-%m-%d}"
    total = sum(part["change"] for part in moved["movement"])
    newest = sum(float(each[-28:].sum() - each[-56:-28].sum()) for each in (weekly + 2.0 * days, weekly, weekly))
    assert total == pytest.approx(newest, abs=0.1)
    assert moved["movement"][0]["series"] == "growing"
    rows = list(csv.DictReader(components.open()))
    assert len(rows) == 3 * len(days)
    for row in rows[::50]:
        parts = sum(float(row[name]) for name in ("trend", "season", "remainder"))
        assert parts == pytest.approx(float(row["value"]), abs=1e-6)


def test_mistakes_are_told() -> None:
    with pytest.raises(UserError, match="no column at"):
        run(seasons, "when,events,plan\n")
    hourly = "plan,at,events\n" + "".join(f"a,2026-01-01T{hour:02d}:00,{hour}\n" for hour in range(20))
    with pytest.raises(UserError, match="needs a daily series"):
        run(seasons, hourly, "--country", "US")
    with pytest.raises(UserError, match="No holidays of XX"):
        run(seasons, told({"a": np.ones(30)}), "--country", "XX")
