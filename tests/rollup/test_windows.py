"""The window store beyond its memory: what does not fit lies on disk, and is as right as what does."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl

from streams.rollup.decoding import EVENT_COLUMNS
from streams.rollup.windows import WindowStore

AT = datetime(2026, 3, 2, 10, 11, 12, tzinfo=UTC)
MEMORY_MB, ACCOUNTS_A_FOLD, FOLDS = 64, 40_000, 8


def events_of(accounts: range) -> pl.DataFrame:
    """One event of each account."""
    ids = pl.Series([f"{number:08x}-0000-4000-8000-000000000000" for number in accounts])
    columns = {
        "event_id": ids,
        "account_id": ids,
        "user_id": ids,
        "kind": "product.feature_used",
        "source": "one",
        "event_time": AT,
        "ingested_at": AT,
        "value": Decimal(3),
        "properties": [{"key": "feature", "value": "export"}],
    }
    frame = pl.select(
        *[
            (value.alias(name) if isinstance(value, pl.Series) else pl.lit(value).alias(name)).cast(EVENT_COLUMNS[name])
            for name, value in columns.items()
        ]
    )
    return frame.with_columns(partition=pl.lit(0, pl.Int16), counted=pl.lit(True))


def test_what_does_not_fit_lies_on_disk_and_counts_on(tmp_path: Path) -> None:
    store = WindowStore(MEMORY_MB, tmp_path)
    for fold in range(FOLDS):
        store.fold("events.product", events_of(range(fold * ACCOUNTS_A_FOLD, (fold + 1) * ACCOUNTS_A_FOLD)))
    assert store.memory_bytes() <= MEMORY_MB * 1_000_000
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) > 0
    again = range(0, FOLDS * ACCOUNTS_A_FOLD, 1000)
    changed = store.fold("events.product", events_of(again))["day"]
    assert changed.num_rows == len(again)
    assert set(changed["product.events"].to_pylist()) == {Decimal(2)}
    assert set(changed["product.value"].to_pylist()) == {Decimal(6)}
    assert set(changed["product.active_users"].to_pylist()) == {None}  # the same user: nothing new
    store.close()
    assert list(tmp_path.iterdir()) == []
