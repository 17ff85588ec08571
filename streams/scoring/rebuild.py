"""A partition's scorer after an assignment: from the store in one snapshot, then from the log up to the consumer.

Three sources, each exact:
 * PostgreSQL, in one REPEATABLE READ transaction: values, watermarks and the sink's offset `S` into `metrics.values`.
 * `metrics.values` from `S` up to the offset `C` that the group's consumer delivers next: applied in silence, because
   their scores were acknowledged before the group's offset moved past them. Where the sink is ahead (`S > C`) the
   records from `C` on are delivered again; their windows are scored again although the values are already in.
 * `health.scores`: a step ends with a live bundle, so the newest one whose position is at or before `C` says how far
   the scores of every account were published. Without one everything is scored.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
import structlog
from confluent_kafka import Consumer, KafkaError, TopicPartition
from psycopg.rows import dict_row

from analytics.health.model import HealthModel
from schemas.topics import EVENTS_TOPICS, events_topic
from streams.scoring.instants import day_of
from streams.scoring.scorer import PartitionScorer
from streams.scoring.state import PartitionState
from vitals.avro import AvroSerde, Record
from vitals.errors import BadRecordError, FatalError, RetriableError
from vitals.kafka import consumer_options
from vitals.settings import Settings

log = structlog.get_logger()

METRIC_VALUES = "metrics.values"
HEALTH_SCORES = "health.scores"
SINK = "timescale"

LOOK_BACK_RECORDS = 500
"""How far before the consumer's offset the watermarks of the topics are looked for: minutes of a live partition."""

POLL_SECONDS = 10.0

SINK_OFFSET = "select next_offset from sink_offsets where sink = %s and topic = %s and partition = %s"

WATERMARKS = """
select input_topic, watermark, sealed_through, newest_ingested_at, position
  from watermarks
 where partition = %s and input_topic = any(%s)
"""

# Beyond 10^10 a value cannot be added up safely; the stream refuses it too.
VALUES = """
select account_id::text,
       metric,
       definition_version,
       rank,
       max(position),
       array_agg(floor(extract(epoch from window_start) / 86400)::int),
       array_agg((value * 1000000)::bigint)
  from metric_values
 where partition = %s and grain = 'day' and abs(value) <= 10000000000
 group by account_id, metric, definition_version, rank
"""


# Greater versions last, because they replace the others.
GATES = """
select check_name as check, source, version, since, closed, metrics
  from quality_gates
 where partition = %s
 order by version, position
"""


def rebuild(
    settings: Settings, model: HealthModel, partition: int, next_offset: int, serde: AvroSerde
) -> PartitionScorer:
    """The scorer as it was before the record at `next_offset` of `metrics.values`, or ahead of it with the sink.

    Raises:
        RetriableError: PostgreSQL or Kafka does not answer.
        FatalError: retention has deleted records that neither the store nor the log holds now.
    """
    state, sink_offset = _read_store(settings, model, partition)
    scorer = PartitionScorer(model, state, max(sink_offset, next_offset))
    with _Log(settings, serde) as records:
        known_before = _catch_up(records, state, partition, sink_offset, next_offset)
        scorer.scored_through = _published_through(records, model, partition, next_offset)
    if scorer.scored_through is not None:
        scorer.spoken = known_before
    log.info(
        "partition_rebuilt",
        partition=partition,
        accounts=state.arrays.accounts,
        sink_offset=sink_offset,
        next_offset=next_offset,
        scored_through=scorer.scored_through,
    )
    return scorer


def _read_store(settings: Settings, model: HealthModel, partition: int) -> tuple[PartitionState, int]:
    """State and the sink's offset, of one instant."""
    state = PartitionState(model)
    try:
        with psycopg.connect(settings.postgres_dsn.get_secret_value(), connect_timeout=5) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            offset = connection.execute(SINK_OFFSET, (SINK, METRIC_VALUES, partition)).fetchone()
            complete: dict[str, int] = {}
            for topic, watermark, sealed_through, newest, position in connection.execute(
                WATERMARKS, (partition, list(EVENTS_TOPICS))
            ):
                progress = state.progress(topic)
                complete[topic] = position
                progress.watermark, progress.sealed_through = watermark, sealed_through
                if newest is not None and (state.newest_ingested_at is None or newest > state.newest_ingested_at):
                    state.newest_ingested_at = newest
            with connection.cursor(row_factory=dict_row) as cursor:
                state.restore_gates(cursor.execute(GATES, (partition,)).fetchall())
            with connection.cursor("values") as cursor:
                newest_values: dict[str, dict[int, int]] = defaultdict(dict)
                for account_id, metric, version, rank, position, days, values in cursor.execute(VALUES, (partition,)):
                    state.restore(account_id, metric, dict(zip(days, values, strict=True)), (version, rank))
                    if rank == 0:
                        positions = newest_values[events_topic(metric)]
                        positions[version] = max(positions.get(version, 0), position)
                for topic, positions in newest_values.items():
                    state.progress(topic).revision = _complete_revision(positions, complete.get(topic, 0))
    except psycopg.OperationalError as error:
        raise RetriableError(f"PostgreSQL does not answer: {error}") from error
    return state, int(offset[0]) if offset else 0


