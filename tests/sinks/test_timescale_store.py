"""PostgreSQL keeps the greatest revision whatever arrives in whatever order, and nobody moves an offset twice."""

from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sinks.delivery import (
    ACCOUNTS,
    HEALTH_SCORES,
    IDENTITIES,
    METRICS_VALUES,
    PIPELINE_COUNTS,
    QUALITY_RESULTS,
    Source,
    Step,
)
from sinks.destination import PositionTakenError
from sinks.timescale.columns import nested, number_array, plain, quoted
from sinks.timescale.rows import COLUMNS
from sinks.timescale.store import QUERIES, TimescaleDestination
from tests.sinks.records import (
    DAY,
    DAY_ONE,
    MODEL,
    TABLE_OF_LIVE,
    TABLE_OF_SCORES,
    TABLE_OF_VALUES,
    Record,
    account,
    delivery,
    expected_scores,
    expected_values,
    metric,
    profile,
    score,
    scores_bundle,
    values_bundle,
)
from vitals.errors import BadRecordError, FatalError, RetriableError

SCORES = Source(HEALTH_SCORES, 0)
VALUES = Source(METRICS_VALUES, 0)

# A database is made once for a test; every example empties its tables.
examples = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@st.composite
def score_logs(draw: st.DrawFn) -> list[Record]:
    """Bundles of a few accounts and positions: a value is a function of key and position, as the streams promise."""
    bundles = []
    for position, live, model in draw(
        st.lists(st.tuples(st.integers(1, 6), st.booleans(), st.sampled_from([MODEL, "other"])), min_size=1, max_size=8)
    ):
        cells = draw(st.sets(st.tuples(st.integers(0, 3), st.just(0) if live else st.integers(0, 3)), max_size=6))
        scores: dict[str, list[Record]] = {}
        for number, day in sorted(cells):
            micro = None if (number + position) % 5 == 0 else number * 1000 + day * 100 + position + len(model)
            scores.setdefault(account(number), []).append(score(day, micro))
        bundles.append(scores_bundle(0, position, scores, live=live, model=model))
    return bundles


@st.composite
def value_logs(draw: st.DrawFn) -> list[Record]:
    """Bundles with every kind of revision; a reconciled or redefined value differs from the stream's."""
    bundles = []
    for version, rank, position in draw(
        st.lists(st.tuples(st.integers(1, 2), st.integers(0, 1), st.integers(1, 6)), min_size=1, max_size=8)
    ):
        cells = draw(st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=6))
        values: dict[str, list[Record]] = {}
        for number, day in sorted(cells):
            value = 10_000 * version + 1000 * rank + 10 * position + number + day
            values.setdefault(account(number), []).append(metric("product.events", day, value))
        bundles.append(values_bundle(0, position, values, definition_version=version, rank=rank))
    return bundles


def apply_in_batches(
    destination: TimescaleDestination, source: Source, log: list[Record], batch_size: int, start: int
) -> int:
    """Applies the log in batches; returns the next offset."""
    for first in range(0, len(log), batch_size):
        batch = log[first : first + batch_size]
        deliveries = [delivery(*source, start + number, record) for number, record in enumerate(batch)]
        destination.apply(deliveries, {source: Step(start, start + len(batch))})
        start += len(batch)
    return start


@pytest.fixture
def destination(dsn: str) -> Any:
    """The sink's store."""
    destination = TimescaleDestination(dsn)
    yield destination
    destination.close()


@examples
@given(log=score_logs(), redelivered=st.data(), batch_size=st.integers(1, 5))
def test_the_greatest_position_of_a_score_stays(
    destination: TimescaleDestination,
    database: psycopg.Connection[Any],
    log: list[Record],
    redelivered: st.DataObject,
    batch_size: int,
) -> None:
    database.execute("truncate health_scores, health_live, watermarks, sink_offsets")
    again = redelivered.draw(st.permutations(log))
    start = destination.claim({SCORES: 5})[SCORES]
    apply_in_batches(destination, SCORES, [*log, *again], batch_size, start)
    rows = database.execute(TABLE_OF_SCORES).fetchall()
    assert {row[:3]: row[3:] for row in rows} == expected_scores(log, live=False)
    rows = database.execute(TABLE_OF_LIVE).fetchall()
    assert {row[:2]: row[2:] for row in rows} == expected_scores(log, live=True)
    newest = max(bundle["position"] for bundle in log)
    assert database.execute("select position, watermark, partition from watermarks").fetchall() == [
        (newest, next(bundle["watermark"] for bundle in log if bundle["position"] == newest), 0)
    ]


