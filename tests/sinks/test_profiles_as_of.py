"""Profiles as of an instant: the SQL, the index in Python and a plain search agree, in any order of arrival."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.as_of import AsOf
from sinks.delivery import ACCOUNTS, EVENTS_BILLING, EVENTS_CRM, Source, Step
from sinks.timescale.store import TimescaleDestination
from tests.sinks.records import DAY, DAY_ONE, Record, account, delivery, profile

examples = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

PLANS = ("Starter", "Growth", "Enterprise", None)
COMPARED = (
    "account_id, valid_from, crm_id, name, segment, owner, region, plan, created_at, deleted, arr, arr_currency,"
    " time_zone, renewal_date, domain, parent_id, sources"
)


def version(day: int, **more: Any) -> Record:
    """A profile of the one account, with fields that follow from `more`."""
    return profile(account(1), day, f"name of day {day}") | more


def contract_set(
    day: int, value: str | None, kind: str = "crm.contract_set", source: str = "stripe", **properties: str
) -> Record:
    """An event that tells a contract's terms."""
    return {
        "event_id": f"{kind}/{source}/{day}/{properties.get('contract')}",
        "account_id": account(1),
        "user_id": None,
        "kind": kind,
        "source": source,
        "event_time": DAY_ONE + day * DAY,
        "ingested_at": DAY_ONE + 400 * DAY,
        "value": None if value is None else Decimal(value),
        "properties": properties,
    }


class Applied:
    """A sink that takes one record at a time, each in a transaction of its own."""

    def __init__(self, dsn: str, database: psycopg.Connection[Any]) -> None:
        self._destination = TimescaleDestination(dsn)
        self.database = database
        database.execute("truncate account_profiles, account_contracts, sink_offsets")
        self._topics = (ACCOUNTS, EVENTS_CRM, EVENTS_BILLING)
        self._next = self._destination.claim({Source(topic, 0): 0 for topic in self._topics})

    def take(self, topic: str, *records: Record) -> None:
        source = Source(topic, 0)
        for record in records:
            offset = self._next[source]
            self._destination.apply([delivery(topic, 0, offset, record)], {source: Step(offset, offset + 1)})
            self._next[source] = offset + 1

    def at(self, instant: datetime | str) -> dict[str, Any] | None:
        row = self.database.execute(
            "select to_jsonb(p) from account_profile_at(%s, %s::timestamptz) p", (account(1), instant)
        ).fetchone()
        return None if row is None else row[0]

    def close(self) -> None:
        self._destination.close()


def brute_force(versions: Sequence[Record], instant: datetime) -> Record | None:
    """The newest that was valid by then, else the oldest: a plain search over everything that was said."""
    valid = [one for one in versions if one["valid_from"] <= instant]
    if valid:
        return max(valid, key=lambda one: one["valid_from"])
    return min(versions, key=lambda one: one["valid_from"], default=None)


@st.composite
def histories(draw: st.DrawFn) -> list[Record]:
    """Versions of an account in some order of arrival; what a version says follows from its time."""
    days = draw(st.lists(st.integers(0, 12), unique=True, max_size=7))
    return [version(day, plan=PLANS[day % 4], arr=Decimal(day * 100) if day % 3 else None) for day in days]


@examples
@given(histories(), st.data())
def test_the_join_equals_a_plain_search_in_any_order_of_arrival(
    dsn: str, database: psycopg.Connection[Any], arriving: list[Record], data: st.DataObject
) -> None:
    applied = Applied(dsn, database)
    index = AsOf[Record]()
    said: list[Record] = []
    for one in [*arriving, *data.draw(st.lists(st.sampled_from(arriving), max_size=2) if arriving else st.just([]))]:
        applied.take(ACCOUNTS, one)
        index.add(one["valid_from"], one)
        said.append(one)
        for half_days in data.draw(st.lists(st.integers(-2, 28), min_size=1, max_size=4)):
            instant = DAY_ONE + half_days * DAY / 2
            wanted, found = brute_force(said, instant), applied.at(instant)
            assert index.at(instant) == wanted
            assert wanted is not None
            assert found is not None
            assert (found["name"], found["plan"]) == (wanted["name"], wanted["plan"])
            assert found["arr"] == (None if wanted["arr"] is None else float(wanted["arr"]))
            assert found["assumed"] == (instant < min(version["valid_from"] for version in said))
            assert found["assumed"] == index.assumed(instant)
    applied.close()


