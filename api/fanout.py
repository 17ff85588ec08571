"""The fan-out of an API process: one task tails the deltas of all partitions for all of its websocket clients."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Protocol

import psycopg
import structlog
from prometheus_client import Counter, Gauge
from psycopg_pool import PoolTimeout
from redis.exceptions import RedisError

from api.account_rows import status_names
from api.database import Pool, fetch_all, sql
from api.live_streams import Freshness, LiveStreams
from api.portfolio import Listing, LiveScore, Portfolio
from api.receipts import SCORES, Receipt, combine, current_model
from api.resume import START, InvalidResumeTokenError, ResumeToken, decode
from schemas.topics import PARTITIONS
from vitals.clock import Clock

log = structlog.get_logger()

RETRY_SECONDS = 0.25
LONGEST_RETRY_SECONDS = 2.0
FRESHNESS_SECONDS = 1.0
LISTINGS_SECONDS = 30.0
UNLISTED_SECONDS = 2.0

DELTAS = Counter("vitals_live_deltas_total", "Changes of live scores that the fan-out took from Redis.")
DEGRADED = Gauge("vitals_live_degraded", "1 while live scores do not come through Redis.")

_DATABASE_AWAY = (psycopg.Error, PoolTimeout, OSError)


class Subscriber(Protocol):
    """One websocket client, as the fan-out sees it. None of these waits: a slow client holds up nobody."""

    def changed(self, accounts: set[str]) -> None:
        """These accounts have newer scores."""

    def needs_snapshot(self) -> None:
        """What it knows may be of another epoch."""

    def degraded(self, reason: str) -> None:
        """Live scores stand still for now."""


class Fanout:
    """The newest live scores, kept up to date by `run`, and who is to hear of changes.

    Where Redis is away or empty, what PostgreSQL has is served, and clients are told that it stands still.
    """

    def __init__(self, streams: LiveStreams, pool: Pool, clock: Clock) -> None:
        self._streams = streams
        self._pool = pool
        self._clock = clock
        self._subscribers: set[Subscriber] = set()
        self._epoch: str | None = None
        self._positions = [START] * PARTITIONS
        self._freshness: list[Freshness] = []
        self._freshness_due = 0.0
        self._listings_due = asyncio.Event()
        self._model: str | None = None
        self.portfolio = Portfolio()
        self.reason: str | None = "Live scores are being read."
        """Why live scores stand still; None while they do not."""

    async def run(self) -> None:
        """Follows Redis until cancelled, through its outages and flushes."""
        retry = RETRY_SECONDS
        listing = asyncio.create_task(self._keep_listings(), name="listings")
        try:
            while not _is_cancelled():
                try:
                    if await self._follow():
                        retry = RETRY_SECONDS
                        continue
                except (RedisError, OSError) as error:
                    log.warning("Redis does not answer", error=str(error))
                    await self._stand_still("Redis does not answer: live scores stand still until it does.")
                await asyncio.sleep(retry)
                retry = min(2 * retry, LONGEST_RETRY_SECONDS)
        finally:
            listing.cancel()
            with suppress(asyncio.CancelledError):
                await listing

    def subscribe(self, subscriber: Subscriber) -> None:
        """From now on the subscriber hears of every change."""
        self._subscribers.add(subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """The subscriber hears of no more changes."""
        self._subscribers.discard(subscriber)

    def token(self) -> str | None:
        """The resume token of a client that has been told everything; None where there is no epoch to resume in."""
        return None if self._epoch is None else ResumeToken(self._epoch, tuple(self._positions)).encode()

    def receipt(self) -> Receipt:
        """What the live scores rest on."""
        return combine(self._freshness, self._model, self._clock.now())

    async def missed(self, token: str) -> set[str] | None:
        """Accounts that changed since a token was given out; None where only a snapshot will do.

        Subscribe first: what changes while this looks is then heard of anyway.
        """
        epoch = self._epoch
        try:
            seen = decode(token, PARTITIONS)
            if epoch is None or seen.epoch != epoch:
                return None
            behind = [number for number in range(PARTITIONS) if seen.positions[number] != self._positions[number]]
            found = [await self._streams.missed(number, seen.positions[number]) for number in behind]
            # A flush while looking: what was found belongs to no one epoch.
            if self._epoch != epoch or await self._streams.epoch() != epoch:
                return None
        except (InvalidResumeTokenError, RedisError, OSError):
            return None
        changed: set[str] = set()
        for accounts in found:
            if accounts is None:
                return None
            changed |= accounts
        return changed

    async def _follow(self) -> bool:
        """Reads everything, then follows the streams of one epoch to its end. False if there is no epoch."""
        epoch = await self._streams.epoch()
        if epoch is None:
            await self._stand_still("Redis holds no live scores yet: they are being filled in.")
            return False
        await self._read_everything(epoch)
        while True:
            changes = await self._streams.changes(self._positions)
            if changes.epoch != epoch:
                log.info("another epoch", epoch=changes.epoch)
                return True
            DELTAS.inc(len(changes.scores))
            for number, position in changes.positions.items():
                if number not in changes.trimmed:
                    self._positions[number] = position
            # Nothing may wait between positions and telling: a token given out then would claim what was not told.
            self._tell(self.portfolio.take(changes.scores))
            for number in changes.trimmed:
                # More changes than the stream keeps came at once: the hash has what was trimmed unread.
                loaded = await self._streams.load(number)
                self._positions[number] = loaded.position
                self._tell(self.portfolio.take(loaded.scores))
            await self._read_freshness()

    async def _read_everything(self, epoch: str) -> None:
        portfolio = Portfolio()
        try:
            portfolio.take(await self._stored_scores())
            portfolio.list(await self._stored_listings())
        except _DATABASE_AWAY as error:
            log.warning("PostgreSQL does not answer", error=str(error))
            portfolio.list(self.portfolio.listings)
        loaded = [await self._streams.load(number) for number in range(PARTITIONS)]
        for partition in loaded:
            portfolio.take(partition.scores)
        self._freshness_due = 0.0
        await self._read_freshness()
        self.portfolio = portfolio
        self._positions = [partition.position for partition in loaded]
        self._model = portfolio.newest_model()
        self._epoch, self.reason = epoch, None
        DEGRADED.set(0)
        log.info("following live scores", epoch=epoch, accounts=len(portfolio))
        for subscriber in self._subscribers:
            subscriber.needs_snapshot()

    async def _stand_still(self, reason: str) -> None:
        """Tells clients so, once; where nothing is known yet, reads what PostgreSQL has."""
        DEGRADED.set(1)
        self._epoch = None
        if self.reason != reason:
            self.reason = reason
            for subscriber in self._subscribers:
                subscriber.degraded(reason)
        if len(self.portfolio):
            return
        with suppress(*_DATABASE_AWAY):
            if self.portfolio.take(await self._stored_scores()):
                self.portfolio.list(await self._stored_listings())
                self._model = self.portfolio.newest_model()
                async with self._pool.connection() as connection:
                    self._freshness = await fetch_all(connection, sql("watermarks"), topic=SCORES, partition=None)
                for subscriber in self._subscribers:
                    subscriber.needs_snapshot()

    def _tell(self, changed: set[str]) -> None:
        if not changed:
            return
        if self.portfolio.unlisted(changed):
            self._listings_due.set()
        self._model = self.portfolio.newest_model(changed)
        for subscriber in self._subscribers:
            subscriber.changed(changed)

    async def _read_freshness(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._freshness_due:
            self._freshness = await self._streams.freshness()
            self._freshness_due = now + FRESHNESS_SECONDS

    async def _keep_listings(self) -> None:
        """Reads names anew twice a minute, and soon where a score came for an account without one."""
        while not _is_cancelled():
            with suppress(TimeoutError):
                async with asyncio.timeout(LISTINGS_SECONDS):
                    await self._listings_due.wait()
            self._listings_due.clear()
            try:
                self.portfolio.list(await self._stored_listings())
            except _DATABASE_AWAY as error:
                log.warning("names of accounts cannot be read", error=str(error))
            await asyncio.sleep(UNLISTED_SECONDS)

    async def _stored_scores(self) -> list[LiveScore]:
        async with self._pool.connection() as connection:
            rows = await fetch_all(connection, sql("live_scores"), model=await current_model(connection))
        return [_stored_score(row) for row in rows]

    async def _stored_listings(self) -> dict[str, Listing]:
        async with self._pool.connection() as connection:
            rows = await fetch_all(connection, sql("listings"))
        return {row["account_id"]: Listing(row["name"], row["segment"], row["owner"], row["deleted"]) for row in rows}


def _is_cancelled() -> bool:
    """Whether this task is to end: a driver may turn the cancellation itself into an error of its own."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _stored_score(row: Mapping[str, Any]) -> LiveScore:
    fields = {
        "type": "score",
        **{name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()},
        "statuses": status_names(row["statuses"]),
    }
    return LiveScore(row["account_id"], row["model"], row["position"], fields)
