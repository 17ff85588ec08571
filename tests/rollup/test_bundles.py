"""A flush is cut into parts that lose nothing, only the last part moves the watermark, and the bytes are Avro's own."""

import io
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import fastavro
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.rollup.bundles import ACCOUNTS_A_PART, VALUES_A_PART, Flush, bundles
from streams.rollup.encoding import encoded_accounts
from streams.rollup.watermark import micros
from streams.rollup.windows import ChangedWindows
from vitals.avro import parsed_schema

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NUMBERS = st.decimals(-(10**31), 10**31, places=6) | st.integers(-300, 10**9).map(Decimal)
Values = dict[tuple[str, str, str, datetime], Decimal]


def windows(rows: list[tuple[int, str, datetime, dict[str, Decimal]]], metrics: list[str]) -> pa.Table:
    """A table of changed windows as the window store gives it."""
    rows = sorted(rows, key=lambda row: row[:3])
    return pa.table(
        {
            "partition": pa.array([row[0] for row in rows], pa.int16()),
            "account_id": pa.array([row[1] for row in rows], pa.string()),
            "window_start": pa.array([micros(row[2]) for row in rows], pa.int64()),
            **{name: pa.array([row[3].get(name) for row in rows], pa.decimal128(38, 6)) for name in metrics},
        }
    )


def read(changed: ChangedWindows, partition: int) -> tuple[list[dict[str, Any]], Values]:
    """The bundles of a partition by fastavro, and every value in them."""
    accounts = encoded_accounts(changed, VALUES_A_PART).get(partition, [])
    counts = Counter({("billing.invoice_paid", "counted"): 5, ("billing.invoice_paid", "late"): 0})
    flush = Flush("events.billing", partition, 77, accounts, NOW, NOW, NOW, counts, sealed_more=False)
    records: list[dict[str, Any]] = []
    for body in bundles(flush, NOW):
        stream = io.BytesIO(body)
        record: Any = fastavro.schemaless_reader(stream, parsed_schema("MetricValuesBundle"), None)
        assert stream.tell() == len(body)
        again = io.BytesIO()
        fastavro.schemaless_writer(again, parsed_schema("MetricValuesBundle"), record)
        assert again.getvalue() == body
        records.append(record)
    values: Values = {}
    for record in records:
        for account in record["accounts"]:
            for value in account["values"]:
                key = (account["account_id"], value["metric"], value["grain"], value["window_start"])
                assert key not in values
                values[key] = value["value"]
    return records, values


@given(
    st.dictionaries(
        st.tuples(
            st.integers(0, 2),
            st.uuids().map(str),
            st.datetimes(datetime(1960, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001
        ),
        st.dictionaries(st.sampled_from(["a.b", "a.c"]), NUMBERS, min_size=1),
        max_size=12,
    ),
    st.sampled_from(["hour", "day"]),
)
def test_every_value_is_read_back_by_its_key(rows, grain) -> None:
    told = [(partition, account, start.replace(tzinfo=UTC), each) for (partition, account, start), each in rows.items()]
    changed = {grain: windows(told, ["a.b", "a.c"]), "minute": windows([], ["a.b"])}
    for partition in range(3):
        expected = {
            (account, metric, grain, start): value
            for home, account, start, each in told
            for metric, value in each.items()
            if home == partition
        }
        assert read(changed, partition)[1] == expected


@settings(max_examples=30)
@given(st.integers(0, 1200), st.sampled_from([1, 3, 40]))
def test_parts_hold_every_value_once_and_stay_within_the_limits(accounts, days) -> None:
    rows = [
        (3, str(UUID(int=number)), NOW + timedelta(days=day), {"billing.seats": Decimal(day)})
        for number in range(accounts)
        for day in range(days)
    ]
    records, values = read({"day": windows(rows, ["billing.seats"])}, 3)
    assert len(values) == len(rows)
    assert all(len(record["accounts"]) <= ACCOUNTS_A_PART for record in records)
    assert all(sum(len(a["values"]) for a in record["accounts"]) <= VALUES_A_PART for record in records)
    assert [record["last_part"] for record in records] == [False] * (len(records) - 1) + [True]
    assert [record["watermark"] for record in records] == [None] * (len(records) - 1) + [NOW]
    assert records[-1]["counts"] == [{"kind": "billing.invoice_paid", "fate": "counted", "count": 5}]


def test_one_account_with_more_windows_than_a_part_holds_is_cut_too() -> None:
    rows = [(0, str(UUID(int=1)), NOW + timedelta(days=day), {"a.b": Decimal(1)}) for day in range(VALUES_A_PART + 10)]
    records, values = read({"day": windows(rows, ["a.b"])}, 0)
    assert [len(record["accounts"][0]["values"]) for record in records] == [VALUES_A_PART, 10]
    assert len(values) == VALUES_A_PART + 10