@st.composite
def contract_histories(draw: st.DrawFn) -> list[tuple[str, Record]]:
    """Profiles and terms of up to three contracts in both domains, in some order of arrival, no key twice."""
    keys = draw(
        st.lists(
            st.tuples(
                st.sampled_from([EVENTS_CRM, EVENTS_BILLING]), st.sampled_from(["", "a", "b"]), st.integers(0, 9)
            ),
            unique=True,
            max_size=8,
        )
    )
    found: list[tuple[str, Record]] = []
    for topic, contract, day in keys:
        value = draw(st.sampled_from([None, "0", "1200", "500.5"]))
        told = {"contract": contract} if contract else {}
        if draw(st.booleans()):
            told["start"] = (DAY_ONE + (day - draw(st.integers(0, 5))) * DAY).date().isoformat()
        if draw(st.booleans()):
            told["end"] = (DAY_ONE + (day + draw(st.integers(1, 30))) * DAY).date().isoformat()
        if value is not None:
            told["currency"] = draw(st.sampled_from(["usd", "EUR"]))
        kind = topic.partition(".")[2] + ".contract_set"
        found.append((topic, contract_set(day, value, kind, "zuora" if "crm" in kind else "stripe", **told)))
    days = draw(st.lists(st.integers(0, 9), unique=True, min_size=1, max_size=3))
    found += [(ACCOUNTS, version(day, arr=Decimal(7) if day % 4 == 0 else None)) for day in days]
    return draw(st.permutations(found))


def expected_terms(said: Sequence[tuple[str, Record]], instant: datetime | None) -> dict[str, Any]:
    """ARR, its currency and source, and the renewal date, written from docs/enrichment.md; None is the end of time."""
    profiles = [record for topic, record in said if topic == ACCOUNTS]
    of_crm = brute_force(profiles, instant or datetime(9999, 1, 1, tzinfo=UTC))
    assert of_crm is not None
    by_contract: dict[tuple[str, str], list[Record]] = {}
    for topic, record in said:
        if topic != ACCOUNTS:
            by_contract.setdefault((topic, record["properties"].get("contract", "")), []).append(record)
    holding: dict[str, list[Record]] = {EVENTS_CRM: [], EVENTS_BILLING: []}
    for (topic, _), records in by_contract.items():
        told = [record for record in records if instant is None or record["event_time"] <= instant]
        if told:
            holding[topic].append(max(told, key=lambda record: record["event_time"]))
            continue
        first = min(records, key=lambda record: record["event_time"])
        start = first["properties"].get("start")
        if start is not None and instant is not None and date.fromisoformat(start) <= instant.date():
            holding[topic].append(first)
    valued = next(
        (found for topic in holding if (found := [one for one in holding[topic] if one["value"] is not None])), []
    )
    currencies = {one["properties"]["currency"].upper() for one in valued}
    arr, currency, source = None, None, None
    if of_crm["arr"] is not None:
        arr, currency, source = of_crm["arr"], of_crm.get("arr_currency"), of_crm["source"]
    elif len(currencies) == 1:
        arr, currency, source = sum(one["value"] for one in valued), currencies.pop(), valued[0]["source"]
    ends = next(
        (
            found
            for topic in holding
            if (
                found := [
                    one["properties"]["end"]
                    for one in holding[topic]
                    if "end" in one["properties"] and one["value"] != 0
                ]
            )
        ),
        [],
    )
    return {"arr": arr, "arr_currency": currency, "source": source, "renewal_date": min(ends, default=None)}


