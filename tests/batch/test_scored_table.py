"""The table that Spark makes of day windows has the rows that the stream publishes, to the last integer."""

from datetime import UTC, datetime

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.health.scored_table import SCHEMA, scored_table
from models.loader import read_model
from tests.scoring.logs import ORIGIN, Published, World, at_once, run, scorer_of, windows_of, world

MODEL = read_model()
DAYS = 300
LAST = ORIGIN + DAYS


def windows_table(accounts: World) -> pa.Table:
    rows = list(windows_of(accounts))
    names = ("account_id", "metric", "day", "value")
    kinds = (pa.string(), pa.string(), pa.int64(), pa.int64())
    columns = list(zip(*rows, strict=True)) or [()] * 4
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)], list(names))


def rows_by_key(table: pa.Table) -> dict[tuple[str, int], dict[str, object]]:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    rows = {}
    for row in table.to_pylist():
        account_id, tick = row.pop("account_id"), (row.pop("tick") - epoch).days
        assert row.pop("model") == MODEL.version
        rows[(account_id, tick)] = {"tick": tick, **row}
    return rows


@settings(max_examples=8)
@given(seed=st.integers(0, 1000))
def test_rows_are_those_of_the_stream(seed: int) -> None:
    accounts = world(MODEL, seed, 4, DAYS)
    streamed = run(scorer_of(MODEL), at_once(accounts, LAST), Published())
    table = scored_table(MODEL, windows_table(accounts), LAST)
    assert table.schema == SCHEMA
    assert rows_by_key(table) == streamed.history


def test_no_windows_give_no_rows() -> None:
    assert scored_table(MODEL, windows_table({}), LAST).num_rows == 0
    assert scored_table(MODEL, windows_table(world(MODEL, 1, 2, DAYS)), ORIGIN).num_rows == 0
