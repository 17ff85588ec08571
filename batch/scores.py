"""Health scores of all of history with Spark, from the values that `vitals batch rollup` wrote."""

import sys
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypedDict, cast

from batch.out_folder import check_out, complete, is_local
from batch.spark_process import Spark
from models.loader import read_model
from vitals.errors import UserError

EPOCH = date(1970, 1, 1)

GROUPS = 64
"""Accounts are scored in so many groups, each in memory as a whole; a group of 200 with ten years takes 100 MB."""


class ScoresPlan(TypedDict):
    """What the job does: day values of the folder `values` under a model, to the tick `last_tick` or the newest."""

    session: Mapping[str, str]
    values: str
    out: str
    definition: Mapping[str, Any]
    last_tick: int | None
    groups: int
    code: str


class ScoresSummary(TypedDict):
    """Rows written, of how many accounts, up to which tick (days since 1970-01-01 UTC)."""

    rows: int
    accounts: int
    last_tick: int


def score_history(
    values: str,
    out: str,
    through: datetime | None = None,
    model_file: Path | None = None,
    groups: int = GROUPS,
    master: str = "local[*]",
    memory: str = "2g",
) -> ScoresSummary:
    """Writes every account's score at every tick to the folder `out`, which appears when it is complete.

    through: the last tick; by default the one that ends the newest day with a value.

    Raises:
        UserError: a wrong option, no such values, or Spark cannot be installed, started or failed.
    """
    if is_local(values) and not any(Path(values).glob("*.parquet")):
        raise UserError(f"--values {values} is no folder of Parquet: `vitals batch rollup --out {values}` writes one.")
    model = read_model(model_file)
    check_out(out)
    spark = Spark(master, memory)
    sys.stderr.write(f"Spark scores {values} with {model.version} …\n")
    began = time.monotonic()
    with complete(out) as folder:
        summary = spark.run(
            "batch.scores_job",
            {
                "session": spark.session,
                "values": str(Path(values).absolute()) if is_local(values) else values,
                "out": folder,
                "definition": model.definition,
                "last_tick": None if through is None else (through.astimezone(UTC).date() - EPOCH).days,
                "groups": groups,
            },
        )
    sys.stderr.write(f"Done in {time.monotonic() - began:.0f} s.\n")
    return cast(ScoresSummary, summary)
