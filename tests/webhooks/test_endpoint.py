"""The endpoint without a broker: what is kept, what is refused with which status, and what is said of it."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from connectors.contract import Delivery, RefusedDeliveryError, Webhook
from connectors.stripe.simulated_webhooks import WEBHOOKS as SENDER
from connectors.stripe.webhook import StripeWebhook
from connectors.webhooks.deliveries import delivery_of, kept_headers, record
from connectors.webhooks.endpoint import LARGEST_BODY_BYTES, WebhookEndpoint
from vitals.errors import RetriableError

NOW = datetime(2026, 11, 20, 10, 4, 11, tzinfo=UTC)
SECRET = "whsec_known_to_nobody"
BODY = b'{"id":"evt_7","note":"private content"}'


class StoppedClock:
    def now(self) -> datetime:
        return NOW


class Kept:
    """A log of deliveries in memory; `away` is the broker out of reach."""

    def __init__(self) -> None:
        self.deliveries: list[tuple[Delivery, str]] = []
        self.away = False

    async def append(self, delivery: Delivery, delivery_id: str) -> None:
        if self.away:
            raise RetriableError("Kafka does not answer.")
        self.deliveries.append((delivery, delivery_id))


class Barred(Webhook):
    source = "barred"

    def verify(self, delivery: Delivery) -> str:
        raise RefusedDeliveryError(401, "The signature is not one of ours.")


class Front:
    def __init__(self, public_url: str = "") -> None:
        self.kept = Kept()
        webhooks: dict[str, Webhook] = {"stripe": StripeWebhook([SECRET]), "barred": Barred()}
        endpoint = WebhookEndpoint(webhooks, self.kept, StoppedClock(), public_url)
        app = FastAPI()
        app.add_route("/v1/webhooks/{source}", endpoint.receive, methods=["POST"])
        app.add_route("/v1/webhooks/{source}", endpoint.looked_at, methods=["HEAD"])
        self._transport = httpx.ASGITransport(app=app)

    def post(self, body: bytes = BODY, *, path: str = "stripe", at: datetime = NOW, **headers: str) -> httpx.Response:
        signed = SENDER.headers(body, "", [SECRET], at.timestamp())
        return self.send(body, {**signed, **{name.replace("_", "-"): value for name, value in headers.items()}}, path)

    def send(self, body: bytes, headers: dict[str, str], path: str = "stripe", method: str = "POST") -> httpx.Response:
        async def exchange() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="http://inner:8090") as client:
                return await client.request(method, f"/v1/webhooks/{path}", content=body, headers=headers)

        return asyncio.run(exchange())


@pytest.fixture
def front() -> Front:
    return Front()


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    """What is logged meanwhile."""
    with capture_logs() as entries:
        yield entries


def counted(source: str, status: int) -> float:
    labels = {"source": source, "status": str(status)}
    return REGISTRY.get_sample_value("vitals_webhook_deliveries_total", labels) or 0.0


def test_a_delivery_is_kept_as_it_came_and_then_accepted(front: Front) -> None:
    before = counted("stripe", 202)
    assert front.post().status_code == 202
    ((delivery, delivery_id),) = front.kept.deliveries
    assert (delivery.body, delivery_id, delivery.received_at) == (BODY, "evt_7", NOW)
    assert delivery.url == "http://inner:8090/v1/webhooks/stripe"
    assert counted("stripe", 202) == before + 1


def test_behind_a_proxy_the_address_is_the_public_one() -> None:
    front = Front("https://hooks.example.test/")
    assert front.post(path="stripe?tenant=7", host="inner:8090").status_code == 202
    ((delivery, _),) = front.kept.deliveries
    assert delivery.url == "https://hooks.example.test/v1/webhooks/stripe?tenant=7"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"at": NOW - timedelta(seconds=301)}, 403),
        ({"at": NOW + timedelta(seconds=301)}, 403),
        ({"stripe_signature": "t=1,v1=é"}, 403),
        ({"stripe_signature": "nothing"}, 400),
        ({"path": "barred"}, 401),
        ({"path": "unknown"}, 404),
        ({"body": b"x" * (LARGEST_BODY_BYTES + 1)}, 413),
    ],
)
def test_what_is_refused_is_a_problem_and_kept_nowhere(
    front: Front, lines: list[Any], change: dict[str, Any], status: int
) -> None:
    if "é" in change.get("stripe_signature", ""):
        change = {"stripe_signature": change["stripe_signature"].encode("latin-1")}
    source = change.get("path", "stripe")
    before = counted(source, status)
    answer = front.post(**change)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert not front.kept.deliveries
    if status != 404:
        (line,) = lines
        assert set(line) == {"event", "log_level", "source", "status", "reason"}
        assert (line["source"], line["status"]) == (source, status)
        assert counted(source, status) == before + 1
    else:
        assert not lines, "anybody can ask for a source that does not exist"
    for text in (str(lines), answer.text):
        assert "private" not in text
        assert SECRET not in text
        assert "v1=" not in text


@pytest.mark.parametrize(("path", "status"), [("stripe", 200), ("barred", 200), ("unknown", 404)])
def test_a_vendor_may_look_whether_the_address_is_there(front: Front, path: str, status: int) -> None:
    assert front.send(b"", {}, path, "HEAD").status_code == status
    assert not front.kept.deliveries


def test_the_largest_body_is_taken(front: Front) -> None:
    assert front.post(b"x" * LARGEST_BODY_BYTES).status_code == 202
    assert front.post(b"").status_code == 202


def test_while_kafka_is_away_vendors_are_asked_to_come_again(front: Front) -> None:
    front.kept.away = True
    answer = front.post()
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    front.kept.away = False
    assert front.post().status_code == 202


def test_too_much_in_hand_is_refused_and_its_room_is_given_back(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.webhooks.endpoint.UNSETTLED_BYTES_MAX", 1_000)
    assert front.post(b"x" * 1_001).status_code == 503
    for _ in range(5):
        assert front.post(b"x" * 900).status_code == 202


def test_a_record_keeps_no_credential_and_gives_the_delivery_back() -> None:
    headers = {
        "content-type": "application/json",
        "authorization": "Bearer x",
        "cookie": "x",
        "x-forwarded-for": "10.0.0.1",
        "stripe-signature": "t=1,v1=x",
        "x-stripe-region": "eu",
        "x-stripe-secret": "x",
        "x-api-key": "x",
    }
    assert kept_headers("stripe", headers) == {"content-type": "application/json", "x-stripe-region": "eu"}
    delivery = Delivery("stripe", "POST", "https://hooks.example.test/v1/webhooks/stripe?token=x", headers, BODY, NOW)
    stored = record(delivery, "evt_7")
    assert b"x" not in str({**stored, "body": ""}).replace("x-stripe", "").replace("example", "").encode()
    again = delivery_of(stored)
    assert (again.body, again.url, again.received_at) == (BODY, "https://hooks.example.test/v1/webhooks/stripe", NOW)
