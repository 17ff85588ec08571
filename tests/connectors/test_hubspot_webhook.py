"""HubSpot's webhooks: signatures over the raw bytes, ids of deliveries, and the objects that they bring."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.catalogue import connector_modules
from connectors.contract import Delivery, Page, RefusedDeliveryError, State, Stream
from connectors.fates import map_page
from connectors.hubspot.deliveries import HubSpotWebhook, decoded, delivery_id, objects_named
from connectors.hubspot.simulated_ids import company_id, deal_id, ticket_object_id
from connectors.simulation.calendar import DAY
from connectors.simulation.faults import Fault
from connectors.simulation.injection import Injection
from connectors.simulation.world import World
from tests.connectors.conftest import Stage
from tests.connectors.simulated import SIMULATOR_URL, Followed, by_id, followed_together
from vitals.errors import BadRecordError, RetriableError
from vitals.settings import Settings

StageOf = Callable[..., Stage]
SECRET = "hs-demo-secret"
SENT_MS = 1_793_000_000_000
BODY = b'[{"eventId":1,"subscriptionType":"company.propertyChange","objectId":77}]'
V3 = "WEVt+sYAeKyGhdMDFPttj1wpp+r8qK/3aAXRQeY5fx8="
V2 = "1ea1de8f5c2e5a2905b2faf8edab2d97335757e5d2bc4d1c1fc5470761516739"
V1 = "dd6314e0d65d35df51f22c58976f025f36a1969de7afac91fcd0d54813852763"
ALL = ("v3", "v2", "v1")


def delivery(headers: dict[str, str], body: bytes = BODY, age_ms: int = 0, url: str = "") -> Delivery:
    at = datetime.fromtimestamp(SENT_MS / 1000, UTC) + timedelta(milliseconds=age_ms)
    return Delivery("hubspot", "POST", url or "https://hooks.example.test/hubspot", headers, body, at)


def v3(signature: str = V3, sent: str = str(SENT_MS)) -> dict[str, str]:
    return {"x-hubspot-signature-v3": signature, "x-hubspot-request-timestamp": sent}


def older(signature: str, version: str) -> dict[str, str]:
    return {"x-hubspot-signature": signature, "x-hubspot-signature-version": version}


def signed(body: bytes, url: str, signed_url: str | None = None) -> Delivery:
    text = f"POST{signed_url or url}".encode() + body + str(SENT_MS).encode()
    mac = hmac.new(SECRET.encode(), text, hashlib.sha256).digest()
    return delivery(v3(base64.b64encode(mac).decode()), body, url=url)


def test_the_vectors_of_every_version() -> None:
    webhook = HubSpotWebhook(SECRET, ALL)
    ids = {webhook.verify(delivery(headers)) for headers in (v3(), older(V2, "v2"), older(V1, "v1"))}
    assert ids == {delivery_id(BODY)}


@pytest.mark.parametrize(
    ("given_delivery", "status"),
    [
        (delivery(v3(), BODY.replace(b"77", b"78")), 401),
        (delivery(v3(V3[:-2] + "A=")), 401),
        (delivery(v3("não é uma assinatura")), 401),
        (delivery(v3(), url="https://hooks.example.test/other"), 401),
        (replace(delivery(v3()), method="PUT"), 401),
        (delivery(v3(), age_ms=300_001), 401),
        (delivery(v3(sent=str(SENT_MS + 1))), 401),
        (delivery(v3(sent="soon")), 400),
        (delivery({"x-hubspot-signature-v3": V3}), 400),
        (delivery({}), 400),
        (delivery({"x-hubspot-request-timestamp": str(SENT_MS)}), 400),
    ],
)
def test_a_wrong_or_old_or_unsigned_delivery_is_refused(given_delivery: Delivery, status: int) -> None:
    with pytest.raises(RefusedDeliveryError) as raised:
        HubSpotWebhook(SECRET, ALL).verify(given_delivery)
    assert raised.value.status == status
    assert SECRET not in str(raised.value)
    assert "objectId" not in str(raised.value)


def test_a_delivery_of_just_five_minutes_is_taken() -> None:
    assert HubSpotWebhook(SECRET).verify(delivery(v3(), age_ms=300_000))


def test_old_versions_only_where_they_are_configured_and_never_instead_of_v3() -> None:
    for headers in (older(V2, "v2"), older(V1, "v1")):
        with pytest.raises(RefusedDeliveryError) as raised:
            HubSpotWebhook(SECRET).verify(delivery(headers))
        assert raised.value.status == 400
    # A subscription that is marked v1 sends v3 too: the wrong v3 is not saved by the right v1.
    with pytest.raises(RefusedDeliveryError) as raised:
        HubSpotWebhook(SECRET, ALL).verify(delivery({**older(V1, "v1"), **v3("wrong")}))
    assert raised.value.status == 401
    assert HubSpotWebhook(SECRET).verify(delivery({**older("wrong", "v1"), **v3()}))


def test_escapes_in_the_address_are_decoded_as_hubspot_does() -> None:
    url = "https://hooks.example.test/h?to=a%40b%3ac%20d%26e"
    assert decoded(url) == "https://hooks.example.test/h?to=a@b:c%20d%26e"
    webhook = HubSpotWebhook(SECRET)
    assert webhook.verify(signed(BODY, url, decoded(url))) == webhook.verify(signed(BODY, url))


@given(body=st.binary(max_size=200), flip=st.integers(0, 10_000))
def test_any_changed_byte_is_noticed(body: bytes, flip: int) -> None:
    webhook, whole = HubSpotWebhook(SECRET), signed(body, "https://hooks.example.test/hubspot")
    assert webhook.verify(whole) == delivery_id(body)
    if body:
        place = flip % len(body)
        changed = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        with pytest.raises(RefusedDeliveryError):
            webhook.verify(replace(whole, body=changed))


event = st.fixed_dictionaries(
    {
        "portalId": st.integers(1, 2),
        "subscriptionId": st.integers(1, 2),
        "objectId": st.integers(1, 3),
        "occurredAt": st.integers(1, 3),
        "propertyName": st.sampled_from(["name", "domain"]),
        "eventId": st.integers(1, 3),
    }
)


@given(events=st.lists(event, min_size=1, max_size=6), attempts=st.data())
def test_a_repeated_delivery_has_the_same_id_and_another_one_not(
    events: list[dict[str, Any]], attempts: st.DataObject
) -> None:
    again = attempts.draw(st.permutations(events))
    first = delivery_id(orjson.dumps([{**one, "attemptNumber": 0} for one in events]))
    assert delivery_id(orjson.dumps([{**one, "attemptNumber": 3} for one in again])) == first
    other = [{**events[0], "occurredAt": 99}, *events[1:]]
    assert delivery_id(orjson.dumps(other)) != first


def test_no_secret_no_webhook(monkeypatch: pytest.MonkeyPatch) -> None:
    module = connector_modules()["hubspot"]
    assert module.webhook(Settings(simulator_url="")) is None
    assert module.webhook(Settings(simulator_url=SIMULATOR_URL)).verify(delivery(v3()))
    monkeypatch.setenv("VITALS_HUBSPOT_CLIENT_SECRET", SECRET)
    monkeypatch.setenv("VITALS_HUBSPOT_WEBHOOK_SIGNATURES", '["v3", "v1"]')
    assert module.webhook(Settings(simulator_url="")).verify(delivery(older(V1, "v1")))


def named(*events: dict[str, Any]) -> Delivery:
    return delivery({}, orjson.dumps(events))


def test_which_objects_events_name() -> None:
    deliveries = [
        named(
            {"subscriptionType": "deal.propertyChange", "objectId": 5},
            {"subscriptionType": "deal.creation", "objectId": 5},
            {"subscriptionType": "object.creation", "objectTypeId": "0-3", "objectId": 6},
            {"subscriptionType": "object.creation", "objectTypeId": "0-2", "objectId": 7},
            {"subscriptionType": "company.merge", "primaryObjectId": 8, "mergedObjectIds": [9], "objectId": 8},
            {"subscriptionType": "company.merge", "primaryObjectId": 8, "newObjectId": 10},
            {"subscriptionType": "deal.associationChange", "associationType": "DEAL_TO_COMPANY", "fromObjectId": 11},
            {"subscriptionType": "deal.associationChange", "associationType": "COMPANY_TO_DEAL", "toObjectId": 12},
            {"subscriptionType": "contact.privacyDeletion", "objectId": 13},
        ),
        named({"subscriptionType": "deal.creation", "objectId": "not a number"}),
    ]
    assert objects_named(deliveries, "deal", "0-3") == ["5", "6", "11", "12"]
    assert objects_named(deliveries, "company", "0-2") == ["7", "8", "10"]
    assert objects_named(deliveries, "ticket", "0-5") == []


@pytest.mark.parametrize("body", [b"not JSON", b'{"subscriptionType": "deal.creation", "objectId": 14}', b"[7]"])
def test_a_body_that_is_no_list_of_events_is_a_bad_record(body: bytes) -> None:
    with pytest.raises(BadRecordError):
        objects_named([delivery({}, body)], "deal", "0-3")
    assert HubSpotWebhook(SECRET).verify(signed(body, "https://hooks.example.test/hubspot"))


def meant(stream: Stream, page: Page, state: State) -> list[tuple[str, str, str | None]]:
    _, unresolved, _ = map_page(stream, page, state)
    return [(one.event.kind, one.event.source_id, one.event.account_ref) for one in unresolved]


def test_a_delivery_brings_the_events_that_the_poll_would_and_the_poll_repeats_nothing(
    world: World, stage_of: StageOf
) -> None:
    stage = stage_of(world)
    streams = stage.streams("hubspot")
    followed = {name: one.catch_up() for name, one in followed_together(streams).items()}
    stage.advance_to(world.history_end + 60)
    account = world.accounts[4]
    _, ids = stage.simulation.inject(Injection("ticket_opened", account=account.crm_id))
    ticket = ticket_object_id(ids["ticket"])
    one = followed["hubspot.tickets"]
    told = named({"subscriptionType": "ticket.creation", "objectId": ticket})
    page = streams["hubspot.tickets"].received([told, told], dict(one.state))
    assert page is not None
    # Neither cursor nor promise moves: what was sent proves nothing of what was not.
    assert (dict(page.state), page.complete_through, page.more) == ({}, one.promises[-1], False)
    assert meant(streams["hubspot.tickets"], page, one.state) == [
        ("support.ticket_opened", str(ticket), f"hubspot:company:{company_id(account.external_id)}")
    ]
    assert streams["hubspot.deals"].received([told], dict(followed["hubspot.deals"].state)) is None
    before = len(one.events)
    one.deliver([told, told])
    assert [event.kind for event in one.events[before:]] == ["support.ticket_opened"]
    stage.advance_to(world.history_end + 300)
    one.catch_up()
    assert len(by_id(one.events)) == len(one.events)


def test_a_deletion_and_an_object_that_does_not_exist(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    followed = Followed(stage.streams("hubspot")["hubspot.companies"]).catch_up()
    stage.advance_to(world.history_end + 60)
    account = world.accounts[6]
    stage.simulation.inject(Injection("account_changed", account=account.crm_id, deleted=True))
    company = company_id(account.external_id)
    told = named(
        {"subscriptionType": "company.deletion", "objectId": company},
        {"subscriptionType": "company.creation", "objectId": 1},
    )
    page = followed.stream.received([told], dict(followed.state))
    assert page is not None
    assert meant(followed.stream, page, followed.state) == [
        ("crm.account_deleted", str(company), f"hubspot:company:{company}")
    ]
    followed.deliver([told])
    # The daily scan finds it again and says nothing new.
    for _ in range(3):
        stage.advance_to(stage.simulation.clock.now() + DAY)
        followed.catch_up()
    assert sum(event.kind == "crm.account_deleted" for event in followed.events) == 1


def test_what_is_delivered_during_the_first_load_is_left_to_it(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.hubspot.client.LIST_OBJECTS", 7)
    stage = stage_of(world)
    followed = Followed(stage.streams("hubspot")["hubspot.deals"])
    followed.page()
    newest = max(world.accounts, key=lambda one: one.first_activity_at * (one.first_activity_at <= world.history_end))
    told = named({"subscriptionType": "deal.propertyChange", "objectId": deal_id(newest.external_id)})
    assert followed.stream.received([told], dict(followed.state)) is None
    followed.catch_up()
    (won,) = [event for event in followed.mapped if event.source_id == str(deal_id(newest.external_id)) and event.value]
    assert won.kind == "crm.opportunity_won"


def test_a_batch_that_is_answered_in_part_is_asked_for_again(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    followed = Followed(stage.streams("hubspot")["hubspot.companies"]).catch_up()
    stage.advance_to(world.history_end + 60)
    account = world.accounts[3]
    stage.simulation.inject(Injection("account_changed", account=account.crm_id, plan="Enterprise"))
    told = named({"subscriptionType": "company.propertyChange", "objectId": company_id(account.external_id)})
    stage.simulation.faults.order(Fault("hubspot", "partial_batch", path="/crm/objects/2026-09/companies"))
    before = len(followed.events)
    with pytest.raises(RetriableError, match="part of a batch"):
        followed.deliver([told])
    assert not stage.simulation.faults.waiting()
    followed.deliver([told])
    assert [event.kind for event in followed.events[before:]] == ["crm.account_updated"]


def test_a_version_that_was_told_long_ago_is_passed_over(world: World, stage_of: StageOf) -> None:
    """The ids of its events are forgotten by then."""
    stage = stage_of(world)
    followed = Followed(stage.streams("hubspot")["hubspot.companies"]).catch_up()
    account = world.accounts[2]
    told = named({"subscriptionType": "company.propertyChange", "objectId": company_id(account.external_id)})
    stage.advance_to(world.history_end + 60)
    stage.simulation.inject(Injection("account_changed", account=account.crm_id, plan="Enterprise"))
    followed.deliver([told])
    updated = [event.event_id for event in followed.events if event.kind == "crm.account_updated"][-1]
    for _ in range(9):
        stage.advance_to(stage.simulation.clock.now() + DAY)
        followed.catch_up()
    count = len(followed.events)
    followed.deliver([told])
    assert len(followed.events) == count
    assert updated not in followed.seen.ids, "or nothing was proved"
