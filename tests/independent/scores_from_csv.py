"""Recomputes one account's health score from git_usage's events.csv.gz, without importing anything of Vitals.

    python tests/independent/scores_from_csv.py ACCOUNT TICK [--until INSTANT] [--windows]

ACCOUNT is the label in the file (a_…), TICK a date: the UTC midnight that begins it. The file becomes day metrics by
docs/data-mapping.md (rows to vendors) and the metrics' own definitions, and the score by docs/health.md. Prints JSON
whose numbers are exact: integers of 10^-6 points, and floats in the shortest form that names one float64. `--until`
leaves out what happens at or after an instant, which makes the live score of a source time: TICK is then the end of its
day.
"""

import argparse
import csv
import gzip
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parent))
from health_formula import MICRO, Windows, score_at

ROOT = Path(__file__).parents[2]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PAID_AFTER = timedelta(seconds=5)
LIST_PRICE = 100
"""USD for a seat and month, an assumption of docs/data-mapping.md."""

Row = dict[str, str]


def instant(text: str) -> datetime:
    """An ISO 8601 instant with an offset or Z."""
    return datetime.fromisoformat(text).astimezone(UTC)


def day_of(at: datetime) -> int:
    return (at - EPOCH) // timedelta(days=1)


def rows_of(path: Path) -> list[Row]:
    """All rows but those of private persons, who are no accounts."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["personal_email"] != "1"]


def windows_of(rows: list[Row], account: str, until: datetime | None = None) -> Windows:
    """Day windows of an account by metric, in 10^-6 units; only what happens before `until`."""
    sums: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    members: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))

    def happened(at: datetime) -> bool:
        return until is None or at < until

    own = [row for row in rows if row["account"] == account]
    first = None
    for row in own:
        at = instant(row["timestamp"])
        first = at if first is None else min(first, at)
        if happened(at):
            sums["product.events"][day_of(at)] += MICRO
            sums["product.value"][day_of(at)] += int(row["lines_changed"]) * MICRO
            members["product.active_users"][day_of(at)].add(row["user"])
            members["product.features_used"][day_of(at)].add(row["feature"])
    for opened_at, solved_at in tickets_of(rows, account):
        first = min(opened_at, solved_at) if first is None else min(first, opened_at, solved_at)
        if happened(max(opened_at, solved_at)) or (happened(opened_at) and opened_at <= solved_at):
            sums["support.tickets_opened"][day_of(opened_at)] += MICRO
        if happened(max(opened_at, solved_at)):
            lasted = max((solved_at - opened_at) // timedelta(microseconds=1), 0)
            sums["support.tickets_solved"][day_of(solved_at)] += MICRO
            sums["support.resolution_seconds"][day_of(solved_at)] += lasted
    if first is not None:
        created_at = first - timedelta(days=1)
        if happened(created_at):
            sums["crm.accounts_created"][day_of(created_at)] += MICRO
        if happened(first):
            sums["crm.opportunities_won"][day_of(first)] += MICRO
    for at, seats in seats_of(own):
        if happened(at):
            sums["billing.seats"][day_of(at)] = seats * MICRO
            if seats:
                sums["billing.invoiced_amount"][day_of(at)] += seats * LIST_PRICE * MICRO
    counted = {metric: {day: len(who) * MICRO for day, who in days.items()} for metric, days in members.items()}
    return {metric: dict(days) for metric, days in (*sums.items(), *counted.items())}


def tickets_of(rows: list[Row], account: str) -> Iterator[tuple[datetime, datetime]]:
    """Opening and solution of an account's tickets: a change is a ticket, and belongs to its first row."""
    seen: set[str] = set()
    for row in rows:
        if row["change_id"] not in seen:
            seen.add(row["change_id"])
            if row["account"] == account:
                yield instant(row["opened_at"]), instant(row["timestamp"])


def seats_of(rows: list[Row]) -> Iterator[tuple[datetime, int]]:
    """When seats become known: on the first of a month those of the month before, 0 when use has stopped."""
    users: dict[tuple[int, int], set[str]] = defaultdict(set)
    for row in rows:
        at = instant(row["timestamp"])
        users[(at.year, at.month)].add(row["user"])
    for year, month in sorted(users):
        following = (year + month // 12, month % 12 + 1)
        billed_at = datetime(*following, 1, tzinfo=UTC)
        yield billed_at + PAID_AFTER, len(users[(year, month)])
        if following not in users:
            after = (following[0] + following[1] // 12, following[1] % 12 + 1)
            yield datetime(*after, 1, tzinfo=UTC), 0


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("account", help="label in the file, a_…")
    parser.add_argument("tick", type=date.fromisoformat, help="date whose first instant is the tick")
    parser.add_argument("--until", type=instant, help="leave out what happens at or after this instant")
    parser.add_argument("--windows", action="store_true", help="print the day metrics as well")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "health" / "2026-11.yaml")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("VITALS_DATA_DIR", ROOT / "../shared/data")))
    chosen = parser.parse_args()
    model: dict[str, Any] = yaml.safe_load(chosen.model.read_text())
    windows = windows_of(rows_of(chosen.data / "git_usage" / "events.csv.gz"), chosen.account, chosen.until)
    if not windows:
        sys.exit(f"{chosen.account} is no account of the file.")
    scored = score_at(model, windows, (chosen.tick - date(1970, 1, 1)).days)
    if scored is None:
        sys.exit(f"{chosen.account} has no tick on {chosen.tick}: its first window ends later.")
    names = [signal["name"] for signal in model["signals"]]
    for field in ("contributions", "signal_values"):
        scored[field] = dict(zip(names, scored[field], strict=True))
    answer = {"account": chosen.account, "model": model["version"], **scored, "tick": f"{chosen.tick}T00:00:00Z"}
    if chosen.windows:
        answer["windows"] = {
            metric: {str(date(1970, 1, 1) + timedelta(days=day)): value for day, value in sorted(days.items())}
            for metric, days in sorted(windows.items())
        }
    print(json.dumps(answer, indent=2))


if __name__ == "__main__":
    main()
