"""Live scores and their changes in Redis: the keys of docs/design/0001, read and never written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from prometheus_client import Counter
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from api.portfolio import LiveScore, parse
from api.resume import START, StreamExtent, missed_accounts
from schemas.topics import PARTITIONS
from vitals.errors import BadRecordError

log = structlog.get_logger()

EPOCH = "vitals:epoch"
BLOCK_MS = 1000
BATCH = 500
"""Entries of one stream in one read."""
MISSED_LIMIT = 2_000
"""Of more missed entries in one partition, a snapshot is cheaper."""

UNREADABLE = Counter("vitals_live_unreadable_total", "Live scores in Redis that are not readable.")

Freshness = dict[str, datetime | None]
"""watermark, sealed_through and newest_ingested_at of one partition's live scores."""


@dataclass(frozen=True)
class LoadedPartition:
    """All live scores of a partition, which hold at least what its stream says up to `position`."""

    position: str
    scores: list[LiveScore]


@dataclass(frozen=True)
class Changes:
    """What a read brought: scores, the positions after them, and partitions in which entries were trimmed unread."""

    epoch: str | None
    scores: list[LiveScore]
    positions: Mapping[int, str]
    trimmed: list[int]


class LiveStreams:
    """Reads of the live keys. Raises redis.RedisError where Redis does not answer."""

    def __init__(self, url: str) -> None:
        # Any: the client's types cover text and bytes, one or many servers, and so nothing in particular.
        self._redis: Any = Redis.from_url(url, socket_timeout=5, socket_connect_timeout=2, decode_responses=False)

    async def close(self) -> None:
        """Closes the connections."""
        await self._redis.aclose()

    async def epoch(self) -> str | None:
        """The epoch of Redis's content; None while there is none that is complete."""
        found: bytes | None = await self._redis.get(EPOCH)
        return None if found is None else found.decode()

    async def load(self, partition: int) -> LoadedPartition:
        """The live scores of a partition."""
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.xrevrange(_key(partition, "deltas"), count=1)
        pipeline.hvals(_key(partition, "live"))
        newest, values = await pipeline.execute()
        return LoadedPartition(_text(newest[0][0]) if newest else START, _readable(values))

    async def changes(self, positions: Sequence[str]) -> Changes:
        """What follows the positions of all partitions; waits for it up to a second.

        The epoch is read after the entries: where it is still the known one, so are they of it.
        """
        streams: dict[Any, Any] = {_key(number, "deltas"): position for number, position in enumerate(positions)}
        numbers = {key.encode(): number for number, key in enumerate(streams)}
        found = await self._redis.xread(streams, count=BATCH, block=BLOCK_MS)
        entries: dict[int, list[tuple[bytes, dict[bytes, bytes]]]] = {
            numbers[key]: stream for key, stream in _pairs(found)
        }
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.get(EPOCH)
        for number in entries:
            pipeline.xinfo_stream(_key(number, "deltas"))
        # A stream that was flushed a moment ago is an error here, and another epoch.
        epoch, *streams_now = await pipeline.execute(raise_on_error=False)
        if isinstance(epoch, Exception):
            raise epoch
        return Changes(
            epoch=None if epoch is None else epoch.decode(),
            scores=_readable([fields.get(b"m", b"") for stream in entries.values() for _, fields in stream]),
            positions={number: _text(stream[-1][0]) for number, stream in entries.items()},
            trimmed=[
                number
                for number, stream in zip(entries, streams_now, strict=True)
                if _extent(stream).lacks_after(positions[number])
            ],
        )

    async def missed(self, partition: int, seen: str) -> set[str] | None:
        """Accounts of a partition that changed after a position; None where that cannot be told or is too many."""
        key = _key(partition, "deltas")
        found: Any = await self._redis.xrange(key, min=f"({seen}", count=MISSED_LIMIT + 1)
        if len(found) > MISSED_LIMIT:
            return None
        try:
            extent = _extent(await self._redis.xinfo_stream(key))
        except ResponseError as error:
            extent = _extent(error)
        entries = [(_text(number), score.account_id) for number, score in _scores_of(found)]
        return missed_accounts(seen, entries, extent)

    async def freshness(self) -> list[Freshness]:
        """How far the live scores of each partition are; partitions that say nothing yet are left out."""
        names = ("watermark", "sealed_through", "newest_ingested_at")
        pipeline = self._redis.pipeline(transaction=False)
        for number in range(PARTITIONS):
            pipeline.hmget(_key(number, "pipeline"), *names)
        answers = await pipeline.execute()
        return [dict(zip(names, map(_instant, answer), strict=True)) for answer in answers if any(answer)]


def _key(partition: int, name: str) -> str:
    return f"vitals:{{{partition}}}:{name}"


def _text(value: bytes) -> str:
    return value.decode()


def _extent(stream: Any) -> StreamExtent:
    """Of the answer of XINFO STREAM, an error where there is no stream."""
    if isinstance(stream, Exception):
        return StreamExtent(None, whole=True)
    first = stream["first-entry"]
    return StreamExtent(_text(first[0]) if first else None, whole=stream["entries-added"] == stream["length"])


def _instant(value: bytes | None) -> datetime | None:
    return datetime.fromisoformat(value.decode()) if value else None


def _pairs(found: Any) -> list[tuple[bytes, Any]]:
    """Streams of an XREAD: a list of pairs in protocol 2, a mapping to lists of lists in protocol 3."""
    if isinstance(found, dict):
        return [(key, [entry for chunk in chunks for entry in chunk]) for key, chunks in found.items()]
    return [(key, entries) for key, entries in found or []]


def _scores_of(entries: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> list[tuple[bytes, LiveScore]]:
    scores = []
    for number, fields in entries:
        for score in _readable([fields.get(b"m", b"")]):
            scores.append((number, score))  # noqa: PERF401 (an unreadable one is none)
    return scores


def _readable(values: Sequence[bytes]) -> list[LiveScore]:
    scores = []
    for value in values:
        try:
            scores.append(parse(value))
        except BadRecordError as error:
            UNREADABLE.inc()
            log.warning("a live score in Redis is unreadable", error=str(error))
    return scores
