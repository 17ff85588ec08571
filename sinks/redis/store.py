"""The Redis side of the sink: values and offset of a partition in one script."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import redis
import structlog

from sinks.delivery import HEALTH_SCORES, METRICS_VALUES, Delivery, Source, Step
from sinks.destination import PositionTakenError
from sinks.redis.entries import Arguments, LiveScores, Usage
from sinks.redis.rebuild import read_snapshot
from vitals.errors import RetriableError

log = structlog.get_logger()

NAME = "redis"
EPOCH = "vitals:epoch"
DELTAS_KEPT = 10_000
"""Changes that a partition's stream keeps, about: a client that missed more takes a snapshot."""
NO_OFFSET = ""
REFUSED = -1
TIMEOUT_SECONDS = 10.0

SCRIPTS = {
    HEALTH_SCORES: Path(__file__).with_name("apply_scores.lua").read_text(),
    METRICS_VALUES: Path(__file__).with_name("apply_usage.lua").read_text(),
}


def key(partition: int, name: str) -> str:
    """A key of a partition; all of them share a hash tag, so that one script may touch them on a cluster.

    >>> key(3, "live")
    'vitals:{3}:live'
    """
    return f"vitals:{{{partition}}}:{name}"


def keys_of(source: Source) -> list[str]:
    """The keys of the source's script, the offset first."""
    names = ("live", "board", "deltas", "pipeline") if source.topic == HEALTH_SCORES else ("usage",)
    return [key(source.partition, name) for name in (f"offset:{source.topic}", *names)]


@contextmanager
def redis_faults() -> Iterator[None]:
    """Raises the driver's errors as one that starts over from the stored offsets, which can mend any of them."""
    try:
        yield
    except redis.RedisError as error:
        raise RetriableError(f"Redis: {error}") from error


class RedisDestination:
    """Live state in Redis or Valkey; filled from PostgreSQL where Redis is new or was flushed. See `Destination`."""

    name = NAME
    topics: tuple[str, ...] = (HEALTH_SCORES, METRICS_VALUES)

    def __init__(self, url: str, dsn: str) -> None:
        self._dsn = dsn
        self._client: redis.Redis = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS
        )
        self._hashes: dict[str, str] = {}
        self._applied: dict[Source, int] = {}

    def claim(self, lowest: Mapping[Source, int]) -> dict[Source, int]:
        """The stored next offset of each source; what has none is filled from PostgreSQL first."""
        with redis_faults():
            self._hashes = {topic: self._client.script_load(script) for topic, script in SCRIPTS.items()}
            starts = self._offsets(lowest)
            missing = lowest.keys() - starts.keys()
            if missing:
                self._fill({source: lowest[source] for source in missing})
                starts = self._offsets(lowest)
                if lost := lowest.keys() - starts.keys():
                    raise RetriableError(f"Redis lost {len(lost)} offsets again: is it being flushed?")
            # An older copy of Redis's content came back, for example after a crash: its streams went back as well.
            went_back = any(start < self._applied.get(source, 0) for source, start in starts.items())
            # Last, so that a client which sees the new epoch reads what is complete.
            self._client.set(EPOCH, secrets.token_hex(8), nx=not missing and not went_back)
        self._applied.update(starts)
        return starts

    def apply(self, deliveries: Sequence[Delivery], steps: Mapping[Source, Step]) -> dict[str, int]:
        """Applies a batch, each source by one script, all or nothing for each. Returns entries by kind."""
        scores = {source: LiveScores() for source in steps if source.topic == HEALTH_SCORES}
        usage = {source: Usage() for source in steps if source.topic == METRICS_VALUES}
        for delivery in deliveries:
            source = delivery.message.source
            (scores if source.topic == HEALTH_SCORES else usage)[source].add_bundle(delivery.record)
        with redis_faults():
            pipeline = self._client.pipeline(transaction=False)
            for source, (expected, next_offset) in steps.items():
                entries = scores[source].arguments() if source in scores else usage[source].arguments()
                self._queue(pipeline, source, str(expected), next_offset, entries)
            outcomes = pipeline.execute()
        refused = [source for source, outcome in zip(steps, outcomes, strict=True) if outcome == REFUSED]
        if refused:
            raise PositionTakenError(f"{len(refused)} positions were moved, or Redis was flushed")
        self._applied.update({source: step.next_offset for source, step in steps.items()})
        return {
            "live": sum(len(entry.by_account) for entry in scores.values()),
            "usage": sum(len(entry.days) for entry in usage.values()),
            "deltas": sum(told for source, told in zip(steps, outcomes, strict=True) if source in scores),
        }

    def check(self) -> None:
        """Raises RetriableError when Redis was flushed or cannot be reached."""
        with redis_faults():
            if not self._client.exists(EPOCH):
                raise RetriableError("Redis was flushed.")

    def close(self) -> None:
        """Lets the connections go; the client opens new ones by itself."""
        self._client.close()

    def _offsets(self, sources: Mapping[Source, int]) -> dict[Source, int]:
        pipeline = self._client.pipeline(transaction=False)
        for source in sources:
            pipeline.get(keys_of(source)[0])
        stored = zip(sources, pipeline.execute(), strict=True)
        return {source: int(offset) for source, offset in stored if offset is not None}

    def _fill(self, lowest: Mapping[Source, int]) -> None:
        snapshot = read_snapshot(self._dsn, lowest.keys())
        pipeline = self._client.pipeline(transaction=False)
        for source, low in lowest.items():
            if source.topic == HEALTH_SCORES:
                entries = snapshot.scores.get(source.partition, LiveScores()).arguments()
            else:
                entries = snapshot.usage.get(source.partition, Usage()).arguments()
            # Refused where another sink was faster: its content is as good.
            self._queue(pipeline, source, NO_OFFSET, snapshot.offsets.get(source, low), entries)
        pipeline.execute()
        log.info("filled from PostgreSQL", sources=len(lowest))

    def _queue(
        self, pipeline: "redis.client.Pipeline", source: Source, expected: str, next_offset: int, entries: Arguments
    ) -> None:
        keys = keys_of(source)
        head: Arguments = [expected, next_offset]
        if source.topic == HEALTH_SCORES:
            head.append(DELTAS_KEPT)
        pipeline.evalsha(self._hashes[source.topic], len(keys), *keys, *head, *entries)
