"""Receipts: how far the figures of an answer reach, and which model made them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.database import Connection, fetch_all, sql

RECEIPT_EXAMPLE: dict[str, Any] = {
    "watermark": "2026-11-23T10:15:02.120000Z",
    "sealed_through": "2026-11-17T00:00:00Z",
    "model": "health-2026-11",
    "newest_ingested_at": "2026-11-23T10:15:02.340000Z",
    "freshness_seconds": 0.81,
}

SCORES = "health.scores"
"""The row of table watermarks that says how far scoring is."""


class Receipt(BaseModel):
    """What the figures beside it rest on."""

    model_config = ConfigDict(json_schema_extra={"examples": [RECEIPT_EXAMPLE]})

    watermark: datetime | None = Field(
        description="Event time that the furthest input has reached; null before the first progress.",
        examples=[RECEIPT_EXAMPLE["watermark"]],
    )
    sealed_through: datetime | None = Field(
        description="Up to here figures are final; later ones are provisional. Null where nothing is sealed yet.",
        examples=[RECEIPT_EXAMPLE["sealed_through"]],
    )
    model: str | None = Field(description="Version of the health model.", examples=["health-2026-11"])
    newest_ingested_at: datetime | None = Field(
        description="When the newest event or progress record that is included reached Vitals (wall clock).",
        examples=[RECEIPT_EXAMPLE["newest_ingested_at"]],
    )
    freshness_seconds: float | None = Field(
        description="Age of newest_ingested_at when the answer was made.", examples=[0.81]
    )


def combine(rows: Iterable[Mapping[str, Any]], model: str | None, now: datetime) -> Receipt:
    """One receipt for figures of several partitions: furthest watermark, least seal, newest ingestion.

    rows: each with `watermark`, `sealed_through` and `newest_ingested_at`, aware or null. One partition in which
    nothing is sealed means that nothing is sealed.
    """
    known = list(rows)
    watermarks = [row["watermark"] for row in known if row["watermark"] is not None]
    seals = [row["sealed_through"] for row in known]
    ingested = [row["newest_ingested_at"] for row in known if row["newest_ingested_at"] is not None]
    newest = max(ingested, default=None)
    return Receipt(
        watermark=max(watermarks, default=None),
        sealed_through=None if None in seals else min(seals, default=None),
        model=model,
        newest_ingested_at=newest,
        # The clocks of two machines may differ by a little; nothing is fresher than now.
        freshness_seconds=None if newest is None else max(0.0, (now - newest).total_seconds()),
    )


async def receipt_for(
    connection: Connection, now: datetime, model: str | None, topic: str = SCORES, partition: int | None = None
) -> Receipt:
    """The receipt of figures that come from one input topic: of one partition of it, or of all."""
    rows = await fetch_all(connection, sql("watermarks"), topic=topic, partition=partition)
    return combine(rows, model, now)


async def current_model(connection: Connection) -> str | None:
    """The model that live scores come from: of several, the one that scored last."""
    rows = await fetch_all(connection, sql("current_model"))
    return str(rows[0]["model"]) if rows else None
