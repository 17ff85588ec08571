"""`vitals scoring` on real parts: killed, restarted, without PostgreSQL, with unreadable records."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition

from embedded.endpoints import Endpoints
from embedded.stack import Stack
from models.loader import read_model
from schemas import bootstrap as topics_bootstrap
from schemas.topics import EVENTS_TOPICS
from sinks.timescale import bootstrap as tables_bootstrap
from streams.scoring.rebuild import rebuild
from tests.analytics.health.test_scores import FORMULA
from tests.conftest import settings_for
from tests.scoring.logs import ORIGIN, Published, World, at_once, bundle, day_by_day, midnight, run, scorer_of, world
from tests.scoring.process import ScoringLog, VitalsProcess, until
from vitals.avro import AvroSerde, Registry
from vitals.kafka import consumer_options
from vitals.settings import Settings

MODEL = read_model()
DAYS = 400
LAST = ORIGIN + DAYS


@pytest.fixture(scope="module")
def stack_of_scoring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of its own: scoring reads every partition of topics whose names are fixed."""
    stack = Stack(tmp_path_factory.mktemp("scoring"))
    with stack.infrastructure(only=("kafka", "registry", "postgres")) as endpoints:
        settings = settings_for(endpoints, endpoints.state_dir)
        topics_bootstrap.bootstrap(settings)
        tables_bootstrap.bootstrap(settings)
        yield stack


@pytest.fixture(scope="module")
def endpoints(stack_of_scoring: Stack) -> Endpoints:
    return stack_of_scoring.endpoints


@pytest.fixture(scope="module")
def scoring_settings(endpoints: Endpoints) -> Settings:
    return settings_for(endpoints, endpoints.state_dir)


@pytest.fixture(scope="module")
def serde(scoring_settings: Settings) -> AvroSerde:
    return AvroSerde(Registry(scoring_settings.registry_url))


def expected_of(accounts: World) -> Published:
    """What an undisturbed scorer publishes for a world."""
    return run(scorer_of(MODEL), at_once(accounts, LAST), Published())


def assert_same(log: ScoringLog, accounts: World) -> None:
    expected = expected_of(accounts)
    published = log.read()
    assert published.history == expected.history
    assert published.live == expected.live


@pytest.mark.timeout(180)
def test_one_load_and_many_small_bundles_come_to_the_same_and_sigterm_is_quick(
    endpoints: Endpoints, scoring_settings: Settings, serde: AvroSerde, tmp_path: Path
) -> None:
    accounts = world(MODEL, 11, 6, DAYS)
    bulk, gradual = ScoringLog(scoring_settings, serde, 0), ScoringLog(scoring_settings, serde, 1)
    bulk.send(at_once(accounts, LAST))
    gradual.send(day_by_day(accounts, LAST - 60, LAST, seed=5))
    with VitalsProcess(endpoints, tmp_path, "scoring") as scoring:
        bulk.wait_scored("the load is scored")
        gradual.wait_scored("the small bundles are scored")
        assert_same(bulk, accounts)
        assert_same(gradual, accounts)
        until(scoring.ready, "ready")
        until(lambda: 'vitals_scoring_lag{partition="1"} 0.0' in (scoring.answers("/metrics") or ""), "no lag")
        assert scoring.terminate() < 8
    account_id = sorted(accounts)[0]
    assert bulk.published.live[account_id] == FORMULA.score_at(MODEL.definition, accounts[account_id], LAST + 1)
    with psycopg.connect(endpoints.postgres_dsn) as connection:
        row = connection.execute("select definition from health_models where model = %s", (MODEL.version,)).fetchone()
    assert row is not None
    assert row[0] == MODEL.definition


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("partition", "with_sink"), [(2, False), (3, True)], ids=["log alone", "with the sink"])
def test_killed_again_and_again_it_ends_with_the_same_scores(
    endpoints: Endpoints, scoring_settings: Settings, serde: AvroSerde, tmp_path: Path, partition: int, with_sink: bool
) -> None:
    accounts = world(MODEL, 20 + partition, 6, DAYS)
    bundles = day_by_day(accounts, LAST - 80, LAST, seed=partition)
    log = ScoringLog(scoring_settings, serde, partition)
    sink = VitalsProcess(endpoints, tmp_path, "sink", "timescale") if with_sink else None
    try:
        third = len(bundles) // 3
        for start in range(0, len(bundles), third):
            log.send(bundles[start : start + third])
            scoring = VitalsProcess(endpoints, tmp_path, "scoring")
            before = log.bundles
            until(lambda before=before: bool(log.read()) and log.bundles > before + 5, "some of it is scored")  # type: ignore[misc]
            scoring.kill()
        with VitalsProcess(endpoints, tmp_path, "scoring"):
            log.wait_scored("all is scored")
            assert_same(log, accounts)
    finally:
        if sink is not None:
            sink.terminate()


