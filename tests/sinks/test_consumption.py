"""The sinks on the real log: everything arrives once, through kills, outages, unreadable messages and rebalances."""

import signal
from functools import partial
from typing import Any
from uuid import uuid4

import orjson
import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition
from prometheus_client import REGISTRY

from embedded.endpoints import Endpoints
from embedded.stack import Stack
from schemas.topics import PARTITIONS, TOPICS
from sinks.delivery import ACCOUNTS, HEALTH_SCORES, METRICS_VALUES, PIPELINE_COUNTS, RECORD_OF
from sinks.redis.store import EPOCH, RedisDestination
from sinks.timescale.store import TimescaleDestination
from tests.sinks.conftest import Log, applied, redis_url, running, sink_process, wait_until
from tests.sinks.records import (
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
from vitals.avro import AvroSerde
from vitals.errors import FatalError
from vitals.kafka import consumer_options, producer
from vitals.settings import Settings

Database = psycopg.Connection[Any]

TICKS = 20


def score_log(bundles: int, accounts: int = 40) -> list[Record]:
    """Bundles over every partition, live and history, in the order in which they are written."""
    log = []
    for number in range(bundles):
        partition, position, is_live = number % PARTITIONS, number, number % 3 == 0
        members = [account(partition * 1000 + n) for n in range(accounts)]
        ticks = 1 if is_live else TICKS
        rows = {member: [score(day, number * 1000 + day) for day in range(ticks)] for member in members}
        log.append(scores_bundle(partition, position, rows, live=is_live))
    return log


def assert_scores(database: Database, log: list[Record]) -> None:
    """The tables hold what the log says, every column of it."""
    rows = database.execute(TABLE_OF_SCORES).fetchall()
    assert {row[:3]: row[3:] for row in rows} == expected_scores(log, live=False)
    rows = database.execute(TABLE_OF_LIVE).fetchall()
    assert {row[:2]: row[2:] for row in rows} == expected_scores(log, live=True)
    mixed_up = database.execute(
        """select count(*) from health_scores
            where contributions is distinct from array[score, null]
               or signal_values is distinct from array[null, score::float8 / 7]
               or statuses is distinct from case when score is null then array[1, 0] else array[3, 2] end::smallint[]
               or adjustment is distinct from date '2026-11-01' - tick::date
               or segment is distinct from format('"%s", a segment', -adjustment)"""
    ).fetchone()
    assert mixed_up == (0,)


def test_every_topic_reaches_its_tables(
    sink_settings: Settings, serde: AvroSerde, dsn: str, database: Database, log: Log
) -> None:
    scores = score_log(24)
    for bundle in scores:
        log.write(HEALTH_SCORES, bundle["partition"], bundle)
    values = [values_bundle(n % 4, n, {account(n % 4): [metric("product.events", n, n)]}) for n in range(12)]
    for bundle in values:
        log.write(METRICS_VALUES, bundle["input_partition"], bundle)
    log.write(ACCOUNTS, 1, profile(account(1), 0, "One"), profile(account(1), 2, "Two"))
    log.write_bytes(ACCOUNTS, 1, None, b"a tombstone")
    counts = [{"kind": "support.ticket_opened", "fate": "published", "count": 5}]
    published = {"stage": "connector", "name": "zendesk.tickets", "position": 2, "counts": counts}
    log.write(PIPELINE_COUNTS, 6, published | {"written_at": scores[0]["written_at"]})
    log.flush()
    with running(sink_settings, serde, TimescaleDestination(dsn)):
        wait_until(lambda: applied(database, log), "everything is applied")
        wait_until(lambda: REGISTRY.get_sample_value("vitals_sink_lag_sum", {"sink": "timescale"}) == 0, "no lag shown")
    assert_scores(database, scores)
    rows = database.execute(TABLE_OF_VALUES).fetchall()
    assert {row[:4]: row[4:] for row in rows} == expected_values(values)
    assert database.execute("select name from accounts").fetchall() == [("Two",)]
    assert database.execute("select name, count from pipeline_counts").fetchall() == [("zendesk.tickets", 5)]
    watermarks = database.execute("select input_topic, count(*) from watermarks group by 1 order by 1").fetchall()
    assert watermarks == [("events.product", 4), (HEALTH_SCORES, PARTITIONS)]


def test_an_unreadable_message_is_set_aside_and_the_rest_applied(
    sink_settings: Settings, serde: AvroSerde, dsn: str, database: Database, log: Log
) -> None:
    letters = letters_so_far(sink_settings)
    good = [scores_bundle(0, n, {account(n): [score(0, n)]}) for n in range(3)]
    log.write(HEALTH_SCORES, 0, good[0])
    log.write_bytes(HEALTH_SCORES, 0, b"\x07rubbish", b"key")
    log.write(HEALTH_SCORES, 0, good[1])
    # Readable, but its table cannot hold it: only the store notices.
    log.write(HEALTH_SCORES, 0, scores_bundle(0, 9, {account(9): [score(0, 9)]}, model="nul\0"))
    log.write(HEALTH_SCORES, 0, scores_bundle(5, 9, {account(9): [score(0, 9)]}), good[2])
    log.flush()
    with running(sink_settings, serde, TimescaleDestination(dsn)):
        wait_until(lambda: applied(database, log), "everything is applied or set aside")
    assert_scores(database, good)
    found = read_letters(sink_settings, serde, letters)
    first = log.ends[(HEALTH_SCORES, 0)] - 6
    assert [(letter["origin"], letter["source"]) for letter in found] == [
        (f"health.scores/0/{first + offset}", "timescale") for offset in (1, 4, 3)
    ]
    assert found[0]["original"] == b"\x07rubbish"
    assert found[0]["error_class"] == "BadRecordError"
    assert "partition 5" in found[1]["message"]
    assert "PostgreSQL" in found[2]["message"]


def letters_so_far(settings: Settings) -> int:
    """End of partition 0 of the dead letters."""
    consumer = Consumer(consumer_options(settings, "sinks.tests"))
    _, end = consumer.get_watermark_offsets(TopicPartition("dead_letters", 0), timeout=10)
    consumer.close()
    return int(end)


def read_letters(settings: Settings, serde: AvroSerde, start: int) -> list[Record]:
    """The dead letters of partition 0 from an offset on."""
    consumer = Consumer(consumer_options(settings, "sinks.tests"))
    _, end = consumer.get_watermark_offsets(TopicPartition("dead_letters", 0), timeout=10)
    consumer.assign([TopicPartition("dead_letters", 0, start)])
    messages = consumer.consume(end - start, 20)
    consumer.close()
    return [serde.decode(message.value())[1] for message in messages]


def test_a_killed_sink_leaves_the_same_tables(sink_settings: Settings, database: Database, log: Log) -> None:
    scores = score_log(1200)
    for bundle in scores:
        log.write(HEALTH_SCORES, bundle["partition"], bundle)
    log.flush()
    kills = 0
    for share in (0.0, 0.3):
        with sink_process("timescale", sink_settings) as process:
            wait_until(partial(loaded_more_than, share, database, log), "the load goes on")
            process.send_signal(signal.SIGKILL)
            process.wait(10)
        kills += progress(database, log) < 1
    assert kills > 0, "the load was over before a kill: it proves nothing"
    with sink_process("timescale", sink_settings) as process:
        wait_until(lambda: applied(database, log), "everything is applied")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert_scores(database, scores)


def loaded_more_than(share: float, database: Database, log: Log) -> bool:
    """Whether more than a share of the log is applied."""
    return progress(database, log) > share


def progress(database: Database, log: Log) -> float:
    """The share of the written messages that is applied."""
    rows = database.execute(
        "select partition, next_offset from sink_offsets where sink = 'timescale' and topic = %s", (HEALTH_SCORES,)
    ).fetchall()
    offsets: dict[int, int] = dict(rows)
    behind = sum(max(0, end - offsets[partition]) for (_, partition), end in log.ends.items())
    return 1 - behind / 1200


def test_an_outage_of_postgres_is_waited_out(
    sink_settings: Settings,
    running_stack: Stack,
    serde: AvroSerde,
    dsn: str,
    database: Database,
    log: Log,
) -> None:
    scores = score_log(32)
    with running(sink_settings, serde, TimescaleDestination(dsn)):
        for bundle in scores[:16]:
            log.write(HEALTH_SCORES, bundle["partition"], bundle)
        log.flush()
        wait_until(lambda: applied(database, log), "the first half is applied")
        database.close()
        running_stack.kill("postgres")
        for bundle in scores[16:]:
            log.write(HEALTH_SCORES, bundle["partition"], bundle)
        log.flush()
        before = reconnects()
        wait_until(lambda: reconnects() > before, "the sink noticed")
        running_stack.start_part("postgres")
        with psycopg.connect(dsn, autocommit=True) as again:
            wait_until(lambda: applied(again, log), "the second half is applied")
            assert_scores(again, scores)


def test_an_outage_of_kafka_is_waited_out(
    sink_settings: Settings, running_stack: Stack, serde: AvroSerde, dsn: str, database: Database, log: Log
) -> None:
    scores = score_log(32)
    with running(sink_settings, serde, TimescaleDestination(dsn)):
        for bundle in scores[:16]:
            log.write(HEALTH_SCORES, bundle["partition"], bundle)
        log.flush()
        wait_until(lambda: applied(database, log), "the first half is applied")
        running_stack.kill("kafka")
        running_stack.start_part("kafka")
        for bundle in scores[16:]:
            log.write(HEALTH_SCORES, bundle["partition"], bundle)
        log.flush()
        wait_until(lambda: applied(database, log), "the second half is applied")
    assert_scores(database, scores)


def reconnects() -> float:
    """How often the sink started over."""
    return REGISTRY.get_sample_value("vitals_sink_reconnects_total", {"sink": "timescale"}) or 0.0


def test_a_sink_that_lost_its_partition_joins_again_and_does_not_rewind(
    sink_settings: Settings, serde: AvroSerde, dsn: str, database: Database, log: Log
) -> None:
    first, second, third = (scores_bundle(2, n, {account(n): [score(0, n)]}) for n in range(3))
    with running(sink_settings, serde, TimescaleDestination(dsn)):
        log.write(HEALTH_SCORES, 2, first)
        log.flush()
        wait_until(lambda: applied(database, log), "the first is applied")
        # Another sink has applied the second message already, under a value that only it can have written.
        database.execute(
            "update sink_offsets set next_offset = next_offset + 1 where topic = %s and partition = 2", (HEALTH_SCORES,)
        )
        log.write(HEALTH_SCORES, 2, second, third)
        log.flush()
        wait_until(lambda: applied(database, log), "the third is applied")
    assert_scores(database, [first, third])


def test_two_sinks_share_the_partitions(
    sink_settings: Settings, serde: AvroSerde, dsn: str, database: Database, log: Log
) -> None:
    scores = score_log(64)
    with (
        running(sink_settings, serde, TimescaleDestination(dsn)),
        running(sink_settings, serde, TimescaleDestination(dsn)),
    ):
        for bundle in scores:
            log.write(HEALTH_SCORES, bundle["partition"], bundle)
        log.flush()
        wait_until(lambda: applied(database, log), "everything is applied")
    assert_scores(database, scores)


def test_transaction_markers_at_the_end_are_passed(
    sink_settings: Settings, serde: AvroSerde, dsn: str, database: Database
) -> None:
    def position() -> int:
        statement = "select next_offset from sink_offsets where topic = 'accounts' and partition = 4"
        row = database.execute(statement).fetchone()
        assert row is not None
        return int(row[0])

    start = position()
    writer = producer(sink_settings, f"sinks-{uuid4().hex}")
    writer.init_transactions(20)
    writer.begin_transaction()
    writer.produce(ACCOUNTS, serde.encode(ACCOUNTS, "AccountProfile", profile(account(1), 0, "One")), b"k", 4)
    writer.commit_transaction(20)
    with running(sink_settings, serde, TimescaleDestination(dsn)):
        wait_until(lambda: position() == start + 2, "the offset is behind the record and the marker")
    assert database.execute("select name from accounts").fetchall() == [("One",)]


def test_an_offset_behind_the_end_of_the_log_is_fatal(
    sink_settings: Settings, serde: AvroSerde, dsn: str, database: Database
) -> None:
    database.execute("update sink_offsets set next_offset = 1000000000 where topic = 'accounts' and partition = 4")
    with pytest.raises(FatalError, match="made anew"), running(sink_settings, serde, TimescaleDestination(dsn)):
        pytest.fail("the sink must not become ready")


def test_a_flush_of_redis_is_noticed_and_mended(
    sink_settings: Settings, stack: Endpoints, serde: AvroSerde, dsn: str, database: Database, log: Log, store: Any
) -> None:
    def content() -> dict[str, Any]:
        names = [f"vitals:{{{n}}}:{kind}" for n in range(PARTITIONS) for kind in ("live", "usage", "pipeline")]
        return {name: store.hgetall(name) for name in names}

    scores = [bundle for bundle in score_log(30) if bundle["live"]]
    for bundle in scores:
        log.write(HEALTH_SCORES, bundle["partition"], bundle)
    log.write(METRICS_VALUES, 2, values_bundle(2, 5, {account(2000): [metric("product.events", 4, 17)]}))
    log.flush()
    with running(sink_settings, serde, TimescaleDestination(dsn)):
        wait_until(lambda: applied(database, log), "PostgreSQL has everything")
    with running(sink_settings, serde, RedisDestination(redis_url(stack), dsn)):
        wait_until(lambda: store.get(EPOCH), "Redis is filled")
        before, epoch = content(), store.get(EPOCH)
        live = {
            name: orjson.loads(row)["score"]
            for n in range(PARTITIONS)
            for name, row in before[f"vitals:{{{n}}}:live"].items()
        }
        assert live == {key[0]: value[0] for key, value in expected_scores(scores, live=True).items()}
        assert orjson.loads(before["vitals:{2}:usage"][account(2000)])["events"] == 17
        store.flushdb()
        wait_until(lambda: store.get(EPOCH), "Redis is filled again")
        assert store.get(EPOCH) != epoch
        assert content() == before
        changed = scores_bundle(2, 999, {account(2000): [score(0, 123)]}, live=True)
        log.write(HEALTH_SCORES, 2, changed)
        log.flush()
        wait_until(lambda: store.xlen("vitals:{2}:deltas") == 1, "the change is told")


def test_redis_goes_on_through_its_own_restart(
    sink_settings: Settings, running_stack: Stack, stack: Endpoints, serde: AvroSerde, dsn: str, log: Log, store: Any
) -> None:
    with running(sink_settings, serde, RedisDestination(redis_url(stack), dsn)):
        log.write(HEALTH_SCORES, 1, scores_bundle(1, 1, {account(1): [score(0, 1)]}, live=True))
        log.flush()
        wait_until(lambda: store.hexists("vitals:{1}:live", account(1)), "the first is applied")
        running_stack.kill("valkey")
        log.write(HEALTH_SCORES, 1, scores_bundle(1, 2, {account(2): [score(0, 2)]}, live=True))
        log.flush()
        running_stack.start_part("valkey")
        wait_until(lambda: store.hexists("vitals:{1}:live", account(2)), "the second is applied")
        # What a killed Redis had not kept is not in PostgreSQL either here; the log brings it again.
        wait_until(lambda: store.hexists("vitals:{1}:live", account(1)), "the first is there again")


def test_delivery_and_topics_agree(serde: AvroSerde) -> None:
    assert all(record in TOPICS[topic].records for topic, record in RECORD_OF.items())
    assert delivery(HEALTH_SCORES, 0, 1, {}).topic == HEALTH_SCORES
