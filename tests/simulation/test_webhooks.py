"""The sender of webhooks: what it delivers, in which order, how often, and the faults that can be ordered."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
import pytest
from starlette.testclient import TestClient

from connectors.simulation.calendar import DAY
from connectors.simulation.faults import WEBHOOK_KINDS, Fault
from connectors.simulation.injection import Injection
from connectors.simulation.server import create_app
from connectors.simulation.stage import Simulation
from connectors.simulation.vendors import senders
from connectors.simulation.webhooks import WAITING_MAX, WebhookSender
from connectors.simulation.world import World
from tests.simulation.conftest import StageAt, Wall, walk_of_events, zendesk_token
from vitals.errors import UserError

VENDORS = tuple(senders())
UNIX = 1_793_000_000.0


@dataclass
class Endpoint(httpx.AsyncBaseTransport):
    """Answers with the next of `statuses`, None for no answer at all, and with 200 behind them."""

    statuses: list[int | None] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(await request.aread())
        self.headers.append(dict(request.headers))
        status = self.statuses.pop(0) if self.statuses else 200
        if status is None:
            raise httpx.ConnectError("nobody listens")
        return httpx.Response(status)

    def ids(self) -> list[str]:
        """The ids of what was sent, in order."""
        return [_id_of(orjson.loads(body)) for body in self.bodies]


def _id_of(body: Any) -> str:
    if isinstance(body, dict):
        return str(body["id"])
    (event,) = body
    return f"{event['objectId']}/{event['subscriptionType']}/{event['occurredAt']}/{event['eventId']}"


class Sent:
    """One vendor's webhook on a stage."""

    def __init__(self, simulation: Simulation, vendor: str, *statuses: int | None) -> None:
        self.endpoint = Endpoint(list(statuses))
        self.simulation, self.vendor = simulation, vendor
        self.sender = WebhookSender(simulation, transport=self.endpoint, unix_time=lambda: UNIX)
        self.hook = self.sender.subscribe(vendor, "http://hook/x")

    def turn(self, seconds: float = 0.0) -> "Sent":
        self.simulation.clock.change(advance_to=self.simulation.clock.now() + seconds)
        asyncio.run(self.sender.turn())
        return self


@pytest.mark.parametrize("vendor", VENDORS)
def test_each_change_is_delivered_once_whatever_the_steps_of_the_clock(
    world: World, stage_at: StageAt, vendor: str
) -> None:
    ids = []
    for step in (30 * DAY, 7 * DAY + 13, 20 * DAY + 1):
        sent = Sent(stage_at(world, world.history_end), vendor)
        assert sent.turn().endpoint.bodies == []
        for at in range(0, 30 * DAY, step):
            sent.turn(min(step, 30 * DAY - at))
        ids.append(sent.endpoint.ids())
        assert len(ids[-1]) == len(set(ids[-1])) > 20
        assert sent.hook.accepted == len(ids[-1])
    assert ids[0] == ids[1] == ids[2]


def test_stripes_deliveries_are_its_events(world: World, stage_at: StageAt) -> None:
    sent = Sent(stage_at(world, world.history_end), "stripe").turn(5 * DAY)
    client = TestClient(create_app(sent.simulation), base_url="http://simulator.test")
    feed = walk_of_events(client, world.history_end)
    assert [orjson.loads(body) for body in sent.endpoint.bodies] == feed


def test_an_item_put_into_the_second_that_is_delivered_too(simulation: Simulation, world: World) -> None:
    sent = Sent(simulation, "zendesk")
    for number in range(3):
        _, ids = simulation.inject(Injection("ticket_opened", world.accounts[number].name))
        sent.turn()
        event = orjson.loads(sent.endpoint.bodies[-1])
        assert event["detail"]["id"] == str(ids["ticket"])
        assert event["type"] == "zen:event-type:ticket.created"
    assert len(sent.endpoint.bodies) == 3
    simulation.inject(Injection("ticket_solved", ticket=ids["ticket"]))
    event = orjson.loads(sent.turn(1.0).endpoint.bodies[-1])
    assert (event["type"], event["event"]["current"]) == ("zen:event-type:ticket.status_changed", "SOLVED")


def opened(simulation: Simulation, *accounts: int) -> None:
    for account in accounts:
        simulation.inject(Injection("ticket_opened", simulation.world.accounts[account].name))


def test_what_is_not_accepted_comes_again_with_growing_gaps(simulation: Simulation, wall: Wall) -> None:
    sent = Sent(simulation, "stripe", 500, None, 403)
    simulation.inject(Injection("payment_failed", simulation.world.accounts[0].name))
    sent.turn()
    first = len(set(sent.endpoint.ids()))
    counts = []
    for _ in range(12):
        sent.turn()
        counts.append(len(sent.endpoint.bodies))
        wall.seconds += 1.0
    assert counts[0] < counts[-1]
    assert len(set(sent.endpoint.ids())) == first
    assert (sent.hook.accepted, sent.hook.failed, sent.hook.given_up) == (first, 3, 0)


