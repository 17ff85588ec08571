"""What each signal adds to an account's live score, how it stands, and why it is held where it is."""

from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.account_rows import SignalStatus, points, status_names
from api.database import Row
from api.problems import ProblemError
from schemas.topics import events_topic

DAY = timedelta(days=1)

CONTRIBUTIONS_EXAMPLE: list[Any] = [
    {
        "signal": "usage_volume",
        "label": "Product events in 28 days against the account's own level",
        "group": "usage",
        "weight": 25,
        "contribution": 43.120482,
        "value": 0.81,
        "unit": "ratio",
        "status": "fresh",
        "gated_by": [],
        "outages": [],
    },
    {
        "signal": "resolution_time",
        "label": "Mean days to solve a ticket, solved in 56 days",
        "group": "support",
        "weight": 10,
        "contribution": 20.0,
        "value": 1.5,
        "unit": "days",
        "status": "stale",
        "gated_by": [],
        "outages": [{"topic": "events.support", "complete_through": "2026-11-20T08:15:00Z"}],
    },
    {
        "signal": "seat_change",
        "label": "Seats over those of 92 days before",
        "group": "commercial",
        "weight": 10,
        "contribution": None,
        "value": None,
        "unit": "ratio",
        "status": "missing",
        "gated_by": [{"check": "billing_seats_complete", "source": "stripe", "since": "2026-11-22T00:00:00Z"}],
        "outages": [],
    },
]


class Gate(BaseModel):
    """A data quality check that fails, so that a signal is held as it was before."""

    model_config = ConfigDict(json_schema_extra={"examples": [CONTRIBUTIONS_EXAMPLE[2]["gated_by"][0]]})

    check: str = Field(description="Name of the check.", examples=["billing_seats_complete"])
    source: str = Field(description="Source whose data fails it.", examples=["stripe"])
    since: datetime = Field(description="End of the first window that failed.", examples=["2026-11-22T00:00:00Z"])


class Outage(BaseModel):
    """A topic of events that is behind, so that a signal is held as of the day that it has reached."""

    model_config = ConfigDict(json_schema_extra={"examples": [CONTRIBUTIONS_EXAMPLE[1]["outages"][0]]})

    topic: str = Field(description="Topic of the events.", examples=["events.support"])
    complete_through: datetime = Field(
        description="Event time up to which all its sources have told everything.", examples=["2026-11-20T08:15:00Z"]
    )


class Contribution(BaseModel):
    """What one signal adds to the score."""

    model_config = ConfigDict(json_schema_extra={"examples": CONTRIBUTIONS_EXAMPLE})

    signal: str = Field(description="Name of the signal in the health model.", examples=["usage_volume"])
    label: str = Field(description="What it measures, for people.", examples=["Failed payments in 92 days"])
    group: str = Field(description="Group of signals.", examples=["usage"])
    weight: float = Field(description="Weight in the model, for the account's segment of it.", examples=[25])
    contribution: float | None = Field(
        description="Points it adds: those of all signals and the adjustment sum to the score. Null where it does not "
        "apply.",
        examples=[43.120482],
    )
    value: float | None = Field(
        description="Its value before the curve, in `unit`; null where it does not apply.", examples=[0.81]
    )
    unit: str | None = Field(description="Unit of the value.", examples=["ratio"])
    status: SignalStatus | None = Field(
        description="`fresh`; `stale`: held, because its input is not known up to the tick; `missing`: it does not "
        "apply although the account should have it; `not_applicable`. Null in a score of before this was kept.",
        examples=["fresh"],
    )
    gated_by: list[Gate] = Field(description="Failing checks because of which it is held; mostly empty.")
    outages: list[Outage] = Field(description="Topics that are behind, because of which it is held; mostly empty.")


def contributions_of(row: Row, gates: list[Row], topics: list[Row]) -> list[Contribution]:
    """Those of a row of `account.sql`, by the model's order of signals; none where nothing is scored yet.

    gates: closed at the row's tick. topics: how far each events topic of the partition is complete.
    """
    if row["model"] is None:
        return []
    definition = row["definition"]
    if definition is None:
        raise ProblemError(503, f"The definition of {row['model']} has not arrived yet.", headers={"Retry-After": "2"})
    signals = definition["signals"]
    statuses: list[SignalStatus | None] = [*status_names(row["statuses"])] or [None] * len(signals)
    weights = _segment_weights(definition, row["score_segment"])
    return [
        Contribution(
            signal=signal["name"],
            label=signal["label"],
            group=signal["group"],
            weight=weights.get(signal["name"], signal["weight"]),
            contribution=points(contribution),
            value=value,
            unit=signal.get("unit"),
            status=status,
            gated_by=_gated_by(signal, gates),
            outages=_outages(signal, topics, row["tick"]) if status == "stale" else [],
        )
        # Of different lengths, they would not belong together.
        for signal, contribution, value, status in zip(
            signals, row["contributions"], row["signal_values"], statuses, strict=True
        )
    ]


def _segment_weights(definition: dict[str, Any], segment: str) -> dict[str, float]:
    segments = {each["name"]: each for each in definition.get("segments", ())}
    return dict(segments.get(segment, {}).get("weights", {}))


def _metrics(signal: dict[str, Any]) -> set[str]:
    return {term["metric"] for term in (*signal.get("inputs", ()), *signal.get("denominator", ()))}


def _gated_by(signal: dict[str, Any], gates: list[Row]) -> list[Gate]:
    metrics = _metrics(signal)
    return [
        Gate(check=gate["check_name"], source=gate["source"], since=gate["since"])
        for gate in gates
        if metrics.intersection(gate["metrics"])
    ]


def _outages(signal: dict[str, Any], topics: list[Row], tick: datetime) -> list[Outage]:
    """The topics of the signal's metrics that had not reached the day that the tick ends."""
    own = {events_topic(metric) for metric in _metrics(signal)}
    return [
        Outage(topic=each["topic"], complete_through=each["complete_through"])
        for each in topics
        if each["topic"] in own and each["complete_through"] < tick - DAY
    ]
