"""Results and gates as records. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from streams.quality.verdicts import GateStep, Result
from streams.rollup.watermark import instant_of

Record = dict[str, Any]


def result_record(result: Result, position: int, written_at: datetime) -> Record:
    """A `QualityResult`. A final one is the same wherever it was computed, so its position is 0."""
    check, judgement = result.check, result.judgement
    return {
        "check": check.name,
        "version": check.version,
        "kind": check.kind,
        "severity": check.severity,
        "source": result.source,
        "window_start": instant_of(result.window_start),
        "window_end": instant_of(result.window_start + check.window_micros),
        "verdict": judgement.verdict,
        "final": result.final,
        "records": judgement.records,
        "flagged": judgement.flagged,
        "observed": judgement.observed,
        "lower": judgement.lower,
        "upper": judgement.upper,
        "position": 0 if result.final else position,
        "written_at": written_at,
    }


def gates_record(steps: Sequence[GateStep], partition: int, written_at: datetime) -> Record:
    """A `MetricValuesBundle` that tells one partition of gates that moved. It says nothing of values or watermarks."""
    return {
        "input_topic": steps[0].check.topics[0],
        "input_partition": partition,
        "next_offset": 0,
        "definition_version": 0,
        "rank": 0,
        "last_part": False,
        "watermark": None,
        "sealed_through": None,
        "newest_ingested_at": None,
        "accounts": [],
        "counts": [],
        "written_at": written_at,
        "gates": [
            {
                "check": step.check.name,
                "version": step.check.version,
                "source": step.source,
                "since": instant_of(step.since),
                "closed": step.closed,
                "metrics": list(step.check.gates),
            }
            for step in steps
        ],
    }
