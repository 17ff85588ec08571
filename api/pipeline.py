"""How the pipeline does: what became of every event, and how far each worker is."""

import asyncio
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.auth.identity import SIGNED_IN
from api.context import Context
from api.pipeline_figures import figures, read_pipeline
from api.problems import documented

router = APIRouter(tags=["pipeline"], dependencies=[SIGNED_IN])

KIND_EXAMPLE: dict[str, Any] = {
    "kind": "product.feature_used",
    "published": 50210,
    "counted": 50180,
    "duplicate": 20,
    "late": 7,
    "quarantined": 3,
    "dead_lettered": 1,
}


class KindFigures(BaseModel):
    """What became of the events of one kind."""

    model_config = ConfigDict(json_schema_extra={"examples": [KIND_EXAMPLE]})

    kind: str = Field(description="Kind of event; `unreadable` where it cannot be told.", examples=["product.login"])
    published: int = Field(description="Published by connectors.", examples=[50210])
    counted: int = Field(description="Counted in metric values.", examples=[50180])
    duplicate: int = Field(description="Seen before.", examples=[20])
    late: int = Field(description="Past the seal of their day.", examples=[7])
    quarantined: int = Field(description="Of accounts that nobody knows yet.", examples=[3])
    dead_lettered: int = Field(description="Unreadable or invalid, at either stage.", examples=[1])


class PipelineFigures(BaseModel):
    """Figures of the whole pipeline, since the first event."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "events_in": 50213,
                    "counted": 50180,
                    "duplicates": 20,
                    "late": 7,
                    "quarantined": 3,
                    "dead_lettered": 1,
                    "metric_values": 20144,
                    "scores": 18250,
                    "lag": {"rollup": 2, "scoring": 0, "sink redis": 0, "sink timescale": None},
                    "freshness_seconds": 0.62,
                    "by_kind": [KIND_EXAMPLE],
                }
            ]
        }
    )

    events_in: int = Field(description="Published, quarantined, or dead letters of a connector.", examples=[50213])
    counted: int = Field(description="Counted in metric values.", examples=[50180])
    duplicates: int = Field(description="Seen before, so not counted again.", examples=[20])
    late: int = Field(description="Past the seal of their day; kept for reconciliation.", examples=[7])
    quarantined: int = Field(description="Of accounts that nobody knows yet.", examples=[3])
    dead_lettered: int = Field(description="Unreadable or invalid, at either stage.", examples=[1])
    metric_values: int = Field(description="Rows of metric values.", examples=[20144])
    scores: int = Field(description="Rows of score history.", examples=[18250])
    lag: dict[str, int | None] = Field(
        description="Kafka offsets that each worker has still to read; null where Kafka does not say. Behind "
        "transactional topics it counts their markers as well.",
        examples=[{"rollup": 2, "scoring": 0}],
    )
    freshness_seconds: float | None = Field(
        description="Age of the newest event or progress record that scores hold.", examples=[0.62]
    )
    by_kind: list[KindFigures] = Field(description="The same counts by kind of event.")


@router.get("/v1/pipeline", summary="Pipeline figures", responses=documented(401, 503))
async def pipeline(context: Context) -> PipelineFigures:
    """Counts add up, by kind and in total: published = counted + duplicate + late + the rollup's dead letters + lag."""
    # On a connection of its own: counting rows may take longer than those who share the pool should wait.
    reading = await asyncio.to_thread(read_pipeline, context.settings.postgres_dsn.get_secret_value())
    ends = await context.end_offsets.of(reading.partitions)
    return PipelineFigures(**figures(reading, ends, context.clock.now()))
