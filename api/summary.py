"""The portfolio in one answer: how many accounts stand where, how that developed, and whom to look at."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.account_rows import ACCOUNT_EXAMPLE, MICRO, AccountRow, row_fields
from api.auth.identity import SIGNED_IN
from api.context import ApiContext, Context
from api.database import Connection, Row, fetch_all, fetch_one, sql
from api.problems import documented
from api.receipts import RECEIPT_EXAMPLE, Receipt, current_model, receipt_for

router = APIRouter(tags=["summary"], dependencies=[SIGNED_IN])

SUMMARY_EXAMPLE: dict[str, Any] = {
    "accounts": 1204,
    "scored": 1180,
    "mean_score": 61.25,
    "bands": {"healthy": 512, "watch": 489, "at_risk": 179, "unknown": 24},
    "falling": 143,
    "rising": 97,
    "history": [
        {"tick": "2026-11-23T00:00:00Z", "mean_score": 61.5, "healthy": 515, "watch": 486, "at_risk": 178},
    ],
    "worst": [ACCOUNT_EXAMPLE],
    "movers": [ACCOUNT_EXAMPLE],
    "receipt": RECEIPT_EXAMPLE,
}


class BandCounts(BaseModel):
    """Accounts by band."""

    model_config = ConfigDict(json_schema_extra={"examples": [SUMMARY_EXAMPLE["bands"]]})

    healthy: int = Field(description="Healthy.", examples=[512])
    watch: int = Field(description="To watch.", examples=[489])
    at_risk: int = Field(description="At risk.", examples=[179])
    unknown: int = Field(description="Without a score.", examples=[24])


class SummaryTick(BaseModel):
    """All accounts that existed at one tick, those since deleted included."""

    model_config = ConfigDict(json_schema_extra={"examples": SUMMARY_EXAMPLE["history"]})

    tick: datetime = Field(description="UTC midnight that ends the day.", examples=["2026-11-23T00:00:00Z"])
    mean_score: float | None = Field(description="Mean score in points; null where none is scored.", examples=[61.5])
    healthy: int = Field(description="Accounts that were healthy.", examples=[515])
    watch: int = Field(description="Accounts that were to watch.", examples=[486])
    at_risk: int = Field(description="Accounts that were at risk.", examples=[178])


class Summary(BaseModel):
    """The portfolio now and over the last 90 ticks."""

    model_config = ConfigDict(json_schema_extra={"examples": [SUMMARY_EXAMPLE]})

    accounts: int = Field(description="Accounts that are not deleted.", examples=[1204])
    scored: int = Field(description="Of them, with a live score.", examples=[1180])
    mean_score: float | None = Field(
        description="Mean live score in points; null where none is scored.", examples=[61.25]
    )
    bands: BandCounts = Field(description="Accounts by band of the live score.")
    falling: int = Field(description="Accounts whose trend is down.", examples=[143])
    rising: int = Field(description="Accounts whose trend is up.", examples=[97])
    history: list[SummaryTick] = Field(description="The last 90 ticks, oldest first.")
    worst: list[AccountRow] = Field(description="The five lowest scores, lowest first.")
    movers: list[AccountRow] = Field(description="The five that moved furthest in seven days, either way.")
    receipt: Receipt = Field(description="What the figures rest on.")


@router.get("/v1/summary", summary="Portfolio summary", responses=documented(401, 503))
async def summary(context: Context) -> Summary:
    """Counts by band, trend and history of the portfolio, with the accounts to look at first."""
    async with context.pool.connection() as connection:
        return await _summary(connection, context)


async def _summary(connection: Connection, context: ApiContext) -> Summary:
    model = await current_model(connection)
    receipt = await receipt_for(connection, context.clock.now(), model)
    counts = await fetch_one(connection, sql("summary_counts"), model=model)
    assert counts is not None
    history = await context.history.read(connection, model, receipt.sealed_through) if model is not None else []
    return Summary(
        accounts=counts["accounts"],
        scored=counts["scored"],
        mean_score=counts["score_sum"] / (counts["scored"] * MICRO) if counts["scored"] else None,
        bands=BandCounts(**{band: counts[band] for band in BandCounts.model_fields}),
        falling=counts["falling"],
        rising=counts["rising"],
        history=[
            SummaryTick(
                tick=figures.tick,
                mean_score=figures.mean_score,
                healthy=figures.healthy,
                watch=figures.watch,
                at_risk=figures.at_risk,
            )
            for figures in history
        ],
        worst=_accounts(await _worst(connection, model)),
        movers=_accounts(await _movers(connection, model)),
        receipt=receipt,
    )


async def _worst(connection: Connection, model: str | None) -> list[Row]:
    query = f"{sql('summary_worst')} {sql('accounts_changes')} order by page.score, page.account_id"
    return await fetch_all(connection, query, model=model)


async def _movers(connection: Connection, model: str | None) -> list[Row]:
    ticks = [row["tick"] for row in await fetch_all(connection, sql("summary_week_ago"), model=model)]
    query = (
        f"{sql('summary_movers')} {sql('accounts_changes')} order by abs(page.score - week.score) desc, page.account_id"
    )
    return await fetch_all(connection, query, model=model, week_ago_ticks=ticks)


def _accounts(rows: list[Row]) -> list[AccountRow]:
    return [AccountRow(**row_fields(row)) for row in rows]
