"""Score history of one account."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.account_rows import Band, Trend, points
from api.auth.identity import SIGNED_IN
from api.context import Context
from api.database import fetch_all, fetch_one, sql
from api.merges import surviving_account
from api.problems import ProblemError, documented
from api.profiles import HELD_EXAMPLE, HeldProfile, held_at, versions_of
from api.receipts import RECEIPT_EXAMPLE, Receipt, current_model, receipt_for
from api.time_range import TimeRange

router = APIRouter(tags=["accounts"], dependencies=[SIGNED_IN])

POINT_EXAMPLE: dict[str, Any] = {
    "tick": "2026-11-23T00:00:00Z",
    "score": 63.9,
    "band": "watch",
    "trend": "down",
    "coverage": 0.9,
    "adjustment": 0.0,
    "score_segment": "everyone",
    "provisional": True,
    **HELD_EXAMPLE,
}


class HealthPoint(HeldProfile):
    """The score at one tick: of the windows that end at or before it. With the profile as of the tick."""

    model_config = ConfigDict(json_schema_extra={"examples": [POINT_EXAMPLE]})

    tick: datetime = Field(description="UTC midnight that ends the day.", examples=["2026-11-23T00:00:00Z"])
    score: float | None = Field(description="Points; null where no signal applies.", examples=[63.9])
    band: Band = Field(description="Band of the score.", examples=["watch"])
    trend: Trend = Field(description="Trend at the tick.", examples=["down"])
    coverage: float = Field(description="Fresh weight over expected weight, 0 to 1.", examples=[0.9])
    adjustment: float = Field(description="Points that overrides add to what the signals say.", examples=[0.0])
    score_segment: str = Field(description="Segment of the health model that was used.", examples=["everyone"])
    provisional: bool = Field(description="Not sealed yet: late events may still change it.", examples=[True])


class HealthHistory(BaseModel):
    """Scores by tick, oldest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"items": [POINT_EXAMPLE], "model": "health-2026-11", "receipt": RECEIPT_EXAMPLE}]
        }
    )

    items: list[HealthPoint] = Field(description="One point a day from the account's first event on.")
    model: str | None = Field(description="Health model of the scores.", examples=["health-2026-11"])
    receipt: Receipt = Field(description="What the scores rest on, for this account's partition.")


@router.get(
    "/v1/accounts/{account_id}/health", summary="Score history of an account", responses=documented(401, 404, 422, 503)
)
async def health(account_id: UUID, context: Context, time_range: TimeRange) -> HealthHistory:
    """One score a day. The live score is not part of history."""
    start, end = time_range
    async with context.pool.connection() as connection:
        account_id = await surviving_account(connection, account_id)
        scope = await fetch_one(
            connection, sql("account_scope"), account_id=account_id, model=await current_model(connection)
        )
        if scope is None:
            raise ProblemError(404, f"There is no account {account_id}.")
        rows = await fetch_all(
            connection, sql("account_health"), account_id=account_id, model=scope["model"], start=start, end=end
        )
        versions = await versions_of(connection, account_id)
        receipt = await receipt_for(connection, context.clock.now(), scope["model"], partition=scope["partition"])
    items = [
        HealthPoint(
            **{**row, **{name: points(row[name]) for name in ("score", "coverage", "adjustment")}},
            **held_at(versions, row["tick"]),
        )
        for row in rows
    ]
    return HealthHistory(items=items, model=scope["model"], receipt=receipt)
