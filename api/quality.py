"""Data quality: every check with its newest results, and the results of one over time."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from analytics.quality.declarations import Check
from api.auth.identity import SIGNED_IN
from api.context import Context
from api.database import Row, fetch_all, sql
from api.problems import ProblemError, documented
from api.time_range import TimeRange
from schemas.checks.catalogue import checks

router = APIRouter(tags=["quality"], dependencies=[SIGNED_IN])

LARGEST_ANSWER = 5_000

RESULT_EXAMPLE: dict[str, Any] = {
    "source": "stripe",
    "window_start": "2026-11-22T00:00:00Z",
    "window_end": "2026-11-23T00:00:00Z",
    "verdict": "failed",
    "final": True,
    "observed": 0.18,
    "lower": None,
    "upper": 0.1,
    "records": 210,
    "flagged": 38,
}

CHECK_EXAMPLE: dict[str, Any] = {
    "name": "billing_seats_complete",
    "kind": "completeness",
    "description": "A paid invoice says for how many seats, which the seat signal compares.",
    "owner": "billing",
    "severity": "warning",
    "window": "day",
    "gates": ["billing.seats"],
    "newest": [RESULT_EXAMPLE],
}


class QualityResult(BaseModel):
    """What a check says of one window of one source."""

    model_config = ConfigDict(json_schema_extra={"examples": [RESULT_EXAMPLE]})

    source: str = Field(
        description="Connector; for freshness the stream; `all` where the check is about several.", examples=["stripe"]
    )
    window_start: datetime = Field(
        description="Start of the window: of event time, for freshness of the wall clock (UTC).",
        examples=["2026-11-22T00:00:00Z"],
    )
    window_end: datetime = Field(description="Its end, exclusive.", examples=["2026-11-23T00:00:00Z"])
    verdict: Literal["passed", "failed", "not_enough_data"] = Field(description="The verdict.", examples=["failed"])
    final: bool = Field(description="Whether the window is closed; otherwise the verdict may change.", examples=[True])
    observed: float | None = Field(
        description="Share, events (volume), divergence (drift) or seconds (freshness); null where there is none.",
        examples=[0.18],
    )
    lower: float | None = Field(description="Least value that passes; null for no bound.", examples=[None])
    upper: float | None = Field(description="Greatest value that passes; null for no bound.", examples=[0.1])
    records: int = Field(description="Records examined.", examples=[210])
    flagged: int = Field(description="Of them, those that are not as they should be.", examples=[38])


class QualityCheck(BaseModel):
    """A declared check with its newest final result of each source."""

    model_config = ConfigDict(json_schema_extra={"examples": [CHECK_EXAMPLE]})

    name: str = Field(description="Name of the check.", examples=["billing_seats_complete"])
    kind: str = Field(description="What kind of check it is.", examples=["completeness"])
    description: str = Field(description="What it watches and why.", examples=["A paid invoice has an amount."])
    owner: str = Field(description="Who answers for it.", examples=["billing"])
    severity: Literal["info", "warning", "critical"] = Field(description="How bad a failure is.", examples=["warning"])
    window: Literal["hour", "day"] = Field(description="Length of its windows.", examples=["day"])
    gates: list[str] = Field(
        description="Metrics whose health signals are held at their last good value while it fails.",
        examples=[["billing.seats"]],
    )
    newest: list[QualityResult] = Field(description="The newest final result by source; empty before the first.")


class QualityChecks(BaseModel):
    """Every check."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [CHECK_EXAMPLE], "failing": 1}]})

    items: list[QualityCheck] = Field(description="Checks by name.")
    failing: int = Field(description="Checks whose newest result fails for any source.", examples=[1])


class QualityResults(BaseModel):
    """Results of one check, newest windows first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [RESULT_EXAMPLE]}]})

    items: list[QualityResult] = Field(description="Results.")


@router.get("/v1/quality", summary="Data quality checks", responses=documented(401, 503))
async def quality_checks(context: Context) -> QualityChecks:
    """Every declared check with what it found last."""
    async with context.pool.connection() as connection:
        rows = await fetch_all(connection, sql("quality_newest"))
    items = [_check(check, [row for row in rows if row["check_name"] == check.name]) for check in checks()]
    failing = sum(1 for item in items if any(result.verdict == "failed" for result in item.newest))
    return QualityChecks(items=items, failing=failing)


@router.get("/v1/quality/{check}", summary="Results of a check", responses=documented(401, 404, 422, 503))
async def quality_results(
    check: str,
    context: Context,
    time_range: TimeRange,
    source: Annotated[str | None, Query(description="Only this source.", max_length=200)] = None,
    limit: Annotated[int, Query(description="Most results.", ge=1, le=LARGEST_ANSWER)] = 500,
) -> QualityResults:
    """The results of one check as a time series, also provisional ones of open windows."""
    if check not in {each.name for each in checks()}:
        raise ProblemError(404, f"There is no check {check}.")
    start, end = time_range
    async with context.pool.connection() as connection:
        rows = await fetch_all(
            connection,
            sql("quality_results"),
            check_name=check,
            source=source.replace("\0", "\ufffd") if source else None,
            start=start,
            end=end,
            limit=limit,
        )
    return QualityResults(items=[_result(row) for row in rows])


def _check(check: Check, newest: list[Row]) -> QualityCheck:
    return QualityCheck(
        name=check.name,
        kind=check.kind,
        description=check.description,
        owner=check.owner,
        severity=check.severity,
        window=check.window,
        gates=list(check.gates),
        newest=[_result(row) for row in newest],
    )


def _result(row: Row) -> QualityResult:
    told = {name: row[name] for name in QualityResult.model_fields if name in row}
    return QualityResult(**told, lower=row["lower_bound"], upper=row["upper_bound"])
