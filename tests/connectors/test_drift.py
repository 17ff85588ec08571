"""Schema drift: learnt in silence, then reported once for each field, in the page's own transaction."""

from datetime import UTC, datetime
from typing import Any

import structlog
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from connectors.contract import RawObject
from connectors.drift import FIELDS_MAX, Drift, note, report, shape
from connectors.stream_state import merge_updates

NOW = datetime(2026, 11, 20, 10, 4, 11, tzinfo=UTC)
LIVE = {"complete_through": "2026-11-20T10:00:00+00:00"}


def account(**fields: Any) -> RawObject:
    return RawObject("Account", "1", {"Id": "1", **fields})


def follow(state: dict[str, Any], *objects: RawObject) -> list[Drift]:
    """One page, committed."""
    updates: dict[str, Any] = {}
    found = note(objects, state, updates, NOW)
    merge_updates(state, updates)
    return found


def test_a_first_load_learns_in_silence() -> None:
    state: dict[str, Any] = {}
    assert follow(state, account(Name="a")) == []
    assert follow(state, account(Plan=None), account(Name=1)) == []
    assert state == {
        "fields/Account": {"Id": {"types": ["string"]}, "Name": {"types": ["number", "string"]}, "Plan": {"types": []}}
    }


def test_a_new_field_and_a_new_type_are_reported_once() -> None:
    state: dict[str, Any] = {**LIVE, "fields/Account": {"Id": {"types": ["string"]}, "Seats": {"types": ["string"]}}}
    changed = account(Seats=4, Extra__c=None)
    assert follow(state, changed, changed) == [
        Drift("Account", "Extra__c", (), ()),
        Drift("Account", "Seats", ("string",), ("number", "string")),
    ]
    assert state["fields/Account"]["Seats"] == {"types": ["number", "string"], "reported_at": "2026-11-20T10:04:11Z"}
    assert follow(state, changed, account(Seats="4")) == []
    assert follow(state, account(Extra__c="was null so far")) == []
    assert follow(state, account(Extra__c={})) == [Drift("Account", "Extra__c", ("string",), ("object", "string"))]


def test_what_is_not_committed_is_reported_again() -> None:
    state: dict[str, Any] = {**LIVE, "fields/Account": {"Id": {"types": ["string"]}}}
    lost: dict[str, Any] = {}
    assert len(note([account(Extra="x")], state, lost, NOW)) == 1
    assert len(note([account(Extra="x")], state, {}, NOW)) == 1
    merge_updates(state, lost)
    assert note([account(Extra="x")], state, {}, NOW) == []


def test_a_type_of_object_that_appears_later_is_learnt_first() -> None:
    state: dict[str, Any] = dict(LIVE)
    assert follow(state, RawObject("Case", "5", {"Id": "5"})) == []
    assert follow(state, RawObject("Case", "5", {"Id": "5", "Reason": "x"})) == [
        Drift("Case", "Reason", (), ("string",))
    ]


def test_unparsed_bodies_have_no_fields() -> None:
    state: dict[str, Any] = dict(LIVE)
    assert follow(state, RawObject("event", "1", "{not json"), RawObject("event", "2", [1])) == []
    assert state.get("fields/event") in (None, {})


def test_names_used_as_values_do_not_fill_the_state() -> None:
    state: dict[str, Any] = {**LIVE, "fields/Account": {"Id": {"types": ["string"]}}}
    assert follow(state, account(**{f"key{number}": 1 for number in range(FIELDS_MAX)})) == []
    assert state["fields/Account"] == {"Id": {"types": ["string"]}}
    assert len(follow(state, account(one=1))) == 1


def test_a_report_is_a_line_and_a_count() -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("vitals_connector_schema_drift_total", {"stream": "test.drift"}) or 0.0

    before = counted()
    with structlog.testing.capture_logs() as lines:
        report("test.drift", [Drift("Account", "Plan__c", (), ("string",))])
    assert counted() == before + 1
    assert lines[0]["event"] == "schema_drift"
    assert (lines[0]["field"], lines[0]["before"], lines[0]["types"]) == ("Plan__c", "absent", "string")


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just([]) | st.just({})
BODIES = st.dictionaries(st.sampled_from("abcdef"), VALUES)


@given(first=st.lists(BODIES), later=st.lists(st.lists(BODIES), max_size=6))
def test_laws(first: list[Any], later: list[list[Any]]) -> None:
    """Each (field, type) is reported at most once, and the state knows everything that was ever seen."""
    state: dict[str, Any] = {}
    follow(state, *(account(**body) for body in first))
    state |= LIVE
    reported: list[tuple[str, str]] = []
    for page in later:
        for one in follow(state, *(account(**body) for body in page)):
            reported += [(one.name, kind) for kind in set(one.types) - set(one.before)]
    assert len(reported) == len(set(reported))
    known = state.get("fields/Account", {})
    for body in (body for page in [first, *later] for body in page):
        for name, kind in shape(body).items():
            assert name in known
            assert kind is None or kind in known[name]["types"]
