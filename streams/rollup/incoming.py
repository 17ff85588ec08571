"""Decoded events as DuckDB reads them. Pure."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc


def incoming(events: pl.DataFrame, properties: Sequence[str]) -> pa.Table:
    """Events with `properties` as a struct of the given names; instants without a zone, because they are UTC."""
    table = _without_zone(events).to_arrow()
    entries = table.column("properties").combine_chunks()
    keys, values = entries.values.field("key"), entries.values.field("value")
    row_of_entry = np.repeat(np.arange(len(entries)), entries.value_lengths().to_numpy())
    columns = [_looked_up(name, keys, values, row_of_entry, len(entries)) for name in properties]
    if not properties:  # a struct has at least one field
        properties, columns = ("none",), [pa.nulls(len(entries), pa.large_string())]
    struct = pa.StructArray.from_arrays(columns, names=list(properties))
    return table.set_column(table.schema.get_field_index("properties"), "properties", struct)


def event_table(events: pl.DataFrame) -> pa.Table:
    """Events with `properties` as a map: the canonical event table that metrics are written over."""
    table = _without_zone(events).to_arrow()
    entries = table.column("properties").combine_chunks()
    offsets = entries.offsets.cast(pa.int32())
    properties = pa.MapArray.from_arrays(offsets, entries.values.field("key"), entries.values.field("value"))
    return table.set_column(table.schema.get_field_index("properties"), "properties", properties)


def _without_zone(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(pl.col("event_time", "ingested_at").dt.replace_time_zone(None))


def _looked_up(name: str, keys: pa.Array, values: pa.Array, row_of_entry: np.ndarray, rows: int) -> pa.Array:
    """The values of one name by row; null where a row has none."""
    (entry,) = np.nonzero(pc.equal(keys, name).to_numpy(zero_copy_only=False))
    place = np.full(rows, -1, dtype=np.int64)
    place[row_of_entry[entry]] = entry
    return values.take(pa.array(place, mask=place < 0))
