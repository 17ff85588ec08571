"""Section 8 of the vendor specification: what is signed is accepted, and nothing else is."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe
from hypothesis import assume, example, given
from hypothesis import strategies as st

from connectors.contract import Delivery, RefusedDeliveryError, Webhook
from connectors.stripe.simulated_webhooks import WEBHOOKS as STRIPE_SENDER
from connectors.stripe.webhook import StripeWebhook, event_of
from connectors.zendesk.simulated_webhooks import WEBHOOKS as ZENDESK_SENDER
from connectors.zendesk.webhook import Named, ZendeskWebhook, ticket_named
from vitals.errors import BadRecordError

NOW = datetime.fromtimestamp(1_793_000_000, UTC)
STRIPE = StripeWebhook(["whsec_demo_0001"])
ZENDESK = ZendeskWebhook("zd-demo-secret")
URL = "https://hooks.example.test/v1/webhooks/vendor"

STRIPE_VECTOR = Delivery(
    "stripe", "POST", URL,
    {"stripe-signature": "t=1793000000,v1=c413748a0e723b72ef0bbe9db02e134376a3a212c26b402df27cc9fd31f65cdd"},
    b'{"id":"evt_1","n":1}', NOW,
)  # fmt: skip
ZENDESK_VECTOR = Delivery(
    "zendesk", "POST", URL,
    {
        "x-zendesk-webhook-signature": "qfXU06eEaf/iCcFOSQIHEHQFmsWe7lmw1yRXgDT1FTE=",
        "x-zendesk-webhook-signature-timestamp": "2026-10-26T05:33:20Z",
    },
    b'{"type":"zen:event-type:ticket.status_changed","id":"evt-1"}', datetime(2026, 10, 26, 5, 33, 20, tzinfo=UTC),
)  # fmt: skip
VECTORS = [pytest.param(STRIPE, STRIPE_VECTOR, id="stripe"), pytest.param(ZENDESK, ZENDESK_VECTOR, id="zendesk")]
SENT = {
    "stripe": (STRIPE, STRIPE_SENDER, ("whsec_demo_0001",)),
    "zendesk": (ZENDESK, ZENDESK_SENDER, ("zd-demo-secret",)),
}


def sent(vendor: str, body: bytes, secrets: tuple[str, ...] | None = None, at: datetime = NOW) -> Delivery:
    """As the vendor's simulator signs it."""
    _, sender, own = SENT[vendor]
    return Delivery(vendor, "POST", URL, sender.headers(body, URL, secrets or own, at.timestamp()), body, NOW)


def refused(webhook: Webhook, delivery: Delivery) -> RefusedDeliveryError:
    with pytest.raises(RefusedDeliveryError) as refusal:
        webhook.verify(delivery)
    return refusal.value


@pytest.mark.parametrize(("webhook", "vector"), VECTORS)
def test_the_vectors(webhook: Webhook, vector: Delivery) -> None:
    assert webhook.verify(vector) in ("evt_1", "evt-1")
    assert refused(webhook, dataclasses.replace(vector, body=vector.body + b" ")).status == 403


def test_simulators_sign_the_vectors() -> None:
    stripes = STRIPE_SENDER.headers(STRIPE_VECTOR.body, URL, ("whsec_demo_0001",), 1_793_000_000.9)
    assert stripes["stripe-signature"].startswith(STRIPE_VECTOR.headers["stripe-signature"])
    at = ZENDESK_VECTOR.received_at.timestamp()
    zendesks = ZENDESK_SENDER.headers(ZENDESK_VECTOR.body, URL, ("zd-demo-secret",), at)
    assert zendesks.items() >= ZENDESK_VECTOR.headers.items()


@given(body=st.binary(max_size=200), secrets=st.lists(st.text("abcXYZ019_", min_size=1), min_size=1, max_size=3))
def test_stripes_own_library_accepts_what_the_simulator_signs(body: bytes, secrets: list[str]) -> None:
    text = body.hex()
    at = datetime.now(UTC).timestamp()
    told = STRIPE_SENDER.headers(text.encode(), URL, secrets, at)["stripe-signature"]
    for secret in secrets:
        assert stripe.WebhookSignature.verify_header(text, told, secret, tolerance=300)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(text + "0", told, secrets[0], tolerance=300)


@pytest.mark.parametrize("vendor", SENT)
@given(body=st.binary(max_size=300), change=st.binary(min_size=1, max_size=3), place=st.integers(0, 300))
def test_any_changed_byte_of_the_body_is_refused(vendor: str, body: bytes, change: bytes, place: int) -> None:
    webhook, delivery = SENT[vendor][0], sent(vendor, body)
    assert webhook.verify(delivery) == webhook.verify(delivery)
    changed = body[:place] + change + body[place + len(change) :]
    assume(changed != body)
    assert refused(webhook, dataclasses.replace(delivery, body=changed)).status == 403


@pytest.mark.parametrize("vendor", SENT)
@given(change=st.sampled_from("0123456789abcdefTZ:-+=/,. é\udcff"), place=st.integers(0, 400))
@example(change="\udcff", place=270)
def test_any_changed_character_of_a_signed_header_is_refused(vendor: str, change: str, place: int) -> None:
    webhook, delivery = SENT[vendor][0], sent(vendor, b'{"id":"1"}')
    name = sorted(one for one in delivery.headers if "signature" in one)[place % 2 - 1]
    value = delivery.headers[name]
    place %= len(value)
    # What follows belongs to a scheme that is ignored, or does not change what is read.
    assume(value[place] != change and place < value.find(",v0") % 1_000)
    changed = value[:place] + change + value[place + 1 :]
    error = refused(webhook, dataclasses.replace(delivery, headers={**delivery.headers, name: changed}))
    assert error.status in (400, 403)