@pytest.mark.timeout(240)
def test_killed_within_a_first_load_nothing_is_left_out(
    endpoints: Endpoints, scoring_settings: Settings, serde: AvroSerde, tmp_path: Path
) -> None:
    """The load is one message: its scores are out in part, its offset is not committed."""
    accounts = world(MODEL, 70, 60, DAYS)
    log = ScoringLog(scoring_settings, serde, 7)
    log.send(at_once(accounts, LAST))
    for _ in range(2):
        scoring = VitalsProcess(endpoints, tmp_path, "scoring")
        before = log.end("health.scores")
        until(lambda before=before: log.end("health.scores") > before, "it has begun")  # type: ignore[misc]
        scoring.kill()
    with VitalsProcess(endpoints, tmp_path, "scoring"):
        log.wait_scored("all is scored")
        assert_same(log, accounts)


@pytest.mark.timeout(240)
def test_workers_that_come_and_go_share_the_partitions(
    endpoints: Endpoints, scoring_settings: Settings, serde: AvroSerde, tmp_path: Path
) -> None:
    """A second worker joins in the middle, so partitions change hands while both live; then the first one is killed."""
    worlds = {partition: world(MODEL, 80 + partition, 3, DAYS) for partition in range(4)}
    logs = {partition: ScoringLog(scoring_settings, serde, partition) for partition in worlds}
    streams = {partition: day_by_day(worlds[partition], LAST - 60, LAST, seed=partition) for partition in worlds}
    for each in (record for stream in streams.values() for record in stream):
        each["next_offset"] += 100_000  # the partitions have a history from other tests

    def send(share: int) -> None:
        for partition, stream in streams.items():
            quarter = len(stream) // 4 + 1
            logs[partition].send(stream[share * quarter : (share + 1) * quarter])

    send(0)
    first = VitalsProcess(endpoints, tmp_path, "scoring")
    until(first.ready, "the first worker is ready")
    second = VitalsProcess(endpoints, tmp_path, "scoring")
    send(1)  # while the group rebalances; the first worker may still take it all
    until(lambda: '"assigned"' in second.log.read_text(), "partitions have changed hands")
    send(2)
    until(lambda: "partition_rebuilt" in second.log.read_text(), "the second worker has taken a partition over")
    send(3)
    first.kill()
    with second:
        for partition, log in logs.items():
            log.wait_scored(f"partition {partition} is scored")
            expected = expected_of(worlds[partition])
            published = log.read()
            assert {key: published.history[key] for key in expected.history} == expected.history
            assert {key: published.live[key] for key in expected.live} == expected.live


@pytest.mark.timeout(180)
def test_it_goes_on_from_the_store_alone(
    endpoints: Endpoints, scoring_settings: Settings, serde: AvroSerde, tmp_path: Path
) -> None:
    """Everything is in PostgreSQL and committed; a fresh process scores only what comes then."""
    accounts = world(MODEL, 40, 5, DAYS)
    log = ScoringLog(scoring_settings, serde, 4)
    log.send(at_once(accounts, LAST - 5))
    stored = (
        "select next_offset from sink_offsets where sink = 'timescale' and topic = 'metrics.values' and partition = 4"
    )
    with VitalsProcess(endpoints, tmp_path, "scoring"), VitalsProcess(endpoints, tmp_path, "sink", "timescale"):
        log.wait_scored("the load is scored")
        end = log.end("metrics.values")
        with psycopg.connect(endpoints.postgres_dsn, autocommit=True) as connection:
            until(lambda: connection.execute(stored).fetchone() == (end,), "the sink has the values")
        committed = Consumer(consumer_options(scoring_settings, "vitals-scoring"))
        where = [TopicPartition("metrics.values", 4)]
        until(lambda: committed.committed(where, timeout=10)[0].offset == end, "Faust has committed")
        committed.close()
    rows = len(log.read().history)
    bundles = log.bundles
    log.send([bundle(topic, 30, (), midnight(LAST) + timedelta(hours=12)) for topic in EVENTS_TOPICS])
    with VitalsProcess(endpoints, tmp_path, "scoring"):
        log.wait_scored("the new ticks are scored")
    assert len(log.read().history) == rows + 5 * len(accounts)
    assert log.bundles < bundles + 12
    assert log.published.history == expected_of(accounts).history


