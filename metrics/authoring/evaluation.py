"""A metric's window values over events in memory, computed by DuckDB with the SQL that every engine runs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa

from metrics.contract import Grain, Metric
from metrics.windows import window_values

EVENT_COLUMNS = pa.schema(
    [
        ("event_id", pa.string()),
        ("account_id", pa.string()),
        ("user_id", pa.string()),
        ("kind", pa.string()),
        ("source", pa.string()),
        ("event_time", pa.timestamp("us")),
        ("value", pa.decimal128(38, 6)),
        ("properties", pa.map_(pa.string(), pa.string())),
    ]
)
"""`metrics.contract.EVENTS` in Arrow. Event time is UTC without saying so, as the expressions expect it."""

AWARE = pa.timestamp("us", "UTC")


@dataclass(frozen=True, slots=True)
class WindowValue:
    """The final value of one window; its start is aware, in UTC."""

    account_id: str
    window_start: datetime
    value: Decimal


def event_table(events: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Events (as `schemas/avro/Event.avsc` has them, read by fastavro) as the table that a metric reads."""
    columns: dict[str, list[Any]] = {name: [] for name in EVENT_COLUMNS.names}
    for event in events:
        for name, values in columns.items():
            values.append(event[name])
    columns["properties"] = [list(properties.items()) for properties in columns["properties"]]
    table = pa.table(
        [
            pa.array(columns[each.name], type=AWARE if each.name == "event_time" else each.type)
            for each in EVENT_COLUMNS
        ],
        names=EVENT_COLUMNS.names,
    )
    return table.cast(EVENT_COLUMNS)


def evaluate(metric: Metric, grain: Grain, events: pa.Table) -> list[WindowValue]:
    """Every window's value, by window start and account. The events are unique: duplicates are the caller's business.

    Raises:
        duckdb.Error: the expression does not run, for example on a text that it casts to a number.
    """
    with duckdb.connect(":memory:", config={"TimeZone": "UTC", "autoinstall_known_extensions": "false"}) as database:
        database.register("events", events)
        rows = database.execute(window_values(metric, grain, "duckdb")).fetchall()
    found = [WindowValue(account, start.replace(tzinfo=UTC), value) for account, start, value in rows]
    return sorted(found, key=lambda each: (each.window_start, each.account_id))
