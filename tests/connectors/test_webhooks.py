"""Webhooks and polls together: whatever comes, comes twice, comes late or never, each event is told once."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.catalogue import connector_modules
from connectors.contract import Delivery, Stream, Webhook
from connectors.identity.claims import CLAIMS
from connectors.simulation.calendar import DAY
from connectors.simulation.vendors import senders
from connectors.simulation.webhooks import WebhookSender
from connectors.simulation.world import World
from connectors.stripe.client import API_VERSION
from connectors.stripe.mapping import customer_identity
from tests.connectors.conftest import Stage
from tests.connectors.simulated import SIMULATOR_URL, Followed, by_id, conformance, followed_together
from tests.connectors.test_zendesk_cycles import END, HOUR, START, lasted, opened_at, with_tickets
from vitals.settings import Settings

StageOf = Callable[..., Stage]
NOW = 1_793_000_000.0
VENDORS = tuple(senders())


@dataclass
class Post:
    """What a vendor's sender has delivered to a webhook that accepts everything."""

    stage: Stage
    vendor: str
    received: list[Delivery] = field(default_factory=list)

    def __post_init__(self) -> None:
        app = Starlette(routes=[Route("/{vendor}", self._receive, methods=["POST"])])
        transport = httpx.ASGITransport(app=app)
        self.sender = WebhookSender(self.stage.simulation, transport=transport, unix_time=lambda: NOW)
        self.sender.subscribe(self.vendor, f"http://hook/{self.vendor}")

    async def _receive(self, request: Request) -> Response:
        headers = dict(request.headers)
        at = datetime.fromtimestamp(NOW, UTC)
        body = await request.body()
        self.received.append(Delivery(self.vendor, "POST", str(request.url), headers, body, at))
        return Response(status_code=202)

    def collect(self) -> list[Delivery]:
        """What the vendor delivers by now, oldest first."""
        asyncio.run(self.sender.turn())
        new, self.received = self.received, []
        return new


def webhook_of(stage: Stage, vendor: str) -> Webhook:
    """How the vendor's deliveries are verified."""
    found: Webhook | None = connector_modules()[vendor].webhook(stage.settings)
    assert found is not None
    return found


def stream_of(stage: Stage, vendor: str, name: str | None = None) -> Followed:
    """A vendor's stream that takes webhooks; the only one where no name is given."""
    streams = followed_together(stage.streams(vendor))
    (own,) = [one.name for one in taking(stage.streams(vendor)) if name in (None, one.name)]
    for other in streams.keys() - {own}:
        streams[other].catch_up()  # it may tell whose accounts the stream's events are
    stage.transport.requests.clear()
    return streams[own]


def taking(streams: Mapping[str, Stream]) -> list[Stream]:
    """Those of the streams that webhooks bring something to."""
    return [one for one in streams.values() if type(one).received is not Stream.received]


def _taking_streams() -> list[tuple[str, str]]:
    simulated = Settings(simulator_url=SIMULATOR_URL)
    made = {vendor: connector_modules()[vendor].create(simulated) for vendor in VENDORS}
    return [(vendor, one.name) for vendor, all_of in made.items() for one in taking({one.name: one for one in all_of})]


STREAMS = _taking_streams()