def test_the_rest_of_a_flush_that_was_broken_off_is_taken_after_a_rebuild(
    endpoints: Endpoints, scoring_settings: Settings, serde: AvroSerde
) -> None:
    """The rollup died between two parts of the flush at 300, and scoring with it. The rollup goes on from its snapshot,
    and what the second part would have said comes at 250.
    """
    here, lost = str(UUID(int=1)), str(UUID(int=2))
    with psycopg.connect(endpoints.postgres_dsn, autocommit=True) as connection:
        connection.execute("insert into watermarks values ('events.support', 6, null, null, null, 200)")
        connection.execute(
            "insert into metric_values values (%s, 'support.tickets_opened', 'day', %s, 5, 6, 1, 0, 300)",
            (here, midnight(ORIGIN)),
        )
        try:
            state = rebuild(scoring_settings, MODEL, 6, 0, serde).state
        finally:  # another test's log in this partition starts at older positions
            connection.execute("delete from watermarks where partition = 6")
            connection.execute("delete from metric_values where partition = 6")
    state.apply(bundle("events.support", 250, [(lost, "support.tickets_opened", ORIGIN, 7_000_000)]))
    opened = state.arrays.view().summed["support.tickets_opened"].sum(axis=1)
    assert dict(zip(state.arrays.account_ids, opened.tolist(), strict=True)) == {here: 5_000_000, lost: 7_000_000}
    outdated = bundle("events.support", 240, [(lost, "support.tickets_opened", ORIGIN, 1)])
    state.apply(outdated)
    assert state.arrays.view().summed["support.tickets_opened"].sum() == 12_000_000


@pytest.mark.timeout(180)
def test_it_waits_for_postgresql_and_survives_a_restart_of_kafka(
    stack_of_scoring: Stack, endpoints: Endpoints, scoring_settings: Settings, serde: AvroSerde, tmp_path: Path
) -> None:
    accounts = world(MODEL, 50, 3, DAYS)
    log = ScoringLog(scoring_settings, serde, 5)
    log.send(at_once(accounts, LAST - 2))
    stack_of_scoring.stop_part("postgres")
    with VitalsProcess(endpoints, tmp_path, "scoring") as scoring:
        until(lambda: "model_not_recorded" in scoring.log.read_text(), "it says what it waits for")
        assert not scoring.ready()
        stack_of_scoring.start_part("postgres")
        log.wait_scored("scored once PostgreSQL is there")
        stack_of_scoring.restart("kafka")
        log.send([bundle(topic, 30, (), midnight(LAST) + timedelta(hours=12)) for topic in EVENTS_TOPICS])
        log.wait_scored("scored after the restart of Kafka")
        assert_same(log, accounts)


@pytest.mark.timeout(120)
def test_an_unreadable_record_is_set_aside_and_the_next_one_is_scored(
    endpoints: Endpoints, scoring_settings: Settings, serde: AvroSerde, tmp_path: Path
) -> None:
    accounts = world(MODEL, 60, 2, DAYS)
    log = ScoringLog(scoring_settings, serde, 6)
    account_id = sorted(accounts)[0]
    log.send_bytes(b"not Avro at all")
    log.send([bundle("events.product", 5, [(account_id, "product.events", 2, 1_000_000)])])
    log.send(at_once(accounts, LAST))
    with VitalsProcess(endpoints, tmp_path, "scoring"):
        log.wait_scored("what follows is scored")
        assert_same(log, accounts)
    dead_letters = Consumer(consumer_options(scoring_settings, "tests-scoring"))
    dead_letters.assign([TopicPartition("dead_letters", 6, 0)])
    found = [serde.decode(message.value())[1] for message in dead_letters.consume(2, 20)]
    dead_letters.close()
    assert [each["error_class"] for each in found] == ["BadRecordError", "BadRecordError"]
    assert [each["origin"] for each in found] == ["metrics.values/6/0", "metrics.values/6/1"]
    assert found[0]["original"] == b"not Avro at all"
