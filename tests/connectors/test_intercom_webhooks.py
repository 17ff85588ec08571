"""Intercom's notifications: who signed them, how old they are, and that they bring what the search brings, once."""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import Delivery, Page, RefusedDeliveryError
from connectors.http import VendorHttp, Wire
from connectors.intercom import connector, credentials
from connectors.intercom import simulated_records as records
from connectors.intercom.client import IntercomClient
from connectors.intercom.simulated_webhooks import WEBHOOKS, notification, ping, signed
from connectors.intercom.stream import ConversationStream
from connectors.intercom.webhook import MAX_AGE, IntercomWebhook
from connectors.simulation.world import NEVER, World
from tests.connectors.conftest import Stage
from tests.connectors.simulated import SIMULATOR_URL, Followed, by_id, count
from tests.connectors.test_intercom_cycles import HOUR, START, STREAM, with_tickets
from vitals.errors import BadRecordError
from vitals.settings import Settings

StageOf = Callable[..., Stage]
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)

# Computed by others, for both sides.
VECTOR_SECRET = "ic-demo-secret"
VECTOR_BODY = b'{"type":"notification_event","topic":"conversation.admin.closed","id":"notif_1"}'
VECTOR_SIGNATURE = "sha1=9e6b0af1339432df0a52893e3a68c2ac8ae09a34"


def delivery(headers: Mapping[str, str], body: bytes, at: datetime = NOW) -> Delivery:
    return Delivery("intercom", "POST", "https://vitals.example/v1/webhooks/intercom", headers, body, at)


def delivered(told: Mapping[str, Any], at: datetime | None = None) -> Delivery:
    headers, body = signed(told)
    return delivery(headers, body, at or datetime.fromtimestamp(told["created_at"] + 1, UTC))


def test_the_published_vector() -> None:
    webhook = IntercomWebhook(VECTOR_SECRET)
    assert webhook.verify(delivery({"x-hub-signature": VECTOR_SIGNATURE}, VECTOR_BODY)) == "notif_1"


@given(place=st.integers(0, len(VECTOR_BODY) - 1), bit=st.integers(0, 7))
def test_one_bit_of_the_body_makes_it_somebody_elses(place: int, bit: int) -> None:
    body = bytearray(VECTOR_BODY)
    body[place] ^= 1 << bit
    with pytest.raises(RefusedDeliveryError) as refused:
        IntercomWebhook(VECTOR_SECRET).verify(delivery({"x-hub-signature": VECTOR_SIGNATURE}, bytes(body)))
    assert refused.value.status == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 400),
        ({"x-hub-signature": ""}, 400),
        ({"x-hub-signature": VECTOR_SIGNATURE.upper()}, 401),
        ({"x-hub-signature": VECTOR_SIGNATURE.removeprefix("sha1=")}, 401),
        ({"x-hub-signature": "sha256=" + "0" * 64}, 401),
        ({"x-hub-signature": "sha1=é"}, 401),
    ],
)
def test_a_missing_or_foreign_signature_is_refused_without_a_secret_in_the_reason(
    headers: dict[str, str], status: int
) -> None:
    with pytest.raises(RefusedDeliveryError) as refused:
        IntercomWebhook(VECTOR_SECRET).verify(delivery(headers, VECTOR_BODY))
    assert refused.value.status == status
    assert VECTOR_SECRET not in str(refused.value)
    assert "notif_1" not in str(refused.value)


@pytest.mark.parametrize("body", [b"", b"[]", b'"text"', b"{"])
def test_a_signed_body_that_is_no_notification_is_refused(body: bytes) -> None:
    signature = "sha1=" + hmac.new(b"secret", body, hashlib.sha1).hexdigest()
    with pytest.raises(RefusedDeliveryError) as refused:
        IntercomWebhook("secret").verify(delivery({"x-hub-signature": signature}, body))
    assert refused.value.status == 400


