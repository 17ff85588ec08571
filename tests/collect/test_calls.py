"""Segment's rules, and laws that hold for any call."""

import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.collect.calls import InvalidCallError, dead_letter, map_call, read_call
from connectors.collect.committer import CollectStream
from connectors.collect.inbox import Inbox
from connectors.collect.source_time import SourceTime
from connectors.contract import MappedEvent, Page
from connectors.fates import map_page, settle
from vitals.avro import parsed_schema
from vitals.events import user_pseudonym

RECEIVED = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SENT = "2026-11-20T09:00:00Z"


def mapped(call: Any, call_type: str | None = "track", *, correct_skew: bool = True, **shared: Any) -> MappedEvent:
    """The event of a call received at noon."""
    raw = read_call(call_type, call, RECEIVED, shared, lambda: "made")
    (event,) = map_call(raw, {}, lambda person: person, correct_skew=correct_skew).events
    return event


def track(**more: Any) -> dict[str, Any]:
    """A valid track call."""
    return {"messageId": "m", "userId": "u", "event": "Signed In", **more}


@pytest.mark.parametrize(
    ("call_type", "call", "kind", "properties"),
    [
        (
            "track",
            track(properties={"plan": "pro", "n": 2, "nested": {}}),
            "product.event_tracked",
            {"event": "Signed In", "plan": "pro", "n": "2"},
        ),
        (
            "track",
            track(event="Feature Used", properties={"feature": "search", "value": 3}),
            "product.feature_used",
            {"feature": "search"},
        ),
        ("identify", {"userId": "u", "traits": {"role": "admin"}}, "product.user_identified", {"role": "admin"}),
        ("group", {"userId": "u", "groupId": "g", "traits": {"n": 5}}, "product.group_identified", {"n": "5"}),
        ("page", {"userId": "u", "name": "Home"}, "product.event_tracked", {"event": "Loaded a Page", "page": "Home"}),
    ],
)
def test_kinds_and_properties(call_type: str, call: Any, kind: str, properties: dict[str, str]) -> None:
    event = mapped(call, call_type)
    assert (event.kind, event.properties, event.object_type) == (kind, properties, call_type)


@pytest.mark.parametrize(
    ("properties", "value"),
    [({"lines_changed": 12, "value": 3}, Decimal(12)), ({"value": "0.25"}, Decimal("0.25")), ({}, None)],
)
def test_value_of_a_feature_use(properties: dict[str, Any], value: Decimal | None) -> None:
    assert mapped(track(event="Feature Used", properties={"feature": "f", **properties})).value == value


@pytest.mark.parametrize("value", ["many", True, [1], 1e18, -1e18, "1e400"])
def test_a_value_that_no_event_can_hold_is_invalid(value: Any) -> None:
    with pytest.raises(InvalidCallError, match=r"properties\.value"):
        mapped(track(event="Feature Used", properties={"feature": "f", "value": value}))


@pytest.mark.parametrize(
    ("call", "company"),
    [
        (track(context={"groupId": "a"}, properties={"company_id": "b"}), "crm:account:a"),
        (track(properties={"company_id": "b", "groupId": "c"}), "crm:account:b"),
        (track(properties={"groupId": "crm:account:c"}), "crm:account:c"),
        (track(properties={"groupId": "crm-0015e00000AaBbC"}), "crm:account:0015e00000AaBbCAAV"),
        (track(), None),
    ],
)
def test_the_company_that_a_call_names(call: Any, company: str | None) -> None:
    assert mapped(call).account_ref == company


@pytest.mark.parametrize(
    ("times", "correct_skew", "expected"),
    [
        ({}, True, RECEIVED),
        ({"timestamp": "2026-11-19T01:00:00+01:00"}, True, datetime(2026, 11, 19, tzinfo=UTC)),
        # The client's clock is three hours slow; the call waited ten minutes on the device.
        (
            {"originalTimestamp": "2026-11-20T08:50:00Z", "sentAt": SENT, "timestamp": "2026-11-20T08:50:00Z"},
            True,
            RECEIVED - timedelta(minutes=10),
        ),
        ({"originalTimestamp": "2026-11-20T08:00:00Z", "sentAt": SENT}, False, RECEIVED - timedelta(hours=4)),
        ({"timestamp": "2026-11-20T11:00:00Z", "sentAt": SENT}, True, RECEIVED - timedelta(hours=1)),
    ],
)
def test_event_time_is_segments(times: Any, correct_skew: bool, expected: datetime) -> None:
    assert mapped(track(**times), correct_skew=correct_skew).event_time == expected


def test_a_batch_lends_its_sent_at_and_context_to_its_calls() -> None:
    call = track(type="track", originalTimestamp="2026-11-20T08:00:00Z", context={"ip": "::1"})
    event = mapped(call, None, sentAt="2026-11-20T09:00:00Z", context={"groupId": "acme"})
    assert (event.event_time, event.account_ref) == (RECEIVED - timedelta(hours=1), "crm:account:acme")


def test_the_raw_object_keeps_the_call_without_the_write_key() -> None:
    raw = read_call("track", {"userId": "u", "event": "e", "writeKey": "secret"}, RECEIVED, {}, lambda: "made")
    assert raw.source_id == "made"
    assert raw.body == {
        "userId": "u", "event": "e", "type": "track", "messageId": "made", "receivedAt": "2026-11-20T12:00:00Z",
    }  # fmt: skip


def test_a_group_call_is_remembered_under_pseudonyms_only() -> None:
    raw = read_call("group", {"userId": "ann@x.test", "anonymousId": "a", "groupId": "g"}, RECEIVED, {}, lambda: "m")
    updates = map_call(raw, {}, lambda person: user_pseudonym(b"key", person), correct_skew=True).state
    assert updates == {f"group/{user_pseudonym(b'key', person)}": "g" for person in ("ann@x.test", "a")}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = (
    "type", "messageId", "userId", "anonymousId", "event", "groupId", "timestamp", "originalTimestamp", "sentAt",
    "properties", "traits", "context", "name",
)  # fmt: skip
INSTANTS = st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.isoformat())
CALLS = st.dictionaries(
    st.sampled_from(NAMES),
    JSON
    | INSTANTS
    | st.sampled_from(["track", "group", "Feature Used", "u", "0001-01-01T00:00:00+23:59"])
    | st.fixed_dictionaries({"feature": st.just("f"), "value": JSON, "company_id": st.just("c")}),
)


@given(st.sampled_from(["track", "identify", "group", "page", None]), CALLS | JSON, st.booleans())
def test_any_call_is_an_event_that_can_be_written_or_invalid_with_a_field(
    call_type: str | None, call: Any, correct_skew: bool
) -> None:
    """Nothing that a client sends may break a transaction, in which others' calls are."""
    stream = CollectStream(Inbox(SourceTime()), b"key", correct_skew=correct_skew)
    invalid = None
    try:
        raw = read_call(call_type, call, RECEIVED, {}, lambda: "made")
        stream.map(raw, {})
    except InvalidCallError as error:
        invalid = error
    if invalid is not None:
        assert invalid.field
        assert invalid.reason
        assert dead_letter(call, invalid).event_id == dead_letter(call, invalid).event_id
        return
    outcome, unresolved, _ = map_page(stream, Page([raw], {}, None, more=False), {})
    settle(stream, outcome, unresolved, set(), lambda ref, time: "account", stream.pseudonym, RECEIVED)
    (event,) = outcome.events
    fastavro.schemaless_writer(io.BytesIO(), parsed_schema("Event"), event.record())
