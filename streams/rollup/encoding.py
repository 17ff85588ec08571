"""Changed windows as Avro, a column at a time: the bytes that fastavro would write. Pure.

A value in a bundle is a metric, a grain, a window and a number. The first two are the same bytes for a whole column,
windows and numbers repeat, so that each different one is encoded once and the rest is native concatenation.
"""

import io
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metrics.contract import Grain
from streams.rollup.windows import ChangedWindows
from vitals.avro import parsed_schema, primitive

KEY = ("partition", "account_id", "window_start")


@dataclass(frozen=True, slots=True)
class AccountValues:
    """One account's changed values, encoded as items of the Avro array `values`."""

    account_id: str
    values: int
    items: bytes


def encoded_accounts(changed: ChangedWindows, most: int) -> dict[int, list[AccountValues]]:
    """The changed values of each partition, by account in order of account.

    An account with more values than `most` comes in several pieces.
    """
    rows = [_encoded_rows(grain, windows) for grain, windows in changed.items() if windows.num_rows]
    if not rows:
        return {}
    joined = pa.concat_tables(rows).combine_chunks()
    order = pc.sort_indices(joined, sort_keys=[("partition", "ascending"), ("account_id", "ascending")])
    ordered = joined.take(order)
    partition = ordered["partition"].to_numpy()
    account = ordered["account_id"].combine_chunks()
    number = pc.rank(account, sort_keys="ascending", tiebreaker="dense").to_numpy().astype(np.int64)
    first = np.r_[True, (partition[1:] != partition[:-1]) | (number[1:] != number[:-1])]
    index = np.arange(len(first))
    within = index - np.maximum.accumulate(np.where(first, index, 0))
    widest = max(windows.num_columns - len(KEY) for windows in changed.values())
    starts = np.flatnonzero(within % max(1, most // widest) == 0)
    lists = pa.LargeListArray.from_arrays(
        pa.array(np.r_[starts, len(partition)], type=pa.int64()), ordered["items"].combine_chunks()
    )
    items = pc.binary_join(lists, pa.scalar(b"", type=pa.large_binary())).to_pylist()
    counts = np.add.reduceat(ordered["values"].to_numpy(), starts).tolist()
    names = account.take(pa.array(starts)).to_pylist()
    accounts: dict[int, list[AccountValues]] = defaultdict(list)
    for home, name, count, encoded in zip(partition[starts].tolist(), names, counts, items, strict=True):
        accounts[home].append(AccountValues(name, count, encoded))
    return accounts


def _encoded_rows(grain: Grain, windows: pa.Table) -> pa.Table:
    """partition, account_id, number of values and their encoded items of each window."""
    starts = _once(windows["window_start"].combine_chunks(), lambda start: primitive("long", start))
    columns, values = [], np.zeros(windows.num_rows, dtype=np.int64)
    for metric in windows.column_names:
        if metric in KEY:
            continue
        numbers = windows[metric].combine_chunks()
        if numbers.null_count == len(numbers):
            continue
        values += numbers.is_valid().to_numpy(zero_copy_only=False)
        prefix = pa.scalar(primitive("string", metric) + primitive("string", grain), type=pa.large_binary())
        columns.append(pc.binary_join_element_wise(prefix, starts, _decimals(numbers), _NOTHING))
    items = pc.binary_join_element_wise(*columns, _NOTHING, null_handling="skip")
    return pa.table(
        {
            "partition": windows["partition"],
            "account_id": windows["account_id"],
            "values": pa.array(values),
            "items": items,
        }
    )


_NOTHING = pa.scalar(b"", type=pa.large_binary())


def _decimals(numbers: pa.Array) -> pa.Array:
    """DECIMAL(38,6) as Avro writes it: the length, then the unscaled number in two's complement, big endian."""
    halves = np.frombuffer(numbers.buffers()[1], dtype="<i8").reshape(-1, 2)[
        numbers.offset : numbers.offset + len(numbers)
    ]
    low, high = halves[:, 0], halves[:, 1]
    absent = numbers.is_null().to_numpy(zero_copy_only=False)
    if ((high == low >> 63) | absent).all():
        return _once(pa.array(low, mask=absent), _unscaled)
    wide = zip(low.tolist(), high.tolist(), absent.tolist(), strict=True)
    encoded = [None if null else _unscaled(above << 64 | below & _LOW_HALF) for below, above, null in wide]
    return pa.array(encoded, type=pa.large_binary())


_LOW_HALF = 2**64 - 1


def _unscaled(number: int) -> bytes:
    length = (number.bit_length() + 8) // 8  # at most 16, which zigzag doubles into one byte
    return bytes((2 * length,)) + number.to_bytes(length, "big", signed=True)


def _once(column: pa.Array, encode: Callable[[Any], bytes]) -> pa.Array:
    """Encodes each different value once. Nulls stay."""
    coded = pc.dictionary_encode(column)
    encoded = [encode(value) for value in coded.dictionary.to_pylist()]
    return pa.array(encoded, type=pa.large_binary()).take(coded.indices)


@cache
def _parts(record_name: str, field_name: str) -> tuple[Any, Any]:
    """Schemas of a record's fields before and after one of them."""
    fields = parsed_schema(record_name)["fields"]
    place = [each["name"] for each in fields].index(field_name)
    before, after = (
        fastavro.parse_schema({"type": "record", "name": f"vitals.{record_name}Part", "fields": part})
        for part in (fields[:place], fields[place + 1 :])
    )
    return before, after


def spliced(record_name: str, record: Mapping[str, Any], field_name: str, encoded: bytes) -> bytes:
    """A record's Avro body, one of whose fields is encoded already."""
    before, after = _parts(record_name, field_name)
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, before, record)
    buffer.write(encoded)
    fastavro.schemaless_writer(buffer, after, record)
    return buffer.getvalue()


def encoded_array(items: int, encoded: bytes) -> bytes:
    """An Avro array of items that are encoded already.

    >>> encoded_array(2, b"ab"), encoded_array(0, b"")
    (b'\\x04ab\\x00', b'\\x00')
    """
    return primitive("long", items) + encoded + b"\0" if items else b"\0"