@given(age=st.integers(-3 * 3_600, 3 * 3_600))
def test_an_old_notification_is_a_replay(age: int) -> None:
    told = notification("conversation.admin.closed", {"type": "conversation", "id": "515"}, int(NOW.timestamp()) - age)
    webhook, sent = IntercomWebhook(credentials.CLIENT_SECRET), delivered(told, NOW)
    if -300 <= age <= MAX_AGE.total_seconds():
        assert webhook.verify(sent) == told["id"]
    else:
        with pytest.raises(RefusedDeliveryError) as refused:
            webhook.verify(sent)
        assert refused.value.status == 403


def test_a_second_attempt_has_the_id_of_the_first_and_a_ping_has_its_body() -> None:
    webhook = IntercomWebhook(credentials.CLIENT_SECRET)
    item = {"type": "conversation", "id": "515"}
    first, second = (
        delivered(notification("conversation.admin.closed", item, 1_793_000_000, attempt)) for attempt in (1, 2)
    )
    assert first.body != second.body
    assert webhook.verify(first) == webhook.verify(second) == orjson.loads(first.body)["id"]
    assert (
        webhook.verify(delivered(ping(5))) == webhook.verify(delivered(ping(5))) != webhook.verify(delivered(ping(6)))
    )


def test_without_a_secret_there_are_no_webhooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VITALS_INTERCOM_CLIENT_SECRET", raising=False)
    assert connector.webhook(Settings(simulator_url="")) is None
    monkeypatch.setenv("VITALS_INTERCOM_CLIENT_SECRET", VECTOR_SECRET)
    told = connector.webhook(Settings(simulator_url=""))
    assert told is not None
    assert told.verify(delivery({"x-hub-signature": VECTOR_SIGNATURE}, VECTOR_BODY)) == "notif_1"
    simulated = connector.webhook(Settings(simulator_url=SIMULATOR_URL))
    assert simulated is not None
    assert simulated.verify(delivered(notification("contact.deleted", {"id": "c"}, 1_793_000_000)))


class Notified(Followed):
    """A followed stream that takes notifications too, as the runner gives them."""

    def take(self, *deliveries: Delivery) -> Page | None:
        page = self.stream.received(deliveries, dict(self.state))
        if page is not None:
            self._commit(page, early=True)
        return page


def item_of(stage: Stage, number: int) -> dict[str, Any]:
    """The conversation as the notification of its latest change shows it."""
    space = records.workspace(stage.simulation.world)
    return records.conversation(space, number - 1, stage.simulation.clock.now_seconds(), {})


def test_a_notification_tells_before_the_search_does_and_both_together_once(world: World, stage_of: StageOf) -> None:
    stage = stage_of(with_tickets(world, [(START - HOUR, 60), (START + 100, 400)]), START)
    followed = Notified(stage.streams("intercom")[STREAM])
    followed.catch_up()
    stage.advance_to(START + 101)
    opened = delivered(notification("conversation.user.created", item_of(stage, 2), START + 100))
    before = (dict(followed.state["walk"]), followed.state["since"])
    page = followed.take(opened)
    assert page is not None
    assert (page.more, page.complete_through) == (False, followed.promises[-1])
    assert (followed.state["walk"], followed.state["since"]) == before, "a notification proves nothing of the others"
    assert count(followed.events)["support.ticket_opened"] == 2
    assert not followed.set_aside, "its contact was asked for"
    # The same again, and then what is older than what it told.
    followed.take(opened, opened)
    stage.advance_to(START + 501)
    closed = delivered(notification("conversation.admin.closed", item_of(stage, 2), START + 500))
    followed.take(closed)
    followed.take(opened, closed)
    assert count(followed.events) == {"support.ticket_opened": 2, "support.ticket_solved": 2}
    stage.advance_to(START + 12 * HOUR)
    followed.catch_up()
    alone = Followed(
        stage_of(with_tickets(world, [(START - HOUR, 60), (START + 100, 400)]), START + 12 * HOUR).streams("intercom")[
            STREAM
        ]
    ).catch_up()
    assert by_id(followed.events) == by_id(alone.events)
    assert len(followed.events) == len(by_id(followed.events))


