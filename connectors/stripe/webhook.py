"""Stripe's webhooks: the signature of `Stripe-Signature`, and the event that a delivery brings. Pure.

The signature is checked here and not by the library `stripe`: it is one HMAC, and the library would have to be told of
the receipt's time and of several secrets, which it takes from the machine's clock and one at a time. The tests
check what the simulator signs with the library.
"""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from connectors.contract import Delivery, RefusedDeliveryError, Webhook
from connectors.fields import text
from connectors.webhooks.signatures import body_digest, header, json_object, require_match, require_recent
from vitals.errors import BadRecordError

HEADER = "Stripe-Signature"
SCHEME = "v1"


def signature(secret: str, signed_at: str, body: bytes) -> str:
    """The `v1` signature of a body: the secret is used as it is shown, with its prefix.

    >>> signature("whsec_demo_0001", "1793000000", b'{"id":"evt_1","n":1}')
    'c413748a0e723b72ef0bbe9db02e134376a3a212c26b402df27cc9fd31f65cdd'
    """
    return hmac.new(secret.encode(), signed_at.encode() + b"." + body, hashlib.sha256).hexdigest()


class StripeWebhook(Webhook):
    """Any of the secrets opens: while one is rolled, Stripe signs with both."""

    source = "stripe"

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = tuple(secrets)

    def verify(self, delivery: Delivery) -> str:
        """The event's id. Raises `RefusedDeliveryError` as the contract says."""
        pairs = [part.strip().split("=", 1) for part in header(delivery, HEADER).split(",") if "=" in part]
        times = [value for scheme, value in pairs if scheme == "t"]
        given = [value for scheme, value in pairs if scheme == SCHEME]
        if len(times) != 1 or not given:
            raise RefusedDeliveryError(400, f"{HEADER} has not one time and a signature of the scheme {SCHEME}.")
        require_recent(_instant(times[0]), delivery)
        require_match(given, (signature(secret, times[0], delivery.body) for secret in self._secrets))
        found = json_object(delivery.body)
        return (text(found.get("id")) if found else None) or body_digest(delivery.body)


def event_of(delivery: Delivery) -> dict[str, Any]:
    """The event that a verified delivery brings.

    Raises:
        BadRecordError: the body is no event.
    """
    event = json_object(delivery.body)
    if event is None or text(event.get("id")) is None or text(event.get("type")) is None:
        raise BadRecordError("The delivery's body is no event of Stripe.")
    return event


def _instant(signed_at: str) -> datetime:
    # Ten digits hold until the year 2286; more would overflow a date.
    if not (signed_at.isascii() and signed_at.isdigit() and len(signed_at) <= 10):
        raise RefusedDeliveryError(400, f"The time in {HEADER} is no epoch second.")
    return datetime.fromtimestamp(int(signed_at), UTC)
