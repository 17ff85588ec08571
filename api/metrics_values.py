"""Metric values of one account by window."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from api.auth.identity import SIGNED_IN
from api.context import Context
from api.database import fetch_all, fetch_one, sql
from api.merges import surviving_account
from api.problems import FieldError, ProblemError, documented
from api.profiles import HELD_EXAMPLE, HeldProfile, held_at, versions_of
from api.receipts import RECEIPT_EXAMPLE, Receipt, receipt_for
from api.time_range import TimeRange
from metrics.catalogue import catalogue
from metrics.contract import LENGTH, Grain, Metric

router = APIRouter(tags=["accounts"], dependencies=[SIGNED_IN])

VALUE_EXAMPLE: dict[str, Any] = {
    "window_start": "2026-11-22T00:00:00Z",
    "metric": "product.events",
    "value": 418.0,
    "sealed": False,
    **HELD_EXAMPLE,
}


class MetricValue(HeldProfile):
    """The value of one window `[window_start, window_start + grain)`, with the profile as of its start."""

    model_config = ConfigDict(json_schema_extra={"examples": [VALUE_EXAMPLE]})

    window_start: datetime = Field(description="Start of the window, UTC.", examples=["2026-11-22T00:00:00Z"])
    metric: str = Field(description="Name of the metric.", examples=["product.events"])
    value: float = Field(
        description="Value in the metric's unit: the nearest double to a decimal with six places.", examples=[418.0]
    )
    sealed: bool = Field(description="Final; otherwise later events may still change it.", examples=[False])


class MetricValues(BaseModel):
    """Values by window, oldest first. Windows without events are left out."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [VALUE_EXAMPLE],
                    "unit": "events",
                    "receipt": {**RECEIPT_EXAMPLE, "model": None},
                }
            ]
        }
    )

    items: list[MetricValue] = Field(description="Values.")
    unit: str = Field(description="Unit of the values.", examples=["events"])
    receipt: Receipt = Field(
        description="What the values rest on: the metric's own events topic. No model is involved."
    )


@router.get(
    "/v1/accounts/{account_id}/metrics", summary="Metric values of an account", responses=documented(401, 404, 422, 503)
)
async def metric_values(
    account_id: UUID,
    context: Context,
    time_range: TimeRange,
    metric: Annotated[str, Query(description="Name of the metric.", examples=["product.events"], max_length=200)],
    grain: Annotated[Grain, Query(description="Length of a window; a day for every metric, finer for some.")] = "day",
) -> MetricValues:
    """One value a window in which something happened, with those of accounts that were merged into this one.

    Counts and sums add up, minima and maxima compare, of last values the account's own counts. Distinct values cannot
    be united from their numbers: where both have some, the greater is what there were at least.
    """
    definition = _metric(metric, grain)
    start, end = time_range
    async with context.pool.connection() as connection:
        account_id = await surviving_account(connection, account_id)
        scope = await fetch_one(connection, sql("account_scope"), account_id=account_id, model=None)
        if scope is None:
            raise ProblemError(404, f"There is no account {account_id}.")
        rows = await fetch_all(
            connection,
            sql("account_metrics"),
            account_id=account_id,
            metric=metric,
            grain=grain,
            merge=definition.merge,
            grain_seconds=LENGTH[grain].total_seconds(),
            topic=definition.topic,
            start=start,
            end=end,
        )
        versions = await versions_of(connection, account_id)
        partition = rows[-1]["partition"] if rows else None
        receipt = await receipt_for(connection, context.clock.now(), None, definition.topic, partition)
    items = [
        MetricValue(
            window_start=row["window_start"],
            metric=row["metric"],
            value=float(row["value"]),
            sealed=row["sealed"],
            **held_at(versions, row["window_start"]),
        )
        for row in rows
    ]
    return MetricValues(items=items, unit=definition.unit, receipt=receipt)


def _metric(name: str, grain: Grain) -> Metric:
    metrics = {metric.name: metric for metric in catalogue()}
    if name not in metrics:
        detail = f"There is no metric of this name: choose one of {', '.join(metrics)}."
        raise ProblemError(422, detail, errors=[FieldError(field="query.metric", detail=detail)])
    if grain not in metrics[name].grains:
        detail = f"{name} is not kept by the {grain}: choose one of {', '.join(metrics[name].grains)}."
        raise ProblemError(422, detail, errors=[FieldError(field="query.grain", detail=detail)])
    return metrics[name]