@given(
    order=st.lists(st.integers(0, 3), max_size=8),
    polls=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_lost_repeated_and_reordered_notifications_change_nothing(
    world: World, order: list[int], polls: list[bool]
) -> None:
    """Whatever arrives of four notifications, in whatever order and between whatever polls, the events are the same."""
    small = with_tickets(world, [(START + 100, 400), (START + 101, 399)])
    stage = Stage(small, START)
    followed = Notified(stage.streams("intercom")[STREAM])
    try:
        followed.catch_up()
        stage.advance_to(START + 700)
        moments = (100, 101, 500, 500)
        space = records.workspace(small)
        told = [
            delivered(notification("conversation.any", records.conversation(space, place, START + at, {}), START + at))
            for place, at in zip((0, 1, 0, 1), moments, strict=True)
        ]
        for which, poll in zip(order, polls, strict=False):
            followed.take(told[which])
            if poll:
                followed.catch_up()
        stage.advance_to(START + 12 * HOUR)
        followed.catch_up()
    finally:
        stage.transport.finish()
    kinds = count(followed.events)
    assert kinds["support.ticket_opened"] == kinds["support.ticket_solved"] == 2
    assert len(followed.events) == len(by_id(followed.events))


def test_a_lost_notification_is_made_up_by_the_next_poll(world: World, stage_of: StageOf) -> None:
    stage = stage_of(with_tickets(world, [(START + 100, 400)]), START)
    followed = Notified(stage.streams("intercom")[STREAM])
    followed.catch_up()
    stage.advance_to(START + 600)
    followed.catch_up()
    assert count(followed.events) == {"support.ticket_opened": 1, "support.ticket_solved": 1}


def test_a_conversation_that_is_named_only_is_asked_for(world: World, stage_of: StageOf) -> None:
    stage = stage_of(with_tickets(world, [(START - HOUR, 60)]), START)
    followed = Notified(stage.streams("intercom")[STREAM])
    followed.catch_up()
    for item in (
        {"type": "conversation", "id": "1", "updated_at": START, "state": "closed"},
        {"type": "conversation", "id": "404"},
    ):
        page = followed.take(delivered(notification("conversation.admin.closed", item, START)))
        asked = stage.transport.requests[-1].url.path
        assert asked == f"/intercom/conversations/{item['id']}"
        assert (page is not None) == (item["id"] == "1")
    assert not [record for record in followed.set_aside if record.record_name == "DeadLetter"]


def test_a_deleted_contact_is_forgotten_and_a_merged_one_keeps_its_company(world: World, stage_of: StageOf) -> None:
    stage = stage_of(with_tickets(world, [(START - HOUR, NEVER), (START - HOUR, NEVER)]), START)
    followed = Notified(stage.streams("intercom")[STREAM])
    followed.catch_up()
    first, second = (entry for entry in followed.state if entry.startswith("contact/"))
    space = records.workspace(stage.simulation.world)
    target = space.contacts[second.partition("/")[2]]
    row = records.contact(space, target, START)
    followed.take(
        delivered(notification("contact.deleted", {"type": "contact", "id": first.partition("/")[2]}, START)),
        delivered(notification("contact.merged", row, START)),
    )
    assert first not in followed.state
    assert followed.state[second]["companies"] == [row["companies"]["data"][0]["id"]]


def test_companies_come_before_contacts_and_conversations_of_one_page(world: World, stage_of: StageOf) -> None:
    stage = stage_of(with_tickets(world, [(START + 10, NEVER)]), START)
    followed = Notified(stage.streams("intercom")[STREAM]).catch_up()
    assert isinstance(followed, Notified)
    stage.transport.requests.clear()
    stage.advance_to(START + 11)
    space = records.workspace(stage.simulation.world)
    (one,) = space.contacts.values()
    company = records.company(world.accounts[0], START + 11)
    assert company is not None
    page = followed.take(
        delivered(notification("conversation.user.created", item_of(stage, 1), START + 10)),
        delivered(notification("contact.user.created", records.contact(space, one, START + 10), START + 10)),
        delivered(notification("company.created", company, START + 10)),
    )
    assert page is not None
    assert [raw.object_type for raw in page.objects] == ["company", "contact", "conversation"]
    assert [event.kind for event in followed.events] == ["support.ticket_opened"]
    assert not stage.transport.requests, "everything was there"


@pytest.mark.parametrize(
    "told",
    [
        ping(START),
        notification("conversation.deleted", {"type": "conversation", "id": "1"}, START),
        notification("ticket.created", {"type": "ticket", "id": "1"}, START),
        {**notification("contact.deleted", {"id": "1"}, START), "data": None},
        notification("contact.deleted", {"type": "contact"}, START),
    ],
    ids=["ping", "deleted conversation", "another kind", "no item", "no id"],
)
def test_what_brings_no_event_brings_no_page(told: dict[str, Any]) -> None:
    wire = Wire(transport=httpx.MockTransport(lambda request: pytest.fail(f"asks for {request.url}")))
    stream = ConversationStream(IntercomClient(VendorHttp("intercom", wire=wire), "http://intercom.test"))
    assert stream.received([delivered(told)], {"since": "2026-11-20T00:00:00.000000Z"}) is None


def test_a_notification_during_the_first_load_is_left_to_it(world: World, stage_of: StageOf) -> None:
    tickets = [(START - 40 * HOUR, 60), (START - 50, 40)]
    stage = stage_of(with_tickets(world, tickets), START)
    followed = Notified(stage.streams("intercom")[STREAM])
    followed.page()
    assert followed.promises == [None]
    closed = delivered(notification("conversation.admin.closed", item_of(stage, 2), START - 10))
    assert followed.take(closed) is None
    followed.catch_up()
    followed.take(closed)
    stage.advance_to(START + 12 * HOUR)
    followed.catch_up()
    assert count(followed.events)["support.ticket_opened"] == 2
    assert len(followed.events) == len(by_id(followed.events))


@pytest.mark.parametrize("body", [b"", b"[]", b'{"type": "ping"}', b'{"id": "notif_1"}'])
def test_what_is_no_notification_is_a_bad_record(body: bytes) -> None:
    wire = Wire(transport=httpx.MockTransport(lambda request: pytest.fail(f"asks for {request.url}")))
    stream = ConversationStream(IntercomClient(VendorHttp("intercom", wire=wire), "http://intercom.test"))
    with pytest.raises(BadRecordError, match="delivery"):
        stream.received([delivery({}, body)], {"since": "2026-11-20T00:00:00.000000Z"})


def test_the_simulator_tells_of_companies_contacts_and_each_step_of_a_conversation(
    world: World, stage_of: StageOf
) -> None:
    young = replace(world.accounts[0], created_at=START + 50, changes=())
    small = with_tickets(replace(world, accounts=(young, *world.accounts[1:])), [(START + 60, 400)])
    simulation = stage_of(small, START + 700).simulation
    notices = WEBHOOKS.notices(simulation, START, START + 24 * HOUR)
    own = [one for one in notices if one.content[1]["id"] in ("1", records.company_id(young.external_id))]
    steps = [(one.content[0], one.at - START) for one in own if one.content[0] != "conversation.rating.added"]
    assert steps == [
        ("company.created", 50),
        ("conversation.user.created", 60),
        ("conversation.admin.assigned", 100),
        ("conversation.admin.closed", 460),
    ]
    (contact,) = [one for one in notices if one.content[0] == "contact.user.created"]
    assert contact.at == START + 60
    told = orjson.loads(WEBHOOKS.body(own[0], 2, 1_800_000_000.0))
    assert (told["id"], told["created_at"], told["delivery_attempts"]) == (own[0].notice_id, 1_800_000_000, 2)


def test_the_age_of_a_delivery_is_that_of_its_receipt() -> None:
    """A runner that reads it a day later has no reason to refuse it: `verify` judged it when it came."""
    told = notification("conversation.admin.closed", {"type": "conversation", "id": "515"}, int(NOW.timestamp()))
    sent = delivered(told, NOW)
    webhook = IntercomWebhook(credentials.CLIENT_SECRET)
    assert webhook.verify(sent) == told["id"]
    with pytest.raises(RefusedDeliveryError):
        webhook.verify(replace(sent, received_at=NOW + MAX_AGE + timedelta(seconds=1)))
