"""`vitals up` with ten years of real activity, as a newcomer starts it: how fast it serves, loads, and reacts."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from embedded.endpoints import Endpoints
from embedded.state_folder import StateFolder
from tests.long.conftest import Facts
from tests.long.departures import AccountHistory, departures
from tests.long.live_latency import latencies, percentile

ROUNDS = 200
SIGN_IN = re.compile(r"(http://\S+)/#one-time=(\S+)")

PIPELINE_KEYS = {
    "events_in", "counted", "duplicates", "late", "quarantined", "dead_lettered", "metric_values", "scores", "lag",
    "freshness_seconds",
}  # fmt: skip


class Installation:
    """A `vitals up --detach` on a state folder of its own."""

    def __init__(self, state: Path, printed: str) -> None:
        self.state = state
        found = SIGN_IN.search(printed)
        assert found is not None, printed
        self.api, self.token = found.groups()
        self.ports: dict[str, int] = self.status()["ports"]
        self.endpoints = Endpoints.of(StateFolder(state), self.ports)

    def status(self) -> dict[str, Any]:
        """`vitals status --json`."""
        printed = subprocess.run(
            [sys.executable, "-m", "vitals", "status", "--json", "--state", str(self.state)],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        return dict(json.loads(printed))

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of the store."""
        with psycopg.connect(self.endpoints.postgres_dsn) as connection:
            return connection.execute(statement.encode()).fetchall()


@pytest.fixture(scope="module")
def installation(
    data_dir: Path, tmp_path_factory: pytest.TempPathFactory, facts: Facts
) -> Iterator[tuple[Installation, float]]:
    state = tmp_path_factory.mktemp("live") / "state"
    up = [sys.executable, "-m", "vitals", "up", "--detach", "--data", str(data_dir), "--state", str(state)]
    began = time.monotonic()
    try:
        printed = subprocess.run(up, capture_output=True, text=True, check=True, env=os.environ | {"COLUMNS": "200"})
        facts("`vitals up` with ten years: everything serving", f"{time.monotonic() - began:.0f} s (target 90 s)")
        yield Installation(state, printed.stdout), time.monotonic()
    finally:
        subprocess.run([sys.executable, "-m", "vitals", "down", "--state", str(state)], check=False)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_years_are_loaded_and_scored(installation: tuple[Installation, float], facts: Facts) -> None:
    live, began = installation
    first_score = None
    rows = -1
    while True:
        now = live.query("SELECT count(*) FROM health_scores")[0][0]
        if now and first_score is None:
            first_score = time.monotonic()
        if now > 500_000 and now == rows:
            break
        rows = now
        assert time.monotonic() - began < 800, "ten years were not scored"
        time.sleep(1)
    assert first_score is not None
    took = time.monotonic() - began - 1
    facts(
        "ten years loaded and scored day by day, after serving",
        f"{took:.0f} s for {rows:,} account-days (target 300 s)",
    )
    facts(
        "bulk scoring including Kafka, sink and store",
        f"{rows / max(0.1, time.monotonic() - 1 - first_score):,.0f} account-days/s (target 10,000)",
    )


@pytest.mark.slow
def test_status_has_the_promised_form_and_counts_add_up(installation: tuple[Installation, float]) -> None:
    status = installation[0].status()
    assert all({"name", "state", "pid", "port"} <= set(service) for service in status["services"])
    figures = status["pipeline"]
    assert set(figures) >= PIPELINE_KEYS
    assert {"rollup", "scoring", "sink-timescale", "sink-redis"} <= set(figures["lag"])
    ended = sum(figures[name] for name in ("counted", "duplicates", "late", "quarantined", "dead_lettered"))
    # A few may be on their way while one looks.
    assert 0 <= figures["events_in"] - ended <= 50
    assert figures["quarantined"] == 735


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_live_latency(installation: tuple[Installation, float], facts: Facts) -> None:
    live = installation[0]
    accounts = [
        (str(account), crm_id)
        for account, crm_id in live.query(
            "SELECT account_id, crm_id FROM health_live JOIN accounts USING (account_id) "
            "WHERE signal_values[1] IS NOT NULL AND signal_values[8] IS NOT NULL ORDER BY 1"
        )
    ]
    assert accounts
    session = httpx.post(f"{live.api}/v1/auth/one-time", json={"token": live.token})
    session.raise_for_status()
    measured = asyncio.run(
        latencies(
            live.api,
            f"http://127.0.0.1:{live.ports['simulators']}",
            f"http://127.0.0.1:{live.ports['collect']}",
            session.json()["access_token"],
            accounts,
            ROUNDS,
        )
    )
    for way, seconds in measured.items():
        assert len(seconds) == ROUNDS // 2
        facts(
            f"latency from {way} to the page's websocket",
            f"p50 {percentile(seconds, 0.5):.2f} s, p99 {percentile(seconds, 0.99):.2f} s, "
            f"max {max(seconds):.2f} s over {len(seconds)} events (target p99 3 s)",
        )


@pytest.mark.slow
def test_most_accounts_that_left_were_seen_falling(installation: tuple[Installation, float], facts: Facts) -> None:
    live = installation[0]
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    active: dict[str, list[int]] = defaultdict(list)
    for account, start in live.query(
        "SELECT account_id, window_start FROM metric_values "
        "WHERE metric = 'product.events' AND grain = 'day' ORDER BY 2"
    ):
        active[str(account)].append((start - epoch).days)
    ticks: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
    for account, tick, band, trend in live.query("SELECT account_id, tick, band, trend FROM health_scores ORDER BY 2"):
        ticks[str(account)].append(((tick - epoch).days, band, trend))
    end = max(day for days in active.values() for day in days)
    outcome = departures([AccountHistory(active[account], ticks[account]) for account in active], end)
    facts(
        "accounts with ten active days that left for good (no event in the last year of data)",
        f"{outcome.left}; {outcome.seen} seen falling before their last event, median {outcome.median_days_early:.0f} "
        f"days early; accounts that stayed look like that on {outcome.staying_share_falling:.0%} of their days",
    )
    assert outcome.seen > outcome.left / 2
