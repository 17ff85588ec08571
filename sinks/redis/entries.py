"""Bundles as what the Lua scripts take: the newest live score and the newest day's usage of each account. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import orjson

from analytics.health.segments import EVERYONE
from sinks.delivery import canonical_account_id

Arguments = list[str | bytes | int]

MICRO = Decimal(1_000_000)

USAGE_FIELDS: Mapping[str, str] = MappingProxyType({"product.events": "events", "product.active_users": "active_users"})
"""Metrics of the usage aggregate, by day, and their fields."""

FRESHNESS_FIELDS = ("watermark", "sealed_through", "newest_ingested_at")


@dataclass(frozen=True, slots=True)
class LiveScore:
    """An account's live score. Instants are aware; score, coverage and contributions are in 10^-6."""

    account_id: str
    model: str
    score: Mapping[str, Any]
    freshness: Mapping[str, Any]
    """`FRESHNESS_FIELDS` and position of the bundle."""

    @property
    def position(self) -> int:
        """Its revision among those of its model."""
        return int(self.freshness["position"])

    def arguments(self) -> Arguments:
        """Account, points, length of the part that a change of freshness leaves alone, JSON."""
        substance = orjson.dumps(
            {
                "type": "score",
                "account_id": self.account_id,
                "tick": self.score["tick"],
                "score": self.score["score"],
                "band": self.score["band"],
                "trend": self.score["trend"],
                "coverage": self.score["coverage"],
                "contributions": self.score["contributions"],
                "signal_values": self.score["signal_values"],
                "adjustment": self.score.get("adjustment", 0),
                # The account has a segment too, which its profile tells.
                "score_segment": self.score.get("segment", EVERYONE),
                "statuses": self.score.get("statuses", []),
                "model": self.model,
            }
        )[:-1]
        freshness = orjson.dumps({name: self.freshness[name] for name in (*FRESHNESS_FIELDS, "position")})
        points = "" if self.score["score"] is None else str(self.score["score"] / MICRO)
        return [self.account_id, points, len(substance), substance + b"," + freshness[1:]]


@dataclass(slots=True)
class LiveScores:
    """The live scores of one partition: one an account, the one that would win in the store."""

    freshness: Mapping[str, Any] | None = None
    by_account: dict[str, LiveScore] = field(default_factory=dict)

    def add_bundle(self, record: Mapping[str, Any]) -> None:
        """Takes a `HealthScoresBundle`; score history is none of Redis's business.

        Raises:
            BadRecordError: an account's id is not one.
        """
        if not record["live"]:
            return
        freshness = {name: record[name] for name in (*FRESHNESS_FIELDS, "position")}
        for account in record["accounts"]:
            account_id = canonical_account_id(account["account_id"])
            for score in account["scores"]:
                self.add(LiveScore(account_id, record["model"], score, freshness))
        self.add_freshness(freshness)

    def add_freshness(self, freshness: Mapping[str, Any]) -> None:
        """Takes how far live scores are."""
        if self.freshness is None or freshness["position"] > self.freshness["position"]:
            self.freshness = freshness

    def add(self, live: LiveScore) -> None:
        """Takes a score, unless the one held is newer."""
        held = self.by_account.get(live.account_id)
        if held is None or held.model != live.model or live.position > held.position:
            self.by_account[live.account_id] = live

    def arguments(self) -> Arguments:
        """Freshness pairs, counted, position last; then four arguments a score."""
        pairs: Arguments = []
        if self.freshness is not None:
            for name in FRESHNESS_FIELDS:
                instant: datetime | None = self.freshness[name]
                if instant is not None:
                    pairs += [name, instant.isoformat()]
            pairs += ["position", self.freshness["position"]]
        return [len(pairs) // 2, *pairs, *_flat(live.arguments() for live in self.by_account.values())]


@dataclass(slots=True)
class Usage:
    """The newest day's usage of one partition's accounts, field by field with its revision."""

    days: dict[str, str] = field(default_factory=dict)
    values: dict[tuple[str, str], tuple[tuple[int, int, int], Decimal]] = field(default_factory=dict)

    def add_bundle(self, record: Mapping[str, Any]) -> None:
        """Takes a `MetricValuesBundle`.

        Raises:
            BadRecordError: an account's id is not one.
        """
        revision = (record["definition_version"], record["rank"], record["next_offset"])
        for account in record["accounts"]:
            account_id = canonical_account_id(account["account_id"])
            for value in account["values"]:
                if value["grain"] == "day" and value["metric"] in USAGE_FIELDS:
                    self.add(account_id, value["metric"], value["window_start"], value["value"], revision)

    def add(
        self, account_id: str, metric: str, window_start: datetime, value: Decimal, revision: tuple[int, int, int]
    ) -> None:
        """Takes the value of a day, unless a newer day or revision is held."""
        day, name = window_start.date().isoformat(), USAGE_FIELDS[metric]
        held_day = self.days.get(account_id)
        if held_day is None or day > held_day:
            self.days[account_id] = day
            for other in USAGE_FIELDS.values():
                self.values.pop((account_id, other), None)
        elif day < held_day:
            return
        held = self.values.get((account_id, name))
        if held is None or revision > held[0]:
            self.values[(account_id, name)] = (revision, value)

    def arguments(self) -> Arguments:
        """Seven arguments a value: account, day, field, value, definition version, rank, position."""
        return list(
            _flat(
                [account_id, self.days[account_id], name, str(value), *revision]
                for (account_id, name), (revision, value) in self.values.items()
            )
        )


def _flat(groups: Iterable[Arguments]) -> Iterator[str | bytes | int]:
    for group in groups:
        yield from group
