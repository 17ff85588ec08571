"""Scores by Spark, of values by Spark, are those of the stream."""

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch.scores import score_history
from tests.batch.test_scored_table import LAST, MODEL, rows_by_key
from tests.scoring.logs import Published, at_once, midnight, run, scorer_of, windows_of, world
from vitals.errors import UserError

# The first use installs Spark.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def test_spark_scores_every_tick_as_the_stream_does(tmp_path: Path) -> None:
    accounts = world(MODEL, 3, 60, 300)
    values = [
        {
            "account_id": account_id,
            "metric": metric,
            "grain": grain,
            "window_start": midnight(day),
            "value": Decimal(value).scaleb(-6),
        }
        for account_id, metric, day, value in windows_of(accounts)
        for grain in ("day", "hour")  # hours are no business of the model
    ]
    schema = pa.schema(
        [
            ("account_id", pa.string()),
            ("metric", pa.string()),
            ("grain", pa.string()),
            ("window_start", pa.timestamp("us", "UTC")),
            ("value", pa.decimal128(38, 6)),
        ]
    )
    (tmp_path / "values").mkdir()
    for number in range(3):
        part = pa.Table.from_pylist(values[number::3], schema)
        pq.write_table(part, tmp_path / "values" / f"part-{number}.parquet")
    out = tmp_path / "scores"
    summary = score_history(str(tmp_path / "values"), str(out), midnight(LAST))
    streamed = run(scorer_of(MODEL), at_once(accounts, LAST), Published()).history
    assert summary == {"rows": len(streamed), "accounts": 60, "last_tick": LAST}
    assert rows_by_key(pq.read_table(out)) == streamed
    with pytest.raises(UserError, match="exists already"):
        score_history(str(tmp_path / "values"), str(out))