@examples
@given(log=value_logs(), redelivered=st.data(), batch_size=st.integers(1, 5))
def test_the_greatest_revision_of_a_value_stays(
    destination: TimescaleDestination,
    database: psycopg.Connection[Any],
    log: list[Record],
    redelivered: st.DataObject,
    batch_size: int,
) -> None:
    database.execute("truncate metric_values, sink_offsets")
    again = redelivered.draw(st.permutations(log))
    start = destination.claim({VALUES: 0})[VALUES]
    apply_in_batches(destination, VALUES, [*log, *again], batch_size, start)
    rows = database.execute(TABLE_OF_VALUES).fetchall()
    assert {row[:4]: row[4:] for row in rows} == expected_values(log)


@given(
    texts=st.lists(st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=6)
)
@examples
def test_any_text_survives_an_array_literal(database: psycopg.Connection[Any], texts: list[str | None]) -> None:
    row = database.execute("select %s::text[]", (quoted(texts),)).fetchone()
    assert row == (texts,)


@given(
    rows=st.lists(
        st.tuples(
            st.none() | st.integers(-(2**63), 2**63 - 1),
            st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=3),
            st.lists(st.none() | st.floats(allow_nan=False), max_size=3),
        ),
        max_size=4,
    )
)
@examples
def test_any_numbers_survive_array_literals(database: psycopg.Connection[Any], rows: list[tuple[Any, ...]]) -> None:
    single, integers, floats = zip(*rows, strict=True) if rows else ((), (), ())
    found = database.execute(
        "select a, b::bigint[], c::float8[] from unnest(%s::bigint[], %s::text[], %s::text[]) as s (a, b, c)",
        (plain(single), nested([number_array(i) for i in integers]), nested([number_array(f) for f in floats])),
    ).fetchall()
    assert found == [(a, b, c) for a, b, c in rows]


def test_a_second_sink_cannot_rewind(dsn: str, database: psycopg.Connection[Any]) -> None:
    zombie, owner = TimescaleDestination(dsn), TimescaleDestination(dsn)
    assert zombie.claim({SCORES: 0}) == owner.claim({SCORES: 0}) == {SCORES: 0}
    new, old = scores_bundle(0, 9, {account(1): [score(0, 90)]}), scores_bundle(0, 1, {account(2): [score(0, 10)]})
    owner.apply([delivery(*SCORES, 0, new)], {SCORES: Step(0, 7)})
    with pytest.raises(PositionTakenError):
        zombie.apply([delivery(*SCORES, 0, old)], {SCORES: Step(0, 1)})
    assert database.execute(TABLE_OF_SCORES).fetchall() == [(account(1), MODEL, DAY_ONE, 90, 9)]
    assert database.execute("select next_offset from sink_offsets").fetchall() == [(7,)]
    assert zombie.claim({SCORES: 0}) == {SCORES: 7}
    zombie.close()
    owner.close()


def test_one_taken_position_stops_the_whole_batch(
    destination: TimescaleDestination, database: psycopg.Connection[Any]
) -> None:
    other = Source(HEALTH_SCORES, 1)
    destination.claim({SCORES: 0, other: 0})
    database.execute("update sink_offsets set next_offset = 3 where partition = 1")
    with pytest.raises(PositionTakenError):
        destination.apply(
            [delivery(*SCORES, 0, scores_bundle(0, 1, {account(1): [score(0, 1)]}))],
            {SCORES: Step(0, 1), other: Step(0, 1)},
        )
    assert database.execute(TABLE_OF_SCORES).fetchall() == []


def test_counts_and_watermark_hold_with_the_last_part_only(
    destination: TimescaleDestination, database: psycopg.Connection[Any]
) -> None:
    destination.claim({VALUES: 0})
    counts = [("product.feature_used", "counted", 3), ("product.feature_used", "late", 1)]
    first = values_bundle(0, 10, {account(1): [metric("product.events", 0, 3)]}, counts=counts, last_part=False)
    last = values_bundle(0, 10, {account(2): [metric("product.events", 0, 4)]}, counts=counts)
    destination.apply([delivery(*VALUES, 0, first)], {VALUES: Step(0, 1)})
    assert database.execute("select * from watermarks").fetchall() == []
    assert database.execute("select * from pipeline_counts").fetchall() == []
    destination.apply([delivery(*VALUES, 1, last)], {VALUES: Step(1, 2)})
    rows = database.execute("select stage, name, partition, fate, count, position from pipeline_counts").fetchall()
    assert sorted(rows) == [
        ("rollup", "events.product", 0, "counted", 3, 10),
        ("rollup", "events.product", 0, "late", 1, 10),
    ]
    watermark = database.execute("select input_topic, watermark, position from watermarks").fetchall()
    assert watermark == [("events.product", last["watermark"], 10)]


