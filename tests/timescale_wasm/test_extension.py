"""Migrations, upserts, policies and queries on the real TimescaleDB extension.

One connection at a time, no background workers (policies are run by hand) and no COPY: the limits of its build for
WebAssembly, not of Vitals.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import psycopg
import pytest

from embedded.endpoints import Endpoints
from sinks.delivery import HEALTH_SCORES, METRICS_VALUES, Source, Step
from sinks.redis.rebuild import read_snapshot
from sinks.timescale.migrate import upgrade
from sinks.timescale.store import TimescaleDestination
from tests.sinks.records import (
    TABLE_OF_LIVE,
    TABLE_OF_SCORES,
    TABLE_OF_VALUES,
    account,
    delivery,
    expected_scores,
    expected_values,
    metric,
    score,
    scores_bundle,
    values_bundle,
)
from tests.timescale_wasm.serving import CannotStartError, timescaledb

SCORES, VALUES = Source(HEALTH_SCORES, 0), Source(METRICS_VALUES, 0)
INITIAL = import_module("sinks.timescale.migrations.versions.0001_initial")
YEARS_AGO = -1500
"""Days before the records' first day: far beyond the age at which chunks are compressed."""


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    """A migrated TimescaleDB."""
    try:
        with timescaledb() as dsn:
            upgrade(dsn)
            yield dsn
    except CannotStartError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


def test_an_older_schema_with_compressed_scores_is_brought_up_to_date() -> None:
    try:
        with timescaledb() as dsn:
            upgrade(dsn, "0005")
            query(
                dsn,
                """insert into health_scores
                   select md5(n::text)::uuid, '2020-01-01', 'm', n, 'watch', 'flat', 1, array[n], array[n], 0, 1
                     from generate_series(1, 20) n""",
            )
            query(dsn, "select compress_chunk(show_chunks('health_scores'))")
            upgrade(dsn)
            columns = "count(*), min(adjustment), min(segment), min(statuses), sum(score)"
            assert query(dsn, f"select {columns} from health_scores") == [(20, 0, "everyone", [], 210)]
    except CannotStartError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture
def empty(dsn: str) -> str:
    """The same with empty tables."""
    query(dsn, "truncate health_scores, health_live, metric_values, watermarks, sink_offsets, account_profiles")
    return dsn


def query(dsn: str, statement: str) -> list[tuple[Any, ...]]:
    """Rows of a statement over a connection of its own."""
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def test_the_migration_makes_hypertables_with_policies(dsn: str) -> None:
    upgrade(dsn)
    tables = query(
        dsn,
        """select h.hypertable_name, h.compression_enabled, d.column_name, d.time_interval
             from timescaledb_information.hypertables h
             join timescaledb_information.dimensions d using (hypertable_name) order by 1""",
    )
    quarter = timedelta(days=90)
    assert tables == [
        ("health_scores", True, "tick", quarter),
        ("metric_values", True, "window_start", quarter),
        ("quality_results", False, "window_start", timedelta(days=365)),
    ]
    policies = query(
        dsn,
        """select hypertable_name, config->>'compress_after' from timescaledb_information.jobs
            where proc_name = 'policy_compression' order by 1""",
    )
    assert policies == [("health_scores", "180 days"), ("metric_values", "180 days")]


def test_the_greatest_revision_stays_in_open_and_in_compressed_chunks(empty: str) -> None:
    scores = [
        scores_bundle(0, 5, {account(n): [score(day, 500 + n) for day in (YEARS_AGO, 0)] for n in range(20)}),
        scores_bundle(0, 3, {account(n): [score(day, 300 + n) for day in (YEARS_AGO, 0)] for n in range(30)}),
        scores_bundle(0, 7, {account(n): [score(0, 700 + n)] for n in range(10)}, live=True),
    ]
    values = [
        values_bundle(0, 5, {account(n): [metric("product.events", d, 5) for d in (YEARS_AGO, 0)] for n in range(20)}),
        values_bundle(0, 3, {account(n): [metric("product.events", d, 3) for d in (YEARS_AGO, 0)] for n in range(30)}),
    ]
    destination = TimescaleDestination(empty)
    destination.claim({SCORES: 0, VALUES: 0})
    destination.apply(
        [delivery(*SCORES, n, record) for n, record in enumerate(scores)]
        + [delivery(*VALUES, n, record) for n, record in enumerate(values)],
        {SCORES: Step(0, 3), VALUES: Step(0, 2)},
    )
    destination.close()
    compress(empty)
    later = [
        scores_bundle(0, 9, {account(n): [score(YEARS_AGO, 900 + n)] for n in range(3)}),
        scores_bundle(0, 4, {account(n): [score(YEARS_AGO, 400 + n)] for n in range(30)}),
        values_bundle(0, 2, {account(n): [metric("product.events", YEARS_AGO, 7)] for n in range(30)}, rank=1),
    ]
    destination.claim({SCORES: 0, VALUES: 0})
    destination.apply(
        [delivery(*SCORES, 3, later[0]), delivery(*SCORES, 4, later[1]), delivery(*VALUES, 2, later[2])],
        {SCORES: Step(3, 5), VALUES: Step(2, 3)},
    )
    destination.close()
    rows = query(empty, TABLE_OF_SCORES)
    assert {row[:3]: row[3:] for row in rows} == expected_scores([*scores, *later[:2]], live=False)
    rows = query(empty, TABLE_OF_LIVE)
    assert {row[:2]: row[2:] for row in rows} == expected_scores(scores, live=True)
    rows = query(empty, TABLE_OF_VALUES)
    assert {row[:4]: row[4:] for row in rows} == expected_values([*values, later[2]])


