"""From a vendor's change to the events topic: simulator, collect process, broker, runner.

The streams poll once and then, as far as a test lives, never again: what arrives was brought by a webhook.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from time import time

import httpx
import orjson
import pytest

from connectors.catalogue import connector_modules
from connectors.contract import Stream
from connectors.http import Wire
from connectors.simulation import generated
from connectors.simulation.clock import SourceClock
from connectors.simulation.faults import Fault
from connectors.simulation.injection import Injection
from connectors.simulation.server import create_app
from connectors.simulation.stage import Simulation
from connectors.simulation.webhooks import Subscription, WebhookSender
from connectors.stripe.simulated_webhooks import WEBHOOKS as STRIPE_SENDER
from connectors.zendesk.simulated_webhooks import WEBHOOKS as ZENDESK_SENDER
from embedded.stack import Stack
from schemas.bootstrap import bootstrap, prepare_topics
from schemas.topics import raw_topic
from tests.collect.conftest import CollectProcess
from tests.collect.topics import Topic
from tests.conftest import settings_for
from tests.connectors.simulated import SIMULATOR_URL, InProcess
from tests.webhooks.running import eventually, running
from vitals.settings import Settings

# What a vendor in production signs with is a setting.
STRIPE_SECRETS = ("whsec_arrival_new", "whsec_arrival_old")
ZENDESK_SECRET = "zd-arrival"
VENDORS = ("stripe", "zendesk")


class Arrival:
    """Vendors whose source time stands still until it is moved, and the process that takes their webhooks."""

    def __init__(self, settings: Settings, log: Path) -> None:
        world = generated.generate(seed=11, accounts=12)
        self.settings = settings
        self.simulation = Simulation(world, clock=SourceClock(world.history_end, paused=True, wall=lambda: 0.0))
        self.wall = 0.0
        self.simulation.wall = lambda: self.wall
        self.log = log
        self.collect = CollectProcess(
            settings,
            log,
            VITALS_CONNECTORS="collect,stripe,zendesk",
            VITALS_STRIPE_WEBHOOK_SECRETS=",".join(STRIPE_SECRETS),
            VITALS_ZENDESK_WEBHOOK_SECRET=ZENDESK_SECRET,
        )
        self._app = create_app(self.simulation)
        self._sender = WebhookSender(self.simulation)
        self.hooks: dict[str, Subscription] = {}

    def subscribe(self) -> None:
        """From here on changes are delivered."""
        for vendor, secrets in (("stripe", STRIPE_SECRETS), ("zendesk", (ZENDESK_SECRET,))):
            self.hooks[vendor] = self._sender.subscribe(vendor, self.url(vendor), secrets)

    def url(self, vendor: str) -> str:
        return f"{self.collect.url}/v1/webhooks/{vendor}"

    def stream(self, vendor: str) -> Stream:
        """As `vitals connect` makes it, wired to the simulator in this process."""
        created = connector_modules()[vendor].create(
            Settings(simulator_url=SIMULATOR_URL, vendor_pacing=False), Wire(transport=InProcess(self._app))
        )
        (stream,) = created
        return stream

    def happens(self, vendor: str) -> list[str]:
        """Something happens to an account; the ids of the objects whose events tell it."""
        self.simulation.clock.change(advance_to=self.simulation.clock.now() + 90)
        kind = {"stripe": "invoice_paid", "zendesk": "ticket_opened"}[vendor]
        _, ids = self.simulation.inject(Injection(kind, self.simulation.world.accounts[3].name))
        return [str(ids["invoice" if vendor == "stripe" else "ticket"])]

    def deliver(self, waited: float = 0.0) -> None:
        """Sends what is due."""
        self.wall += waited
        asyncio.run(self._sender.turn())


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A Kafka and a registry of their own: these are the real connectors' streams, which have one state each."""
    with Stack(tmp_path_factory.mktemp("stack")).infrastructure(("kafka", "registry")) as endpoints:
        yield settings_for(endpoints, tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def arrival(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arrival]:
    bootstrap(settings)
    prepare_topics(settings, [raw_topic("stripe"), raw_topic("zendesk")])
    made = Arrival(settings, tmp_path_factory.mktemp("arrival") / "log")
    with made.collect:
        made.subscribe()
        yield made


class Published:
    """What a vendor's stream has published since this was made."""

    def __init__(self, arrival: Arrival, vendor: str) -> None:
        topic = "events.billing" if vendor == "stripe" else "events.support"
        self._events = Topic(arrival.settings, topic)
        self._raw = Topic(arrival.settings, f"raw.{vendor}")
        self._vendor = vendor

    def ids(self) -> list[str]:
        """Ids of the events, with repetitions."""
        return [one["event_id"] for one in self._events.records("Event") if one["source"] == self._vendor]

    def stored(self) -> str:
        """Everything that was fetched."""
        return "".join(one["body"] for one in self._raw.records("RawObject"))


def caught_up(arrival: Arrival, vendor: str) -> None:
    """Polls until the vendor has no more."""
    promises = Topic(arrival.settings, "events.billing" if vendor == "stripe" else "events.support")
    stream = arrival.stream(vendor)
    with running(arrival.settings, stream):
        eventually(
            lambda: any(
                one["stream"] == stream.name and one["complete_through"] is not None
                for one in promises.records("Progress")
            )
        )


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_change_arrives_once_by_webhook_and_by_no_redelivery_or_poll_again(arrival: Arrival, vendor: str) -> None:
    caught_up(arrival, vendor)
    accepted = arrival.hooks[vendor].accepted
    with running(arrival.settings, arrival.stream(vendor)):
        arrival.deliver()
        published = Published(arrival, vendor)
        (changed,) = arrival.happens(vendor)
        arrival.simulation.faults.order(Fault(vendor, "webhook_duplicate", count=50))
        arrival.deliver()
        arrival.simulation.faults.clear()
        assert arrival.hooks[vendor].accepted >= accepted + 2, "the vendor was not told that it was taken"
        eventually(lambda: changed in published.stored())
        eventually(lambda: len(published.ids()) > 0)
    once = sorted(published.ids())
    assert len(once) == len(set(once))
    # The same changes by polling, and ten minutes on.
    arrival.simulation.clock.change(advance_to=arrival.simulation.clock.now() + 600)
    caught_up(arrival, vendor)
    assert len(published.ids()) == len(set(published.ids()))
    assert set(once) <= set(published.ids())


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_lost_webhook_is_caught_by_the_next_poll(arrival: Arrival, vendor: str) -> None:
    caught_up(arrival, vendor)
    arrival.deliver()
    published = Published(arrival, vendor)
    (changed,) = arrival.happens(vendor)
    arrival.simulation.faults.order(Fault(vendor, "webhook_lost", count=50))
    arrival.deliver()
    arrival.simulation.faults.clear()
    arrival.simulation.clock.change(advance_to=arrival.simulation.clock.now() + 120)
    caught_up(arrival, vendor)
    assert changed in published.stored()
    assert published.ids()
    assert len(published.ids()) == len(set(published.ids()))


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("kind", ["webhook_tampered", "webhook_bad_signature", "webhook_stale"])
def test_what_is_wrong_is_refused_and_said_without_body_or_secret(arrival: Arrival, vendor: str, kind: str) -> None:
    arrival.deliver()
    hook, kept = arrival.hooks[vendor], Topic(arrival.settings, "webhooks")
    refused, accepted = hook.failed, hook.accepted
    arrival.happens(vendor)
    arrival.simulation.faults.order(Fault(vendor, kind, count=50))
    arrival.deliver()
    arrival.simulation.faults.clear()
    assert hook.failed > refused
    assert hook.accepted == accepted
    assert not kept.records()
    lines = [orjson.loads(line) for line in arrival.log.read_bytes().splitlines() if b"webhook_refused" in line]
    assert (lines[-1]["source"], lines[-1]["status"]) == (vendor, 403)
    text = arrival.log.read_text()
    for secret in (*STRIPE_SECRETS, ZENDESK_SECRET, "amount_paid", "zen:ticket", "v1="):
        assert secret not in text
    if vendor == "stripe":
        # What the vendor sends again is as it should be.
        arrival.deliver(waited=5.0)
        assert hook.accepted > accepted
        assert kept.records()


def test_deliveries_out_of_order_are_taken(arrival: Arrival) -> None:
    caught_up(arrival, "zendesk")
    with running(arrival.settings, arrival.stream("zendesk")):
        arrival.deliver()
        published = Published(arrival, "zendesk")
        (ticket,) = arrival.happens("zendesk")
        arrival.simulation.faults.order(Fault("zendesk", "webhook_reorder"))
        arrival.deliver()
        arrival.simulation.clock.change(advance_to=arrival.simulation.clock.now() + 30)
        arrival.simulation.inject(Injection("ticket_solved", ticket=int(ticket)))
        arrival.deliver()
        eventually(lambda: ticket in published.stored() and len(published.ids()) >= 2)
    assert len(published.ids()) == len(set(published.ids()))


@pytest.mark.parametrize(("path", "status"), [("unknown", 404), ("mixpanel", 404), ("stripe", 400), ("zendesk", 400)])
def test_others_are_answered_with_a_problem(arrival: Arrival, path: str, status: int) -> None:
    answer = httpx.post(arrival.url(path), content=b"{}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert httpx.get(arrival.url(path)).status_code == 405


def test_the_topic_keeps_no_credential(arrival: Arrival) -> None:
    kept = Topic(arrival.settings, "webhooks")
    for vendor, sender, secrets in (
        ("stripe", STRIPE_SENDER, STRIPE_SECRETS),
        ("zendesk", ZENDESK_SENDER, (ZENDESK_SECRET,)),
    ):
        body = orjson.dumps({"id": f"{vendor}-kept", "type": "zen:event-type:ticket.created"})
        headers = sender.headers(body, "", secrets, time())
        assert httpx.post(arrival.url(vendor), content=body, headers=headers).status_code == 202
    records = {one["source"]: one for one in kept.records()}
    assert {one["delivery_id"] for one in records.values()} == {"stripe-kept", "zendesk-kept"}
    assert records["zendesk"]["headers"]["x-zendesk-webhook-id"]
    for one in records.values():
        assert not any("signature" in name or "auth" in name for name in one["headers"])
        assert one["url"].endswith(f"/v1/webhooks/{one['source']}")