@pytest.mark.parametrize("vendor", VENDORS)
def test_what_a_simulator_signs_is_accepted_and_named_the_same_again(
    vendor: str, world: World, stage_of: StageOf
) -> None:
    stage = stage_of(world)
    post = Post(stage, vendor)
    stage.advance_to(world.history_end + 5 * DAY)
    sent = post.collect()
    assert len(sent) > 5
    verified = [webhook_of(stage, vendor).verify(delivery) for delivery in sent]
    assert len(set(verified)) == len(sent)
    assert verified == [webhook_of(stage, vendor).verify(delivery) for delivery in sent]


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize(("vendor", "name"), STREAMS)
def test_with_webhooks_comes_what_comes_without(vendor: str, name: str, world: World, stage_of: StageOf) -> None:
    """All of them early, half of them, late and out of order: the polls alone tell the same."""
    alone = _followed(stage_of(world), vendor, name, lambda sent, _held: sent[:0])
    for choose in (
        lambda sent, _held: sent,
        lambda sent, _held: sent[::2],
        lambda sent, _held: sent[::-1] * 2,
        lambda sent, held: (held.extend(sent), held[: len(held) // 2])[1],
    ):
        stage = stage_of(world)
        followed = _followed(stage, vendor, name, choose)
        assert by_id(followed.events) == by_id(alone.events)
        assert len(followed.events) == len(alone.events), "an event was published twice"
        assert set(followed.promises) == set(alone.promises)
        assert not followed.unreadable
        assert not [record for record in followed.set_aside if record.record_name == "DeadLetter"]


def _followed(
    stage: Stage, vendor: str, name: str, choose: Callable[[list[Delivery], list[Delivery]], list[Delivery]]
) -> Followed:
    """Thirty days, with deliveries before and after every poll."""
    followed, post, held = stream_of(stage, vendor, name).catch_up(), Post(stage, vendor), []
    begin = int(stage.simulation.clock.now())
    for at in range(begin, begin + 30 * DAY, DAY // 2 + 7_333):
        stage.advance_to(at)
        followed.deliver(choose(post.collect(), held))
        followed.catch_up()
        followed.deliver(held[-50:])
    stage.advance_to(begin + 31 * DAY)
    return followed.catch_up()


@pytest.mark.parametrize(("vendor", "name"), STREAMS)
def test_an_event_comes_with_its_delivery_and_not_again_with_the_poll(
    vendor: str, name: str, world: World, stage_of: StageOf
) -> None:
    stage = stage_of(world)
    followed, post = stream_of(stage, vendor, name).catch_up(), Post(stage, vendor)
    promise = followed.promises[-1]
    stage.advance_to(world.history_end + 3 * DAY)
    told = len(followed.events)
    sent = post.collect()
    followed.deliver(sent)
    assert len(followed.events) > told
    assert {event.kind for event in followed.events[told:]} <= set(conformance()[vendor].kinds)
    assert followed.promises[-1] == promise
    early = len(followed.events)
    followed.deliver(sent)
    assert len(followed.events) == early
    stage.advance_to(world.history_end + 3 * DAY + 120)
    followed.catch_up()
    moments = {event.event_id for event in followed.events}
    assert len(moments) == len(followed.events)
    assert followed.events[told].event_time > promise


@pytest.mark.parametrize(("vendor", "name"), STREAMS)
@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b'{"type": 7}', b"\xff\xfe", b'"text"', b'{"id": {}}'])
def test_a_body_that_means_nothing_is_set_aside_and_the_others_are_taken(
    vendor: str, name: str, body: bytes, world: World, stage_of: StageOf
) -> None:
    stage = stage_of(world)
    followed, post = stream_of(stage, vendor, name).catch_up(), Post(stage, vendor)
    stage.advance_to(world.history_end + 3 * DAY)
    sent = post.collect()
    wrong = Delivery(vendor, "POST", "http://hook", {}, body, datetime.fromtimestamp(NOW, UTC))
    followed.deliver([*sent[:3], wrong, *sent[3:]])
    (reason,) = followed.unreadable
    assert "deliver" in reason or "event" in reason
    without = stream_of(stage_of(world), vendor, name).catch_up()
    assert len(followed.events) > len(without.events)


polls = st.lists(
    st.tuples(
        st.one_of(st.integers(1, 90), st.integers(1, 40 * 3_600)),
        st.sampled_from(["all", "none", "later", "reversed"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=10,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tickets=st.lists(st.tuples(opened_at, lasted), min_size=1, max_size=20),
    gaps=polls,
    page=st.sampled_from((3, 100)),
)
def test_each_ticket_is_told_once_whatever_is_delivered_when(
    world: World, monkeypatch: pytest.MonkeyPatch, tickets: list[tuple[int, int]], gaps: list[Any], page: int
) -> None:
    monkeypatch.setattr("connectors.zendesk.client.PAGE_OBJECTS", page)
    stage = Stage(with_tickets(world, tickets), START)
    try:
        followed, post = stream_of(stage, "zendesk").catch_up(), Post(stage, "zendesk")
        held: list[Delivery] = []
        at = START
        for gap, mode, polled in gaps:
            at += gap
            stage.advance_to(at)
            sent = post.collect()
            held += sent
            followed.deliver({"all": sent, "none": [], "later": held, "reversed": held[::-1]}[mode])
            if polled:
                followed.catch_up()
                followed.deliver(held if mode == "later" else [])
        stage.advance_to(max(at, END) + 120)
        followed.catch_up()
        at_once = stream_of(stage, "zendesk").catch_up()
        assert by_id(followed.events).keys() == by_id(at_once.events).keys()
        assert len(followed.events) == len(at_once.events), "an event was published twice"
    finally:
        stage.transport.finish()


def test_polls_that_fail_for_days_repeat_nothing_that_webhooks_told(world: World) -> None:
    tickets = [(START + number * 20 * HOUR, 600) for number in range(8)]
    stage = Stage(with_tickets(world, tickets), START - HOUR)
    try:
        followed, post = stream_of(stage, "zendesk").catch_up(), Post(stage, "zendesk")
        for number in range(8):
            stage.advance_to(START + number * 20 * HOUR + 700)
            followed.deliver(post.collect())
        assert len(followed.events) == 16
        for _ in range(3):
            stage.advance_to(stage.simulation.clock.now() + 90)
            followed.catch_up()
        assert len(followed.events) == 16
        # Once the polls have promised all that, its ids are not kept for ever.
        for _ in range(4):
            stage.advance_to(stage.simulation.clock.now() + 40 * HOUR)
            followed.catch_up()
        assert not [entry for entry in followed.state if entry.startswith("early/")]
        assert len(followed.events) == 16
    finally:
        stage.transport.finish()


def test_what_a_walk_told_in_full_is_not_told_again_by_a_late_delivery(world: World) -> None:
    """A ticket that changed in the minute that the first load could not see is told with the next walk, whole."""
    stage = Stage(with_tickets(world, [(START - 80 * HOUR, 80 * HOUR - 30), (START - HOUR, HOUR // 2)]), START - 60)
    try:
        post = Post(stage, "zendesk")
        stage.advance_to(START)
        followed = stream_of(stage, "zendesk").catch_up()
        assert len(followed.events) == 2
        stage.advance_to(START + 45)
        followed.catch_up()
        assert len(followed.events) == 4
        late = post.collect()
        assert late
        followed.deliver(late)
        assert len(followed.events) == 4
    finally:
        stage.transport.finish()


def test_an_event_of_another_version_is_read_again(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    followed, post = stream_of(stage, "stripe").catch_up(), Post(stage, "stripe")
    stage.advance_to(world.history_end + 3 * DAY)
    sent = post.collect()
    aged = []
    for delivery in sent:
        event = orjson.loads(delivery.body)
        assert event["api_version"] == API_VERSION
        # An older form, in which the amounts had other names.
        event["data"]["object"].pop("amount_due", None)
        aged.append(_with_body(delivery, {**event, "api_version": "2020-08-27"}))
    followed.deliver(aged)
    expected = stream_of(stage_of(world), "stripe").catch_up()
    assert not [record for record in followed.set_aside if record.record_name == "DeadLetter"]
    assert not followed.unreadable
    asked = [one.url.path for one in stage.transport.requests if "/v1/events/evt_" in one.url.path]
    assert asked
    assert len(followed.events) > len(expected.events)


def test_a_customer_not_met_before_is_read_ahead_of_the_events_that_name_it(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    followed, post = stream_of(stage, "stripe").catch_up(), Post(stage, "stripe")
    stage.advance_to(world.history_end + 3 * DAY)
    paid = [one for one in post.collect() if orjson.loads(one.body)["type"] == "invoice.paid"]
    customer = orjson.loads(paid[0].body)["data"]["object"]["customer"]
    del followed.state[CLAIMS + customer_identity(customer)]
    told = len(followed.events)
    followed.deliver(paid[:1])
    assert [event.kind for event in followed.events[told:]] == ["billing.invoice_paid"]


def test_an_event_of_a_customer_that_is_gone_is_left_to_the_feed(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    followed, post = stream_of(stage, "stripe").catch_up(), Post(stage, "stripe")
    stage.advance_to(world.history_end + 3 * DAY)
    paid = next(one for one in post.collect() if orjson.loads(one.body)["type"] == "invoice.paid")
    event = orjson.loads(paid.body)
    event["data"]["object"]["customer"] = "cus_gone"
    told, before = len(followed.events), dict(followed.state)
    followed.deliver([_with_body(paid, event)])
    assert (len(followed.events), followed.set_aside, followed.unreadable) == (told, [], [])
    assert followed.state == before, "the feed would pass it over"
    followed.catch_up()
    assert len(followed.events) > told


def test_a_ticket_of_an_organization_that_is_gone_is_left_to_the_exports(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stage_of(world)
    followed, post = stream_of(stage, "zendesk").catch_up(), Post(stage, "zendesk")
    stage.advance_to(world.history_end + 3 * DAY)
    sent = post.collect()[-1:]
    entry = f"org/{orjson.loads(sent[0].body)['detail']['organization_id']}"
    link = followed.state.pop(entry)
    told = len(followed.events)
    with monkeypatch.context() as patched:
        patched.setattr("connectors.zendesk.client.ZendeskClient.organizations_named", lambda *_: [])
        followed.deliver(sent)
    assert (len(followed.events), followed.set_aside) == (told, [])
    followed.deliver(sent)
    assert len(followed.events) > told
    assert followed.state[entry] == link


def test_a_trigger_of_zendesk_names_its_ticket(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    followed, post = stream_of(stage, "zendesk").catch_up(), Post(stage, "zendesk")
    stage.advance_to(world.history_end + 2 * DAY)
    sent = post.collect()
    ticket_id = orjson.loads(sent[-1].body)["detail"]["id"]
    told = len(followed.events)
    followed.deliver([_with_body(sent[-1], {"ticket_id": int(ticket_id)}), _with_body(sent[-1], {"ticket_id": "no"})])
    assert {event.kind for event in followed.events[told:]} <= set(conformance()["zendesk"].kinds)
    assert len(followed.events) > told
    assert len(followed.unreadable) == 1


@pytest.mark.parametrize(("vendor", "name"), STREAMS)
def test_deliveries_before_the_end_of_a_first_load_bring_nothing(
    vendor: str, name: str, world: World, stage_of: StageOf
) -> None:
    stage = stage_of(world)
    followed, post = stream_of(stage, vendor, name), Post(stage, vendor)
    stage.advance_to(world.history_end + DAY)
    followed.deliver(post.collect())
    assert not followed.objects
    assert by_id(followed.catch_up().events) == by_id(stream_of(stage, vendor, name).catch_up().events)


@pytest.mark.parametrize("vendor", VENDORS)
def test_without_a_secret_no_webhook_is_taken(vendor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WEBHOOK_SECRET", "WEBHOOK_SECRETS", "CLIENT_SECRET"):
        monkeypatch.delenv(f"VITALS_{vendor.upper()}_{name}", raising=False)
    assert connector_modules()[vendor].webhook(Settings(simulator_url="")) is None


def _with_body(delivery: Delivery, content: Any) -> Delivery:
    return Delivery(
        delivery.source, "POST", delivery.url, delivery.headers, orjson.dumps(content), delivery.received_at
    )
