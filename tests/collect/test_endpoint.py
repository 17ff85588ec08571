"""The endpoint on the real broker: what is accepted is committed, what is wrong is said or set aside."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from connectors.collect import app
from connectors.collect.committer import CollectStream
from connectors.collect.connector import STREAM
from connectors.collect.inbox import Inbox
from connectors.collect.source_time import SourceTime
from connectors.writer import StreamWriter
from schemas.topics import TOPICS
from tests.collect.conftest import CollectProcess
from tests.collect.topics import Topic
from vitals.avro import AvroSerde, Registry
from vitals.clock import WallClock
from vitals.events import account_id, event_id, user_pseudonym
from vitals.kafka import producer
from vitals.settings import Settings


def feature_used(company: str = "acme", **more: object) -> dict[str, object]:
    """A call that is valid."""
    return {
        "messageId": str(uuid4()),
        "userId": "u-1",
        "event": "Feature Used",
        "properties": {"feature": "search", "lines_changed": 12, "company_id": company},
        **more,
    }


def test_an_accepted_call_is_one_committed_event(collecting: CollectProcess, prepared: Settings) -> None:
    events, raw = Topic(prepared, "events.product"), Topic(prepared, "raw.collect")
    call = feature_used(timestamp="2026-11-20T10:04:11Z")
    answer = collecting.post("track", call)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    (event,) = events.records("Event")
    assert event.pop("ingested_at") is not None
    assert event == {
        "event_id": event_id("collect", "track", str(call["messageId"]), "product.feature_used"),
        "account_id": account_id("crm:account:acme"),
        "user_id": user_pseudonym(b"vitals-dev", "u-1"),
        "kind": "product.feature_used",
        "source": "collect",
        "event_time": datetime(2026, 11, 20, 10, 4, 11, tzinfo=UTC),
        "value": Decimal("12.000000"),
        "properties": {"feature": "search"},
    }
    (stored,) = raw.records("RawObject")
    assert (stored["object"], stored["source_id"]) == ("track", call["messageId"])


def test_what_people_say_of_an_account_is_on_its_own_topics(collecting: CollectProcess, prepared: Settings) -> None:
    crm, support = Topic(prepared, "events.crm"), Topic(prepared, "events.support")

    def said(event: str, **properties: object) -> dict[str, object]:
        return {
            "type": "track", "messageId": str(uuid4()), "userId": "ana@acme.example", "event": event,
            "properties": {"company_id": "acme", "comment": "Ana is unhappy", **properties},
        }  # fmt: skip

    good, bad = said("NPS Answered", value=9), said("NPS Answered", value=11)
    assert collecting.post("track", good).status_code == 200
    assert collecting.post("track", good).status_code == 200
    refused = collecting.post("track", bad)
    assert refused.status_code == 400
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["errors"] == [{"field": "properties.value", "reason": "must be a whole number from 0 to 10"}]
    calls = [said("CSAT Answered", value=8, scale="0-10"), said("Contract Set", value=1, end="soon"), bad]
    assert collecting.post("batch", {"batch": calls}).status_code == 200
    (answered,) = crm.records("Event")
    assert (answered["kind"], answered["value"]) == ("crm.nps_answered", 9)
    assert answered["event_id"] == event_id("collect", "track", str(good["messageId"]), "crm.nps_answered")
    (rated,) = support.records("Event")
    assert (rated["kind"], rated["value"]) == ("support.csat_answered", Decimal("4.2"))
    for event in (answered, rated):
        assert event["account_id"] == account_id("crm:account:acme")
        assert event["user_id"] == user_pseudonym(b"vitals-dev", "ana@acme.example")
        assert "ana" not in str(event["properties"]).lower()


def test_a_repeated_call_is_accepted_and_not_published_again(collecting: CollectProcess, prepared: Settings) -> None:
    events = Topic(prepared, "events.product")
    call = feature_used()
    answers = [collecting.post("track", call).status_code for _ in range(3)]
    answers.append(collecting.post("batch", {"batch": [call | {"type": "track"}] * 2}).status_code)
    assert answers == [200] * 4
    assert len(events.records("Event")) == 1


def test_the_last_group_call_names_the_company_of_later_calls(collecting: CollectProcess, prepared: Settings) -> None:
    events = Topic(prepared, "events.product")
    user = f"u-{uuid4()}"
    collecting.post("group", {"userId": user, "groupId": "first", "traits": {"plan": "free"}}).raise_for_status()
    collecting.post("group", {"userId": user, "groupId": "second"}).raise_for_status()
    collecting.post("track", {"userId": user, "event": "Signed In"}).raise_for_status()
    named = {
        event["kind"]: event["account_id"]
        for event in events.records("Event")
        if event["kind"] != "product.group_identified"
    }
    assert named == {"product.event_tracked": account_id("crm:account:second")}


def test_a_batch_takes_what_is_valid_and_sets_the_rest_aside(collecting: CollectProcess, prepared: Settings) -> None:
    events, dead = Topic(prepared, "events.product"), Topic(prepared, "dead_letters")
    batch = {
        "writeKey": "dev-write-key",
        "context": {"groupId": "acme"},
        "batch": [
            {"type": "track", "userId": "u", "event": "One", "messageId": str(uuid4())},
            {"type": "track", "userId": "u", "messageId": "nameless"},
            {"type": "identify", "anonymousId": "a", "traits": {"role": "admin"}, "messageId": str(uuid4())},
            "no object",
        ],
    }
    for _ in range(2):
        answer = collecting.post("batch", batch, key=None)
        assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert sorted(event["kind"] for event in events.records("Event")) == [
        "product.event_tracked",
        "product.user_identified",
    ]
    assert sorted(letter["message"] for letter in dead.records()) == [
        "call: must be a JSON object",
        "event: is required",
    ]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("track", {"userId": "u"}, "event"),
        ("track", {"event": "x"}, "userId"),
        ("track", {"userId": "u", "event": "Feature Used"}, "properties.feature"),
        ("track", {"userId": "u", "event": "x", "timestamp": "yesterday"}, "timestamp"),
        ("track", {"userId": "u", "event": "x", "timestamp": "2999-01-01T00:00:00Z"}, "timestamp"),
        ("track", {"userId": "u", "event": "x", "properties": []}, "properties"),
        ("group", {"userId": "u"}, "groupId"),
        ("identify", {"userId": "u", "traits": {"note": "x" * 33_000}}, "body"),
        ("batch", {"batch": {}}, "batch"),
        ("batch", {"batch": [{"type": "track", "note": "x" * 513_000}]}, "body"),
        ("track", ["no object"], "body"),
    ],
)
def test_what_is_wrong_is_a_problem_that_names_the_field(
    collecting: CollectProcess, path: str, body: object, field: str
) -> None:
    answer = collecting.post(path, body)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    told = answer.json()
    assert told["errors"][0]["field"] == field
    assert told["detail"].startswith(field)


def test_text_that_is_not_json_is_a_problem(collecting: CollectProcess) -> None:
    answer = httpx.post(f"{collecting.url}/v1/track", content=b'{"userId":', auth=("dev-write-key", ""))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "body")
    deep = b'{"userId":"u","event":"e","properties":{"a":' + b"[" * 900 + b"]" * 900 + b"}}"
    answer = httpx.post(f"{collecting.url}/v1/track", content=deep, auth=("dev-write-key", ""))
    assert (answer.status_code, answer.json()["errors"][0]["reason"]) == (400, "is nested too deeply")


def test_only_the_write_key_opens_the_endpoint(collecting: CollectProcess) -> None:
    refused = [
        collecting.post("track", feature_used(), key="wrong"),
        collecting.post("track", feature_used(), key=None),
        collecting.post("track", feature_used(writeKey="wrong"), key=None),
        collecting.post("track", feature_used(writeKey=7), key=None),
    ]
    assert [answer.status_code for answer in refused] == [401] * 4
    assert refused[0].headers["www-authenticate"].startswith("Basic")
    assert collecting.post("track", feature_used(writeKey="dev-write-key"), key=None).status_code == 200


def test_another_path_or_method_is_a_problem(collecting: CollectProcess) -> None:
    assert collecting.post("alias", {}).json()["status"] == 404
    assert httpx.get(f"{collecting.url}/v1/track").json()["status"] == 405


def test_progress_goes_on_without_calls_and_stays_behind_what_is_accepted(
    collecting: CollectProcess, prepared: Settings
) -> None:
    product = Topic(prepared, "events.product")
    promised: dict[int, set[datetime]] = {}
    while len(promised) < TOPICS["events.product"].partitions or min(map(len, promised.values())) < 3:
        for name, record, partition in product.messages():
            if name == "Progress" and record["stream"] == STREAM:
                assert record["mode"] == "live"
                promised.setdefault(partition, set()).add(record["complete_through"])
    before = max(max(times) for times in promised.values())
    mark = Topic(prepared, "events.product")
    collecting.post("track", feature_used()).raise_for_status()
    (event,) = mark.records("Event")
    assert before <= event["event_time"] <= datetime.now(UTC)


def test_a_stop_is_clean_and_quick(prepared: Settings, tmp_path: Path) -> None:
    with CollectProcess(prepared, tmp_path / "log") as process:
        process.post("track", feature_used()).raise_for_status()
        assert process.stop() == 0


def test_an_unknown_account_is_quarantined_once_the_identity_source_has_spoken(
    prepared: Settings, tmp_path: Path
) -> None:
    serde, now = AvroSerde(Registry(prepared.registry_url)), WallClock().now()
    client = producer(prepared)
    known = f"001{uuid4().hex[:12]}AAA"
    link = {"identity": f"crm:account:{known}", "account_id": account_id(known), "linked_at": now, "source": "test"}
    client.produce("identities", serde.encode("identities", "Identity", link), link["identity"].encode())
    # So early a time disturbs no other test's identity source.
    spoken = {"source": "test", "stream": "test", "complete_through": datetime(2001, 6, 1, tzinfo=UTC)}
    for partition in range(TOPICS["identities"].partitions):
        record = serde.encode("identities", "Progress", {**spoken, "mode": "live", "written_at": now})
        client.produce("identities", record, b"progress|test", partition)
    assert client.flush(30) == 0

    events, quarantine = Topic(prepared, "events.product"), Topic(prepared, "quarantine")
    with CollectProcess(prepared, tmp_path / "log", VITALS_CONNECTORS="salesforce,collect") as process:
        for company in (known, "nobody"):
            process.post("track", feature_used(company, timestamp="2001-01-01T00:00:00Z")).raise_for_status()
        process.post("track", {"userId": str(uuid4()), "event": "Alone"}).raise_for_status()
    assert [event["account_id"] for event in events.records("Event")] == [account_id(known)]
    assert sorted(str(record["account_ref"]) for record in quarantine.records()) == ["None", "crm:account:nobody"]


def test_an_aborted_transaction_is_tried_again_before_the_answer(
    collecting: CollectProcess, prepared: Settings
) -> None:
    events = Topic(prepared, "events.product")
    usurper = StreamWriter(
        prepared, AvroSerde(Registry(prepared.registry_url)), WallClock(), "collect", STREAM, ("events.product",)
    )
    for _ in range(3):
        usurper.open()  # Fences the process's producer: its next transaction fails.
        assert collecting.post("track", feature_used()).status_code == 200
    published = [event["event_id"] for event in events.records("Event")]
    assert len(published) == len(set(published)) == 3


def test_what_is_not_committed_in_time_is_answered_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "ANSWER_SECONDS", 0.05)
    inbox = Inbox(SourceTime())
    stream = CollectStream(inbox, b"key", correct_skew=True)
    transport = httpx.ASGITransport(app.create_app(inbox, stream, "key"))

    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://collect", auth=("key", "")) as client:
            return await client.post("/v1/track", json=feature_used())

    answer = asyncio.run(post())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert inbox.empty
    assert answer.json()["detail"].endswith("send it again with the same messageId.")
