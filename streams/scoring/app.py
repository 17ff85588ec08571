"""The Faust application of scoring: one agent that hands bundles to the worker, in memory only.

No tables and no changelogs, no exactly-once mode, no leader election, no topics of its own. Bundles are acknowledged by
hand, once Kafka has their scores, and Faust commits acknowledged offsets only. Those that wait are scored in one batch.
"""

import asyncio
import ssl
import threading
from contextlib import suppress
from typing import Any

import faust
import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

from schemas.topics import PARTITIONS
from streams.scoring.publisher import StoppingError
from streams.scoring.rebuild import METRIC_VALUES
from streams.scoring.worker import LAG, Delivery, ScoringWorker
from vitals.errors import FatalError
from vitals.kafka import consumer_options
from vitals.settings import Settings
from vitals.telemetry import Health

log = structlog.get_logger()

GROUP = "vitals-scoring"
SESSION_TIMEOUT_SECONDS = 10.0
"""How long the partitions of a killed worker wait for another one."""

LAG_INTERVAL_SECONDS = 2.0
BATCH_RECORDS = 128
STOP_SECONDS = 4.0


def build_app(settings: Settings) -> faust.App:
    """The application without its agent."""
    brokers = ";".join(f"kafka://{address.strip()}" for address in settings.kafka_bootstrap.split(","))
    return faust.App(
        GROUP,
        broker=brokers,
        broker_credentials=_credentials(settings),
        store="memory://",
        datadir=settings.state_dir / "scoring",
        value_serializer="raw",
        key_serializer="raw",
        web_enabled=False,
        topic_partitions=PARTITIONS,
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=8 * 1024 * 1024,
        broker_session_timeout=SESSION_TIMEOUT_SECONDS,
        broker_heartbeat_interval=3.0,
        broker_commit_interval=1.0,
        # The agent works message by message; more in memory would only be delivered again after a crash.
        stream_buffer_maxsize=64,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        # A first load is scored in one message, which takes as long as it takes.
        stream_processing_timeout=3600.0,
    )


def _credentials(settings: Settings) -> Any:
    if settings.kafka_security_protocol == "PLAINTEXT":
        return None
    if settings.kafka_security_protocol == "SSL":
        return faust.SSLCredentials(ssl.create_default_context())
    return faust.SASLCredentials(
        mechanism=settings.kafka_sasl_mechanism,
        username=settings.kafka_username,
        password=settings.kafka_password.get_secret_value(),
        ssl_context=ssl.create_default_context(),
    )


class ScoringApp:
    """Runs the application in this process's event loop until it is told to stop."""

    def __init__(self, settings: Settings, worker: ScoringWorker, health: Health, stopping: threading.Event) -> None:
        self._worker, self._health, self._stopping = worker, health, stopping
        self._waiting: asyncio.Queue[tuple[Any, Any]] = asyncio.Queue(BATCH_RECORDS)
        self._assigned: set[int] | None = None
        self._app = build_app(settings)
        topic = self._app.topic(METRIC_VALUES, internal=False, value_type=bytes, value_serializer="raw")
        self._app.agent(topic, name="score")(self._receive)
        self._app.on_partitions_assigned.connect(self._on_assigned, weak=False)
        self._offsets = Consumer(consumer_options(settings, GROUP))

    async def run(self) -> None:
        """Returns when stopping was set.

        Raises:
            FatalError: what the worker met.
        """
        await self._app.start()
        scoring, measuring = asyncio.create_task(self._score()), asyncio.create_task(self._measure())
        try:
            # A signal handler sets it from outside the event loop, so there is nothing to await.
            while not (self._stopping.is_set() or scoring.done() or self._app.crashed):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        finally:
            self._stopping.set()
            measuring.cancel()
            try:
                await asyncio.wait_for(self._app.stop(), STOP_SECONDS)
            except TimeoutError:
                log.warning("stop_timeout", seconds=STOP_SECONDS)
        if scoring.done():
            with suppress(StoppingError):
                scoring.result()
        if self._app.crashed:
            raise FatalError(f"Faust crashed: {self._app.crash_reason!r}. See the log above.")

    async def _receive(self, stream: Any) -> None:
        """The agent. It has nothing that can fail, because an exception that leaves an agent can lose its message."""
        by_hand = stream.noack()
        async for event in by_hand.events():
            await self._waiting.put((by_hand, event))

    async def _score(self) -> None:
        """Scores whatever waits, in a thread: Faust keeps committing and answering while numpy works."""
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < BATCH_RECORDS and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            deliveries = [
                Delivery(event.message.partition, event.message.offset, event.message.value) for _, event in batch
            ]
            await asyncio.to_thread(self._worker.handle, deliveries)
            for stream, event in batch:
                await stream.ack(event)

    async def _on_assigned(self, *sent: Any, signal: Any, **more: Any) -> None:
        del signal, more
        _, assigned = sent  # the application and the partitions
        self._assigned = {each.partition for each in assigned if each.topic == METRIC_VALUES}
        self._worker.keep(self._assigned)
        log.info("assigned", partitions=sorted(self._assigned))

    async def _measure(self) -> None:
        """Keeps the lag up to date, and says ready once a partition is rebuilt, or none has anything to read.

        The other partitions follow one by one, each after the scores of the one before: hours of history must not look
        like a start that failed.
        """
        while True:
            try:
                lags = await asyncio.to_thread(self._lags, set(self._assigned or ()))
            except KafkaException as error:
                log.warning("lag_unknown", error=str(error))
            else:
                for partition, lag in lags.items():
                    LAG.labels(partition).set(lag)
                at_work = any(partition in self._worker.rebuilt for partition in lags) or not any(lags.values())
                if self._assigned is not None and at_work:
                    self._health.ready()
            await asyncio.sleep(LAG_INTERVAL_SECONDS if self._health.is_ready else 0.2)

    def _lags(self, partitions: set[int]) -> dict[int, int]:
        """End offset minus processed offset by partition."""
        chosen = [TopicPartition(METRIC_VALUES, partition) for partition in sorted(partitions)]
        committed = {each.partition: each.offset for each in self._offsets.committed(chosen, timeout=5.0)}
        lags = {}
        for each in chosen:
            low, high = self._offsets.get_watermark_offsets(each, timeout=5.0)
            position = self._worker.position(each.partition)
            lags[each.partition] = max(0, high - max(committed[each.partition] if position is None else position, low))
        return lags
