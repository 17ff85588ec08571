"""How Intercom signs its notifications. The scheme has no time in it: see `MAX_AGE`."""

import hashlib
import hmac
from datetime import timedelta
from typing import Any

import orjson

from connectors.contract import Delivery, RefusedDeliveryError, Webhook
from connectors.webhooks.signatures import header

SIGNATURE = "X-Hub-Signature"

MAX_AGE = timedelta(hours=1)
"""Nothing signed tells when a request was sent, so a recorded one could be sent again for ever. Against that stand the
notification's own id, which is remembered for a while, and its `created_at`, which must not be older than this: a
failed delivery is repeated after a minute, and one that a pause of the topic held up after a quarter of an hour."""

MAX_AHEAD = timedelta(minutes=5)
"""How far the vendor's clock may go before this one."""


class IntercomWebhook(Webhook):
    """HMAC-SHA1 of the raw body with the app's client secret."""

    source = "intercom"

    def __init__(self, client_secret: str) -> None:
        self._secret = client_secret.encode()

    def verify(self, delivery: Delivery) -> str:
        """Checks the signature, and the age where the notification tells it; returns the notification's id.

        A notification without an id (the ping after a registration) is known by its body.
        """
        given = header(delivery, SIGNATURE)
        expected = "sha1=" + hmac.new(self._secret, delivery.body, hashlib.sha1).hexdigest()
        if not hmac.compare_digest(given.encode(), expected.encode()):
            raise RefusedDeliveryError(
                401, "The signature is not that of the body: check VITALS_INTERCOM_CLIENT_SECRET."
            )
        notification = notification_of(delivery.body)
        created_at = notification.get("created_at")
        if isinstance(created_at, int | float) and not isinstance(created_at, bool):
            age = delivery.received_at.timestamp() - created_at
            if age > MAX_AGE.total_seconds():
                raise RefusedDeliveryError(403, "The notification is too old.")
            if age < -MAX_AHEAD.total_seconds():
                raise RefusedDeliveryError(403, "The notification's time has not come yet: check the clock here.")
        return str(notification.get("id") or hashlib.sha256(delivery.body).hexdigest())


def notification_of(body: bytes) -> dict[str, Any]:
    """The notification in a request's body.

    Raises:
        RefusedDeliveryError: 400, the body is no JSON object.
    """
    try:
        notification = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RefusedDeliveryError(400, "The body is not JSON.") from error
    if not isinstance(notification, dict):
        raise RefusedDeliveryError(400, "The body is not a notification.")
    return notification