@examples
@given(contract_histories(), st.lists(st.integers(-6, 20), min_size=1, max_size=4))
def test_terms_are_those_of_the_first_source_that_knows_them(
    dsn: str, database: psycopg.Connection[Any], said: list[tuple[str, Record]], half_days: list[int]
) -> None:
    applied = Applied(dsn, database)
    for topic, record in said:
        applied.take(topic, record)
    for instant in (None, *(DAY_ONE + half * DAY / 2 for half in half_days)):
        found, wanted = applied.at(instant or "infinity"), expected_terms(said, instant)
        assert found is not None
        arr = wanted["arr"]
        assert (found["arr"], found["arr_currency"]) == (None if arr is None else float(arr), wanted["arr_currency"])
        assert found["renewal_date"] == wanted["renewal_date"]
        assert found["sources"].get("arr") == wanted["source"]
        assert found["sources"]["segment"] == "salesforce"
    # The view is the function at the end of time.
    newest = database.execute(f"select {COMPARED} from accounts").fetchall()
    at_the_end = database.execute(
        f"select {COMPARED} from account_profile_at(%s, 'infinity')", (account(1),)
    ).fetchall()
    assert newest == at_the_end
    applied.close()


def test_a_late_version_restates_what_lies_after_it_and_nothing_else(
    dsn: str, database: psycopg.Connection[Any]
) -> None:
    """Nothing is kept by profile: what is read after the version came is as if it had been there all the time."""
    applied = Applied(dsn, database)
    applied.take(ACCOUNTS, version(0, segment="smb"), version(10, segment="enterprise"))

    def segments() -> list[str]:
        found = [applied.at(DAY_ONE + day * DAY) for day in range(14)]
        return [one["segment"] for one in found if one is not None]

    assert segments() == ["smb"] * 10 + ["enterprise"] * 4
    before = database.execute("select * from accounts").fetchall()
    late = version(4, segment="mid-market")
    applied.take(ACCOUNTS, late)
    restated = ["smb"] * 4 + ["mid-market"] * 6 + ["enterprise"] * 4
    assert segments() == restated
    assert database.execute("select * from accounts").fetchall() == before
    applied.take(ACCOUNTS, late, version(0, segment="smb"))
    assert segments() == restated
    applied.take(ACCOUNTS, version(-3, segment="trial"))
    assert segments() == restated
    found = applied.at(DAY_ONE - 2 * DAY)
    assert found is not None
    assert (found["segment"], found["assumed"]) == ("trial", False)
    applied.close()


def test_nothing_in_the_schema_is_kept_by_profile(database: psycopg.Connection[Any]) -> None:
    """The reason why a late version has nothing to rewrite: whoever adds such a column has to think of it.

    A score's segment is the model's, and scoring restates it (tests/scoring/test_segments.py).
    """
    rows = database.execute(
        "select c.table_name, c.column_name from information_schema.columns c"
        "  join information_schema.tables t using (table_schema, table_name)"
        " where table_schema = 'public' and t.table_type = 'BASE TABLE'"
        "   and column_name in ('segment', 'owner', 'region', 'plan', 'time_zone', 'arr')"
    ).fetchall()
    restated = {("health_scores", "segment"), ("health_live", "segment")}
    assert {table for table, column in rows if (table, column) not in restated} == {"account_profiles"}


def test_a_contract_holds_from_its_beginning_until_another_is_said(dsn: str, database: psycopg.Connection[Any]) -> None:
    applied = Applied(dsn, database)
    applied.take(ACCOUNTS, version(0))
    told = {"contract": "sub_1", "currency": "usd", "start": "2026-11-04", "end": "2027-11-04", "notice_days": "60"}
    applied.take(EVENTS_BILLING, contract_set(9, "1200", "billing.contract_set", auto_renew="true", **told))
    applied.take(EVENTS_BILLING, contract_set(20, "0", "billing.contract_set", **told))

    def known(day: int) -> tuple[Any, ...]:
        found = applied.at(DAY_ONE + day * DAY)
        assert found is not None
        return found["arr"], found["arr_currency"], found["renewal_date"], found["sources"].get("arr")

    assert known(2) == (None, None, None, None)
    assert known(3) == (1200, "USD", "2027-11-04", "stripe")
    assert known(19) == known(3)
    assert known(20) == (0, "USD", None, "stripe")
    rows = database.execute(
        "select starts, ends, notice_days, auto_renew from account_contracts order by valid_from"
    ).fetchall()
    assert rows == [
        (date(2026, 11, 4), date(2027, 11, 4), 60, True),
        (date(2026, 11, 4), date(2027, 11, 4), 60, None),
    ]
    applied.close()
