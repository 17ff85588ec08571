"""A flush is cut into parts that lose nothing, and only the last part moves the watermark."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from streams.rollup.bundles import ACCOUNTS_A_PART, VALUES_A_PART, bundles
from streams.rollup.state import Flush
from vitals.avro import parsed_schema

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def flush(accounts: int, windows: int) -> Flush:
    values = [
        (f"account-{number:05d}", "billing.seats", "day", datetime(2020, 1, 1) + timedelta(days=day), Decimal(day))  # noqa: DTZ001
        for number in range(accounts)
        for day in range(windows)
    ]
    counts = Counter({("billing.invoice_paid", "counted"): 5})
    return Flush("events.billing", 77, values, NOW, NOW, NOW, counts, sealed_more=False)


@given(st.integers(0, 1200), st.sampled_from([1, 3, 40]))
def test_parts_hold_every_value_once_and_stay_within_the_limits(accounts, windows) -> None:
    whole = flush(accounts, windows)
    records = bundles(whole, 3, NOW)
    got = [
        (account["account_id"], value["window_start"].replace(tzinfo=None), value["value"])
        for record in records
        for account in record["accounts"]
        for value in account["values"]
    ]
    assert got == [(account, start, value) for account, _, _, start, value in sorted(whole.values)]
    assert all(len(record["accounts"]) <= ACCOUNTS_A_PART for record in records)
    assert all(sum(len(a["values"]) for a in record["accounts"]) <= VALUES_A_PART for record in records)
    assert [record["last_part"] for record in records] == [False] * (len(records) - 1) + [True]
    assert [record["watermark"] for record in records] == [None] * (len(records) - 1) + [NOW]


def test_one_account_with_more_windows_than_a_part_holds_is_cut_too() -> None:
    records = bundles(flush(1, VALUES_A_PART + 10), 0, NOW)
    assert [len(record["accounts"][0]["values"]) for record in records] == [VALUES_A_PART, 10]


def test_records_fit_the_schema() -> None:
    import fastavro

    for record in bundles(flush(3, 2), 0, NOW):
        assert fastavro.validate(record, parsed_schema("MetricValuesBundle"))
