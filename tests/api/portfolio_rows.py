"""A small portfolio in PostgreSQL and Redis, as the sinks would have written it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import orjson
import psycopg
import redis
from psycopg.types.json import Jsonb

from schemas.topics import PARTITIONS

NAMESPACE = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
MODEL = "health-test"
DAY = timedelta(days=1)
OPEN_DAY_END = datetime(2026, 6, 2, tzinfo=UTC)
WATERMARK = datetime(2026, 6, 1, 12, tzinfo=UTC)
SEALED_THROUGH = datetime(2026, 5, 26, tzinfo=UTC)
INGESTED = datetime(2026, 6, 1, 12, 0, 1, tzinfo=UTC)

DEFINITION = {
    "version": MODEL,
    "label": "Two signals",
    "signals": [
        {"name": "usage", "label": "Usage in 28 days", "group": "usage", "weight": 60, "unit": "ratio"},
        {"name": "tickets", "label": "Ticket backlog", "group": "support", "weight": 40, "unit": "ratio"},
    ],
}


@dataclass(frozen=True)
class Account:
    """An account; scores in 10^-6 points, None for no score; `live` False where nothing is scored yet."""

    number: int
    name: str
    score: int | None = 50_000_000
    band: str = "watch"
    trend: str = "flat"
    segment: str | None = "Enterprise"
    owner: str | None = "Ada"
    deleted: bool = False
    live: bool = True
    past: Mapping[int, int] = field(default_factory=dict, hash=False)
    """Days before the open day's end to score."""

    @property
    def account_id(self) -> UUID:
        return uuid5(NAMESPACE, str(self.number))

    @property
    def partition(self) -> int:
        return self.number % PARTITIONS


def contributions(score: int | None) -> list[int | None]:
    return [None, None] if score is None else [score // 3, score - score // 3]


def store(connection: psycopg.Connection[Any], accounts: Iterable[Account], position: int = 100) -> None:
    """Writes profiles, live scores, history, model and watermarks."""
    connection.execute("insert into health_models values (%s, %s) on conflict do nothing", [MODEL, Jsonb(DEFINITION)])
    for partition in range(PARTITIONS):
        for topic in ("health.scores", "events.product"):
            connection.execute(
                "insert into watermarks values (%s, %s, %s, %s, %s, %s) on conflict do nothing",
                [topic, partition, WATERMARK, SEALED_THROUGH, INGESTED, position],
            )
    for account in accounts:
        store_account(connection, account, position)


def store_account(connection: psycopg.Connection[Any], account: Account, position: int = 100) -> None:
    connection.execute(
        "insert into account_profiles values (%s, %s, %s, %s, %s, %s, 'EMEA', 'Business', %s, %s)",
        [
            account.account_id,
            datetime(2020, 1, 1, tzinfo=UTC),
            f"crm-{account.number}",
            account.name,
            account.segment,
            account.owner,
            datetime(2019, 1, 1, tzinfo=UTC),
            account.deleted,
        ],
    )

    def row(tick: datetime, score: int | None) -> list[Any]:
        return [
            account.account_id,
            tick,
            MODEL,
            score,
            account.band,
            account.trend,
            900_000,
            contributions(score),
            [0.5, None] if score is None else [0.5, 1.5],
            account.partition,
            position,
        ]

    if account.live:
        connection.execute(
            "insert into health_live values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [*row(OPEN_DAY_END, account.score), INGESTED, WATERMARK],
        )
    for days, score in account.past.items():
        connection.execute(
            "insert into health_scores values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            row(OPEN_DAY_END - days * DAY, score),
        )


def live_json(account: Account, score: int | None, position: int) -> bytes:
    """The delta and live JSON of the Redis layout."""
    return orjson.dumps(
        {
            "type": "score",
            "account_id": str(account.account_id),
            "tick": OPEN_DAY_END,
            "score": score,
            "band": account.band,
            "trend": account.trend,
            "coverage": 900_000,
            "contributions": contributions(score),
            "signal_values": [0.5, 1.5],
            "model": MODEL,
            "watermark": WATERMARK,
            "sealed_through": SEALED_THROUGH,
            "newest_ingested_at": INGESTED,
            "position": position,
        }
    )


class LiveWriter:
    """Writes live scores to Redis as the sink does: hash and stream together."""

    def __init__(self, url: str) -> None:
        self.redis = redis.Redis.from_url(url)

    def fill(self, accounts: Iterable[Account], epoch: str, position: int = 100) -> None:
        for account in accounts:
            self.redis.hset(
                f"vitals:{{{account.partition}}}:live",
                str(account.account_id),
                live_json(account, account.score, position),
            )
        for partition in range(PARTITIONS):
            self.redis.hset(
                f"vitals:{{{partition}}}:pipeline",
                mapping={
                    "watermark": WATERMARK.isoformat(),
                    "sealed_through": SEALED_THROUGH.isoformat(),
                    "newest_ingested_at": INGESTED.isoformat(),
                    "position": position,
                },
            )
        self.redis.set("vitals:epoch", epoch)

    def change(self, account: Account, score: int, position: int, *, keep: int = 10_000) -> None:
        self.change_at_once({account: score}, position, keep=keep)

    def change_at_once(self, scores: Mapping[Account, int], position: int = 101, *, keep: int = 10_000) -> None:
        """In one transaction: a reader sees only the end of it, when the stream has been cut to `keep` entries."""
        pipeline = self.redis.pipeline(transaction=True)
        for account, score in scores.items():
            encoded = live_json(account, score, position)
            pipeline.hset(f"vitals:{{{account.partition}}}:live", str(account.account_id), encoded)
            pipeline.xadd(f"vitals:{{{account.partition}}}:deltas", {"m": encoded}, maxlen=keep, approximate=False)
        pipeline.execute()
