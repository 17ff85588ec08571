"""Scores of many accounts as an Arrow table, from an Arrow table of their day windows: what Spark gives and takes."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analytics.health.day_values import Mask
from analytics.health.model import HealthModel
from analytics.health.scores import STATUSES, TRENDS, score_ticks
from analytics.health.windows import day_values

DAY_MICROS = 86_400 * 1_000_000

SCHEMA = pa.schema(
    [
        ("account_id", pa.string()),
        ("tick", pa.timestamp("us", "UTC")),
        ("model", pa.string()),
        ("score", pa.int64()),
        ("band", pa.string()),
        ("trend", pa.string()),
        ("coverage", pa.int64()),
        ("contributions", pa.list_(pa.int64())),
        ("signal_values", pa.list_(pa.float64())),
        ("statuses", pa.list_(pa.string())),
        ("segment", pa.string()),
        ("adjustment", pa.int64()),
    ]
)
"""A row an account and tick, as the stream publishes it; integers in 10^-6."""


def scored_table(model: HealthModel, windows: pa.Table, last_tick: int) -> pa.Table:
    """Rows of every account from its first tick to `last_tick`, everything about it being known.

    windows: `account_id` (string), `metric` (string), `day` (int64, days since 1970), `value` (int64, 10^-6 units),
    each window once.
    """
    accounts = pc.unique(windows["account_id"])
    metrics = pc.unique(windows["metric"])
    days = day_values(
        [model],
        len(accounts),
        pc.index_in(windows["account_id"], accounts).to_numpy().astype(np.int64),
        metrics.to_pylist(),
        pc.index_in(windows["metric"], metrics).to_numpy(),
        windows["day"].to_numpy(),
        windows["value"].to_numpy(),
    )
    if not days.accounts or last_tick <= days.origin:
        return SCHEMA.empty_table()
    first_tick = days.origin + 1
    scores = score_ticks(model, days, first_tick, last_tick)
    rows, columns = np.nonzero(scores.exists)
    applies = scores.applies[:, rows, columns].T
    return pa.table(
        [
            accounts.take(pa.array(rows)),
            pa.array((columns + first_tick) * DAY_MICROS, pa.timestamp("us", "UTC")),
            pa.repeat(model.version, len(rows)),
            pa.array(scores.score[rows, columns], mask=~scores.scored[rows, columns]),
            pa.array(scores.band_names).take(pa.array(scores.band[rows, columns])),
            pa.array(TRENDS).take(pa.array(scores.trend[rows, columns])),
            pa.array(scores.coverage[rows, columns]),
            _lists(pa.array(scores.contributions[:, rows, columns].T.ravel(), mask=~applies.ravel()), applies),
            _lists(pa.array(scores.values[:, rows, columns].T.ravel(), mask=~applies.ravel()), applies),
            _lists(pa.array(STATUSES).take(pa.array(scores.status[:, rows, columns].T.ravel())), applies),
            pa.array(model.segment_names).take(pa.array(scores.segment[rows, columns])),
            pa.array(scores.adjustment[rows, columns]),
        ],
        schema=SCHEMA,
    )


def _lists(items: pa.Array, applies: Mask) -> pa.Array:
    """One list a row, of as many items as there are signals."""
    count, signals = applies.shape
    return pa.ListArray.from_arrays(pa.array(np.arange(count + 1, dtype=np.int32) * signals), items)