def compress(dsn: str) -> None:
    """Runs the compression policies, as the background worker would; old chunks only are compressed by them."""
    for (job,) in query(dsn, "select job_id from timescaledb_information.jobs where proc_name = 'policy_compression'"):
        query(dsn, f"call run_job({job})")
    chunks = query(
        dsn,
        """select hypertable_name, range_end < now() - interval '180 days', is_compressed
             from timescaledb_information.chunks order by 1, range_end""",
    )
    assert chunks == [
        ("health_scores", True, True),
        ("health_scores", False, False),
        ("metric_values", True, True),
        ("metric_values", False, False),
    ]


def test_a_taken_position_rolls_back(empty: str) -> None:
    destination = TimescaleDestination(empty)
    destination.claim({SCORES: 0})
    bundle = delivery(*SCORES, 0, scores_bundle(0, 1, {account(1): [score(0, 1)]}))
    destination.apply([bundle], {SCORES: Step(0, 1)})
    with pytest.raises(Exception, match="was moved"):
        destination.apply(
            [delivery(*SCORES, 0, scores_bundle(0, 2, {account(1): [score(0, 2)]}))], {SCORES: Step(0, 1)}
        )
    destination.close()
    assert [row[3] for row in query(empty, TABLE_OF_SCORES)] == [1]


def test_the_state_that_redis_is_filled_from(empty: str) -> None:
    destination = TimescaleDestination(empty)
    destination.claim({SCORES: 0, VALUES: 0})
    live = scores_bundle(0, 7, {account(1): [score(0, 42)]}, live=True)
    days = values_bundle(0, 3, {account(1): [metric("product.events", day, 10 + day) for day in (YEARS_AGO, 0, 1)]})
    destination.apply(
        [delivery(*SCORES, 0, live), delivery(*VALUES, 0, days)], {SCORES: Step(0, 1), VALUES: Step(0, 1)}
    )
    destination.close()
    snapshot = read_snapshot(empty, [SCORES, VALUES])
    assert snapshot.offsets == {SCORES: 1, VALUES: 1}
    assert snapshot.scores[0].by_account[account(1)].score["score"] == 42
    assert snapshot.usage[0].days == {account(1): "2026-11-02"}


WIDTHS = ("5 minutes", "1 hour", "1 day", "1 week", "10 days", "1 month", "3 months", "1 year", "5 years")
MOMENTS = [
    datetime(year, month, day, 23, 59, 59, 999_999, tzinfo=UTC)
    for year, month, day in ((1969, 12, 31), (1999, 12, 31), (2000, 1, 1), (2000, 1, 3), (2024, 2, 29), (2026, 11, 23))
]


def test_time_bucket_means_the_same_with_and_without_the_extension(dsn: str, stack: Endpoints) -> None:
    moments = ", ".join(f"(timestamptz '{moment.isoformat()}')" for moment in MOMENTS)
    widths = ", ".join(f"(interval '{width}')" for width in WIDTHS)
    statement = f"""select width::text, moment, time_bucket(width, moment)
                      from (values {widths}) as w (width), (values {moments}) as m (moment) order by 1, 2"""
    with psycopg.connect(stack.postgres_dsn) as connection:
        connection.execute("create schema plain")
        connection.execute("set local search_path = plain")
        connection.execute(INITIAL.TIME_BUCKET)
        plain = connection.execute(statement.encode()).fetchall()
        connection.rollback()
    assert len(plain) == len(WIDTHS) * len(MOMENTS)
    assert query(dsn, statement) == plain