def test_a_reconciled_bundle_does_not_move_the_watermark(
    destination: TimescaleDestination, database: psycopg.Connection[Any]
) -> None:
    destination.claim({VALUES: 0})
    bundle = values_bundle(0, 99, {account(1): [metric("product.events", 0, 3)]}, rank=1)
    destination.apply([delivery(*VALUES, 0, bundle)], {VALUES: Step(0, 1)})
    assert database.execute("select * from watermarks").fetchall() == []
    assert len(database.execute(TABLE_OF_VALUES).fetchall()) == 1


def test_profiles_are_versions_and_counts_of_connectors_have_no_partition(
    destination: TimescaleDestination, database: psycopg.Connection[Any]
) -> None:
    accounts, counts = Source(ACCOUNTS, 3), Source(PIPELINE_COUNTS, 2)
    destination.claim({accounts: 0, counts: 0})
    published = {
        "stage": "connector",
        "name": "stripe.invoices",
        "position": 4,
        "counts": [{"kind": "billing.invoice_paid", "fate": "published", "count": 8}],
        "written_at": DAY_ONE,
    }
    destination.apply(
        [
            delivery(*accounts, 0, profile(account(1), 0, 'Quote " and \\ Ltd')),
            delivery(*accounts, 1, profile(account(1), 1, "NULL")),
            delivery(*accounts, 2, profile(account(1), 1, "Corrected")),
            delivery(*counts, 0, published),
        ],
        {accounts: Step(0, 3), counts: Step(0, 1)},
    )
    rows = database.execute("select valid_from, name, owner from account_profiles order by 1").fetchall()
    assert rows == [(DAY_ONE, 'Quote " and \\ Ltd', None), (DAY_ONE + DAY, "Corrected", None)]
    assert database.execute("select account_id, name from accounts").fetchall() == [(UUID(account(1)), "Corrected")]
    rows = database.execute("select stage, name, partition, count, position from pipeline_counts").fetchall()
    assert rows == [("connector", "stripe.invoices", -1, 8, 4)]


def test_a_merge_and_that_it_was_taken_back_show_on_the_account(
    destination: TimescaleDestination, database: psycopg.Connection[Any]
) -> None:
    accounts, identities = Source(ACCOUNTS, 3), Source(IDENTITIES, 1)
    alias = {
        "account_id": account(1).upper(), "surviving_id": account(2), "identity": "crm:account:1",
        "surviving_identity": "crm:account:2", "valid_from": DAY_ONE, "source": "salesforce", "withdrawn": False,
        "written_at": DAY_ONE,
    }  # fmt: skip
    destination.claim({accounts: 0, identities: 0})
    destination.apply(
        [delivery(*accounts, 0, profile(account(1), 0, "One")), delivery(*identities, 0, alias)],
        {accounts: Step(0, 1), identities: Step(0, 1)},
    )
    merged = "select name, merged_into from accounts"
    assert database.execute(merged).fetchall() == [("One", UUID(account(2)))]
    destination.apply([delivery(*identities, 1, alias | {"withdrawn": True})], {identities: Step(1, 2)})
    assert database.execute(merged).fetchall() == [("One", None)]
    assert database.execute("select count(*) from account_aliases").fetchone() == (1,)