@pytest.mark.parametrize("vendor", SENT)
@given(seconds=st.integers(-10_000, 10_000))
@example(seconds=300)
@example(seconds=-301)
def test_age_counts_both_ways(vendor: str, seconds: int) -> None:
    webhook, delivery = SENT[vendor][0], sent(vendor, b"{}", at=NOW + timedelta(seconds=seconds))
    if abs(seconds) <= 300:
        assert webhook.verify(delivery)
    else:
        assert refused(webhook, delivery).status == 403


@pytest.mark.parametrize("vendor", SENT)
def test_a_missing_header_is_a_bad_request(vendor: str) -> None:
    webhook, delivery = SENT[vendor][0], sent(vendor, b"{}")
    for name in [one for one in delivery.headers if "signature" in one]:
        kept = {one: value for one, value in delivery.headers.items() if one != name}
        assert refused(webhook, dataclasses.replace(delivery, headers=kept)).status == 400


@pytest.mark.parametrize(
    "told",
    ["v1=00", "t=1793000000", "t=1793000000,v0=00", "t=,v1=00", "t=99999999999999,v1=00", "t=١٧٩٣,v1=00",
     "t=1793000000,t=1793000001,v1=00", ",,,", "=", "t=-1,v1=0"],
)  # fmt: skip
def test_a_malformed_header_of_stripe_is_a_bad_request(told: str) -> None:
    delivery = dataclasses.replace(STRIPE_VECTOR, headers={"stripe-signature": told})
    assert refused(STRIPE, delivery).status == 400


@pytest.mark.parametrize("told", ["now", "2026-10-26", "2026-10-26T05:33:20", "1793000000", "0001-01-01T00:00+14:00"])
def test_a_malformed_time_of_zendesk_is_a_bad_request(told: str) -> None:
    headers = {**ZENDESK_VECTOR.headers, "x-zendesk-webhook-signature-timestamp": told}
    assert refused(ZENDESK, dataclasses.replace(ZENDESK_VECTOR, headers=headers)).status == 400


def test_while_a_secret_is_rolled_both_open() -> None:
    rolling = sent("stripe", b'{"id":"evt_2"}', ("whsec_old", "whsec_new"))
    assert StripeWebhook(["whsec_new"]).verify(rolling) == "evt_2"
    assert StripeWebhook(["whsec_older", "whsec_old"]).verify(rolling) == "evt_2"
    assert refused(StripeWebhook(["whsec_third"]), rolling).status == 403


@pytest.mark.parametrize("vendor", SENT)
def test_refusals_quote_nothing(vendor: str) -> None:
    webhook, delivery = SENT[vendor][0], sent(vendor, b'{"id":"secret-content"}', at=NOW - timedelta(hours=1))
    foreign = sent(vendor, b'{"id":"secret-content"}', ("other",))
    for one in (delivery, foreign, dataclasses.replace(delivery, headers={})):
        message = str(refused(webhook, one))
        assert "secret-content" not in message
        assert not any(value in message for name, value in one.headers.items() if "signature" in name)
        assert not any(secret in message for secret in SENT[vendor][2])


def test_a_body_that_is_no_event_has_an_id_all_the_same() -> None:
    """It is signed, so it is the vendor's, and what it is worth is seen later."""
    for vendor in SENT:
        webhook = SENT[vendor][0]
        ids = [webhook.verify(sent(vendor, body)) for body in (b"", b"x", b"[]", b'{"id":7}')]
        assert len(set(ids)) == 4


def test_equal_bodies_of_two_triggers_are_two_deliveries() -> None:
    body = b'{"ticket_id": 7}'
    first, second = sent("zendesk", body), sent("zendesk", body, at=NOW + timedelta(seconds=1))
    assert ZENDESK.verify(first) != ZENDESK.verify(second)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"ticket_id": 35436}', Named("35436", None)),
        (b'{"ticket_id": "35436"}', Named("35436", None)),
        (
            b'{"type":"zen:event-type:ticket.created","time":"2026-11-20T10:04:11Z","detail":{"id":"7"}}',
            Named("7", datetime(2026, 11, 20, 10, 4, 11, tzinfo=UTC)),
        ),
        (b'{"type":"zen:event-type:user.created","detail":{"id":"7"}}', None),
    ],
)
def test_what_a_delivery_of_zendesk_names(body: bytes, named: Named | None) -> None:
    assert ticket_named(dataclasses.replace(ZENDESK_VECTOR, body=body)) == named


@pytest.mark.parametrize(
    "body",
    [b"", b"[7]", b'{"ticket_id": true}', b'{"ticket_id": "7/../8"}', b'{"ticket_id": "1234567890123456789012"}',
     b'{"type":"zen:event-type:ticket.created","detail":"7"}', b'{"type":"zen:event-type:ticket.created"}'],
)  # fmt: skip
def test_a_delivery_of_zendesk_that_names_no_ticket(body: bytes) -> None:
    with pytest.raises(BadRecordError):
        ticket_named(dataclasses.replace(ZENDESK_VECTOR, body=body))


@pytest.mark.parametrize("body", [b"", b"null", b'{"id":"evt_1"}', b'{"type":"invoice.paid"}', b'{"id":1,"type":2}'])
def test_a_delivery_of_stripe_that_is_no_event(body: Any) -> None:
    with pytest.raises(BadRecordError):
        event_of(dataclasses.replace(STRIPE_VECTOR, body=body))
