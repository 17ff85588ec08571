"""One account as it stands in a list: profile, live score and how it moved."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal, get_args
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.database import Row

MICRO = 1_000_000
"""Scores, contributions and coverage are kept as integers in 10^-6."""

Band = Literal["healthy", "watch", "at_risk", "unknown"]
Trend = Literal["up", "flat", "down"]
SignalStatus = Literal["not_applicable", "missing", "stale", "fresh"]
STATUSES: tuple[SignalStatus, ...] = get_args(SignalStatus)
"""By their codes in the store, which are those of `analytics.health.scores`."""

BANDS: tuple[str, ...] = get_args(Band)

ACCOUNT_EXAMPLE: dict[str, Any] = {
    "account_id": "7d2a4a53-5d8a-5b7e-9c5b-0c6f0a0a1b11",
    "name": "Acme",
    "segment": "Enterprise",
    "owner": "Ada Lovelace",
    "region": "EMEA",
    "plan": "Business",
    "arr": 36000.0,
    "arr_currency": "USD",
    "renewal_date": "2027-03-01",
    "score": 63.120482,
    "band": "watch",
    "trend": "down",
    "coverage": 0.9,
    "adjustment": 0.0,
    "score_segment": "everyone",
    "change_7d": -4.25,
    "change_28d": -11.500001,
    "tick": "2026-11-24T00:00:00Z",
    "position": 48211,
}


class AccountRow(BaseModel):
    """An account with its live score. Scores are points from 0 to 100, exact to 10⁻⁶."""

    model_config = ConfigDict(json_schema_extra={"examples": [ACCOUNT_EXAMPLE]})

    account_id: UUID = Field(description="Id of the account.", examples=[ACCOUNT_EXAMPLE["account_id"]])
    name: str = Field(description="Name.", examples=["Acme"])
    segment: str | None = Field(description="Segment.", examples=["Enterprise"])
    owner: str | None = Field(description="Customer-success manager.", examples=["Ada Lovelace"])
    region: str | None = Field(description="Region.", examples=["EMEA"])
    plan: str | None = Field(description="Plan.", examples=["Business"])
    arr: float | None = Field(
        description="Annual recurring revenue in major units of its currency: the CRM's, else what contracts and "
        "billing add up to. Null where nobody tells it, or contracts are in several currencies.",
        examples=[36000.0],
    )
    arr_currency: str | None = Field(description="Currency of the revenue (ISO 4217), where known.", examples=["USD"])
    renewal_date: date | None = Field(description="Day on which the contract renews or ends.", examples=["2027-03-01"])
    score: float | None = Field(
        description="Live health score in points; null where no signal applies or nothing is scored yet.",
        examples=[63.120482],
    )
    band: Band = Field(description="Band of the score; unknown without one.", examples=["watch"])
    trend: Trend = Field(description="Last week's mean against the four weeks before it.", examples=["down"])
    coverage: float | None = Field(
        description="Fresh weight over expected weight, 0 to 1: stale and missing signals lower it. Null where not "
        "scored yet.",
        examples=[0.9],
    )
    adjustment: float | None = Field(
        description="Points that overrides add to what the signals say; null where not scored yet.", examples=[0.0]
    )
    score_segment: str | None = Field(
        description="Segment of the health model whose weights were used; `everyone` where it names none for the "
        "account, null where not scored yet.",
        examples=["everyone"],
    )
    change_7d: float | None = Field(
        description="Live score minus the score seven days before, in points.", examples=[-4.25]
    )
    change_28d: float | None = Field(
        description="Live score minus the score 28 days before, in points.", examples=[-11.500001]
    )
    tick: datetime | None = Field(
        description="Instant of the live score: the end of the open UTC day.", examples=[ACCOUNT_EXAMPLE["tick"]]
    )
    position: int | None = Field(
        description="Revision of the score: the first offset of metric values that is not in it.", examples=[48211]
    )


def points(micro: int | None) -> float | None:
    """Points, or a fraction, from an integer in 10^-6: the nearest double, whose shortest form has the same digits.

    >>> points(63_120_482)
    63.120482
    """
    return None if micro is None else micro / MICRO


def status_names(codes: Sequence[int]) -> list[SignalStatus]:
    """How the signals stand, by name.

    >>> status_names([3, 2])
    ['fresh', 'stale']
    """
    return [STATUSES[code] for code in codes]


def row_fields(row: Row) -> dict[str, Any]:
    """The fields of `AccountRow` from a row with score, week_ago, month_ago and coverage in 10^-6."""

    def change(earlier: int | None) -> float | None:
        return None if row["score"] is None or earlier is None else (row["score"] - earlier) / MICRO

    return {
        **{
            name: row[name]
            for name in (
                *("account_id", "name", "segment", "owner", "region", "plan"),
                *("arr_currency", "renewal_date", "tick", "position", "score_segment"),
            )
        },
        "arr": None if row["arr"] is None else float(row["arr"]),
        "score": points(row["score"]),
        "band": row["band"],
        "trend": row["trend"],
        "coverage": points(row["coverage"]),
        "adjustment": points(row["adjustment"]),
        "change_7d": change(row["week_ago"]),
        "change_28d": change(row["month_ago"]),
    }