@examples
@given(
    log=st.lists(
        st.tuples(st.integers(0, 2), st.integers(1, 2), st.booleans(), st.integers(0, 3)), min_size=1, max_size=10
    ),
    again=st.randoms(use_true_random=False),
    batch_size=st.integers(1, 5),
)
def test_the_greatest_revision_of_a_quality_result_stays(
    destination: TimescaleDestination,
    database: psycopg.Connection[Any],
    log: list[tuple[int, int, bool, int]],
    again: Any,
    batch_size: int,
) -> None:
    """Version before final before position; one revision has one value."""
    database.execute("truncate quality_results, sink_offsets")
    source = Source(QUALITY_RESULTS, 0)
    records = [quality_result(*each) for each in log]
    repeated = [*records, *again.sample(records, len(records))]
    apply_in_batches(destination, source, repeated, batch_size, destination.claim({source: 5})[source])
    rows = database.execute(
        "select window_start, version, final, position, flagged, observed, upper_bound from quality_results"
    ).fetchall()
    best: dict[int, tuple[Any, ...]] = {}
    for day, *revision in log:
        best[day] = max(best.get(day, ()), tuple(revision))
    assert {(row[0] - DAY_ONE) // DAY: row[1:4] for row in rows} == best
    assert all(row[4:] == (flagged := 100 * row[1] + 10 * row[2] + row[3], flagged / 7, 0.5) for row in rows)


def quality_result(day: int, version: int, final: bool, position: int) -> Record:
    """A result whose numbers follow from its revision, so that a mixed-up row shows."""
    flagged = 100 * version + 10 * final + position
    return {
        "check": "seats",
        "version": version,
        "kind": "validity",
        "severity": "info",
        "source": "stripe",
        "window_start": DAY_ONE + day * DAY,
        "window_end": DAY_ONE + (day + 1) * DAY,
        "verdict": "failed",
        "final": final,
        "records": 1000,
        "flagged": flagged,
        "observed": flagged / 7,
        "lower": None,
        "upper": 0.5,
        "position": position,
        "written_at": DAY_ONE,
    }


def test_steps_of_gates_come_with_the_values_and_the_later_one_holds(
    destination: TimescaleDestination, database: psycopg.Connection[Any]
) -> None:
    source = Source(METRICS_VALUES, 3)

    def step(closed: bool, version: int = 1, day: int = 0) -> Record:
        gate = {"check": "seats", "version": version, "source": "stripe", "since": DAY_ONE + day * DAY}
        told = {**gate, "closed": closed, "metrics": ["billing.seats", "billing.invoices_paid"]}
        return values_bundle(3, 0, {}, definition_version=0, last_part=False) | {"gates": [told]}

    records = [step(True), step(True, day=2), step(False), step(True), step(False, version=2), step(True)]
    start = apply_in_batches(destination, source, records[:4], 2, destination.claim({source: 10})[source])
    query = "select partition, since, closed, metrics, version, position from quality_gates order by since"
    metrics = ["billing.seats", "billing.invoices_paid"]
    assert database.execute(query).fetchall() == [
        (3, DAY_ONE, True, metrics, 1, 13),
        (3, DAY_ONE + 2 * DAY, True, metrics, 1, 11),
    ]
    apply_in_batches(destination, source, records[4:], 5, start)
    assert database.execute(query).fetchall()[0] == (3, DAY_ONE, False, metrics, 2, 14)
    assert database.execute("select count(*) from watermarks").fetchone() == (0,)


@pytest.mark.parametrize(
    "record",
    [
        scores_bundle(0, 1, {"not-an-account": [score(0, 1)]}),
        scores_bundle(0, 1, {account(1): [score(0, 1, band="splendid")]}),
        scores_bundle(0, 1, {account(1): [score(0, 1)]}, model="nul\0"),
    ],
    ids=["account", "band", "text that PostgreSQL cannot hold"],
)
def test_a_record_that_does_not_fit_changes_nothing(
    destination: TimescaleDestination, database: psycopg.Connection[Any], record: Record
) -> None:
    destination.claim({SCORES: 0})
    with pytest.raises(BadRecordError):
        destination.apply([delivery(*SCORES, 0, record)], {SCORES: Step(0, 1)})
    assert database.execute("select next_offset from sink_offsets").fetchall() == [(0,)]
    assert database.execute(TABLE_OF_SCORES).fetchall() == []


def test_errors_say_what_to_do(stack: Any, database: psycopg.Connection[Any], dsn: str) -> None:
    with pytest.raises(RetriableError, match="PostgreSQL"):
        TimescaleDestination("postgresql://vitals@127.0.0.1:1/vitals").claim({SCORES: 0})
    database.execute("drop table sink_offsets")
    destination = TimescaleDestination(dsn)
    with pytest.raises(FatalError, match="vitals bootstrap"):
        destination.claim({SCORES: 0})
    destination.close()


def test_every_table_that_rows_go_to_has_an_upsert() -> None:
    assert {f"upsert_{table}" for table in COLUMNS} <= set(QUERIES)