def test_zendesk_gives_up_on_a_refusal_and_after_its_attempts(simulation: Simulation, wall: Wall) -> None:
    sent = Sent(simulation, "zendesk", 403)
    opened(simulation, 0)
    sent.turn()
    assert (len(sent.endpoint.bodies), sent.hook.given_up, sent.hook.waiting) == (1, 1, [])
    sent.endpoint.statuses = [503] * 99
    opened(simulation, 1)
    for _ in range(200):
        sent.turn()
        wall.seconds += 1.0
    assert (len(sent.endpoint.bodies), sent.hook.given_up) == (1 + senders()["zendesk"].attempts, 2)


def test_faults_of_deliveries(simulation: Simulation) -> None:
    sent = Sent(simulation, "zendesk")

    def ids_with(kind: str) -> list[str]:
        simulation.faults.order(Fault("zendesk", kind))
        before = len(sent.endpoint.bodies)
        opened(simulation, 0, 1)
        sent.turn(1.0)
        assert not simulation.faults.waiting()
        return sent.endpoint.ids()[before:]

    first, again, other = ids_with("webhook_duplicate")
    assert first == again != other
    assert len(ids_with("webhook_lost")) == 1
    late = ids_with("webhook_reorder")
    opened_at = [orjson.loads(body)["detail"]["id"] for body in sent.endpoint.bodies[-2:]]
    assert len(late) == 2
    assert opened_at == sorted(opened_at, reverse=True)
    for kind in ("webhook_tampered", "webhook_bad_signature", "webhook_stale"):
        assert len(ids_with(kind)) == 2


def test_orders_that_cannot_be(client: TestClient) -> None:
    for kind in WEBHOOK_KINDS:
        assert client.post("/_sim/faults", json={"vendor": "mixpanel", "kind": kind}).status_code == 400
        assert client.post("/_sim/faults", json={"vendor": "stripe", "kind": kind}).status_code == 201


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"vendor": "mixpanel", "url": "http://hook"},
        {"vendor": "stripe"},
        {"vendor": "stripe", "url": "hook"},
        {"vendor": "stripe", "url": "http://hook", "secrets": "one"},
        {"vendor": "stripe", "url": "http://hook", "secret": 1},
        {"vendor": "stripe", "url": "http://hook", "password": "x"},
    ],
)
def test_subscriptions_that_cannot_be(client: TestClient, asked: dict[str, object]) -> None:
    answer = client.post("/_sim/webhooks", json=asked)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_a_subscription_is_shown_without_its_secret_and_ended(client: TestClient) -> None:
    made = client.post("/_sim/webhooks", json={"vendor": "stripe", "url": "http://hook", "secret": "whsec_mine"})
    assert made.status_code == 201
    (shown,) = client.get("/_sim/webhooks").json()["items"]
    assert shown == made.json()
    assert "whsec_mine" not in str(shown)
    assert client.delete("/_sim/webhooks").status_code == 204
    assert client.get("/_sim/webhooks").json() == {"items": []}


def test_a_rolled_secret_signs_twice(simulation: Simulation) -> None:
    sender = WebhookSender(simulation, transport=(endpoint := Endpoint()), unix_time=lambda: UNIX)
    sender.subscribe("stripe", "http://hook", ["whsec_old", "whsec_new"])
    simulation.inject(Injection("payment_failed", simulation.world.accounts[0].name))
    asyncio.run(sender.turn())
    assert endpoint.headers[0]["stripe-signature"].count("v1=") == 2


def test_an_endpoint_that_is_away_does_not_fill_the_memory(
    world: World, stage_at: StageAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.simulation.webhooks.WAITING_MAX", 10)
    sent = Sent(stage_at(world, world.history_end), "stripe", *[None] * 10_000)
    for _ in range(5):
        sent.turn(10 * DAY)
    assert 10 <= len(sent.hook.waiting) < WAITING_MAX // 10


def test_no_such_vendor(simulation: Simulation) -> None:
    with pytest.raises(UserError, match="stripe"):
        WebhookSender(simulation).subscribe("nobody", "http://hook")


def test_objects_by_id(client: TestClient, simulation: Simulation, world: World) -> None:
    _, ids = simulation.inject(Injection("ticket_opened", world.accounts[0].name))
    ticket, organization = ids["ticket"], ids["organization"]

    def get(path: str, **params: str) -> httpx.Response:
        return client.get(f"/zendesk/api/v2/{path}", params=params, headers=zendesk_token(client))

    (shown,) = get("tickets/show_many.json", ids=f"{ticket},1", include="metric_sets").json()["tickets"]
    assert (shown["id"], shown["status"]) == (ticket, "open")
    simulation.inject(Injection("ticket_solved", ticket=ticket))
    simulation.clock.change(advance_to=simulation.clock.now() + 1)
    answer = get("tickets/show_many.json", ids=str(ticket), include="metric_sets").json()
    assert answer["tickets"][0]["status"] == "solved"
    assert answer["metric_sets"][0]["solved_at"]
    (found,) = get("organizations/show_many", ids=str(organization)).json()["organizations"]
    assert found["external_id"] == world.accounts[0].crm_id
    for wrong in ("", "x", ",".join(str(number) for number in range(101))):
        assert get("tickets/show_many.json", ids=wrong).status_code == 400
    assert client.get("/zendesk/api/v2/tickets/show_many.json?ids=1").status_code == 401