def _complete_revision(positions: Mapping[int, int], complete: int) -> tuple[int, int]:
    """The revision below which bundles are outdated: that of the newest flush of which the store has every part.

    positions: greatest position of values by definition version. complete: position of the newest flush whose last part
    was applied. Values beyond it are of a flush that was broken off; its rest comes again, cut otherwise, under older
    positions. While values of two versions are there, `complete` may be of the older one: then nothing is outdated,
    until the next flush says where it is.

    >>> _complete_revision({2: 300}, 200), _complete_revision({2: 300}, 350), _complete_revision({1: 900, 2: 300}, 900)
    ((2, 200), (2, 300), (2, 0))
    """
    version = max(positions)
    return version, min(complete, positions[version]) if len(positions) == 1 else 0


def _catch_up(
    records: "_Log", state: PartitionState, partition: int, sink_offset: int, next_offset: int
) -> dict[str, int]:
    """Applies the records that the store lacks; returns the day that each topic had reached before `next_offset`."""
    low, _ = records.bounds(METRIC_VALUES, partition)
    if sink_offset < min(low, next_offset):
        raise FatalError(
            f"{METRIC_VALUES}/{partition} starts at {low}, the store ends at {sink_offset}: retention deleted what a "
            "rebuild needs. Replay from the events topics into an empty store."
        )
    known: dict[str, int] = {}
    if sink_offset <= next_offset:
        known = {
            topic: day_of(progress.watermark)
            for topic, progress in state.topics.items()
            if progress.watermark is not None
        }
        start = sink_offset
    else:
        start = max(low, next_offset - LOOK_BACK_RECORDS)
    for offset, bundle in records.between(METRIC_VALUES, partition, start, next_offset):
        if bundle["last_part"] and bundle["watermark"] is not None:
            topic, day = bundle["input_topic"], day_of(bundle["watermark"])
            known[topic] = max(known.get(topic, day), day)
        if offset >= sink_offset:
            try:
                state.apply(bundle)
            except BadRecordError:
                log.info("skipped", partition=partition, offset=offset)  # it was set aside when it was delivered
    return known


def _published_through(records: "_Log", model: HealthModel, partition: int, next_offset: int) -> int | None:
    """The newest tick of which all scores were published by the records before `next_offset`."""
    low, high = records.bounds(HEALTH_SCORES, partition)
    block = 8
    end = high
    while end > low:
        start = max(low, end - block)
        for _, bundle in reversed(list(records.between(HEALTH_SCORES, partition, start, end))):
            if bundle["live"] and bundle["position"] <= next_offset:
                if bundle["model"] != model.version or bundle["watermark"] is None:
                    return None
                return day_of(bundle["watermark"])
        end, block = start, min(2 * block, 256)
    return None


class _Log:
    """Reads spans of partitions, beside the group's own consumer."""

    def __init__(self, settings: Settings, serde: AvroSerde) -> None:
        self._serde = serde
        self._consumer = Consumer(
            consumer_options(settings, "vitals-scoring-rebuild") | {"fetch.max.bytes": 16 * 1024 * 1024}
        )

    def __enter__(self) -> "_Log":
        return self

    def __exit__(self, *exception: object) -> None:
        self._consumer.close()

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """First offset and the one after the last."""
        try:
            low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=POLL_SECONDS)
        except Exception as error:
            raise RetriableError(f"Kafka does not answer for {topic}/{partition}: {error}") from error
        return low, high

    def between(self, topic: str, partition: int, start: int, end: int) -> Iterator[tuple[int, Record]]:
        """The readable records with offsets in [start, end), in order."""
        if start >= end:
            return
        self._consumer.assign([TopicPartition(topic, partition, start)])
        position = start
        while position < end:
            # consume() waits until it has as many as it was asked for.
            messages = self._consumer.consume(min(end - position, 500), POLL_SECONDS)
            if not messages:
                raise RetriableError(
                    f"Kafka sent nothing of {topic}/{partition} from {position} in {POLL_SECONDS:g} s."
                )
            for message in messages:
                problem: KafkaError | None = message.error()
                if problem is not None:
                    raise RetriableError(f"Kafka refused {topic}/{partition}: {problem}")
                position = int(message.offset() or 0) + 1
                if position > end:
                    return
                record = self._decoded(message)
                if record is not None:
                    yield position - 1, record

    def _decoded(self, message: Any) -> Record | None:
        try:
            return self._serde.decode(message.value())[1]
        except BadRecordError:
            return None
