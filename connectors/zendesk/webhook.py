"""Zendesk's webhooks: the signature of its two headers, and the ticket that a delivery names. Pure.

A delivery is an event (`zen:event-type:ticket.*`) or the body of a trigger, which the Zendesk administrator writes: it
names its ticket as `ticket_id`.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connectors.contract import Delivery, RefusedDeliveryError, Webhook
from connectors.fields import text
from connectors.webhooks.signatures import body_digest, header, json_object, require_match, require_recent
from vitals.errors import BadRecordError

SIGNATURE = "X-Zendesk-Webhook-Signature"
SIGNED_AT = "X-Zendesk-Webhook-Signature-Timestamp"

_EVENT = "zen:event-type:"
_TICKET_EVENT = f"{_EVENT}ticket."
_LONGEST_ID = 20


def signature(secret: str, signed_at: str, body: bytes) -> str:
    """The signature of a body, which may be empty.

    >>> signature(
    ...     "zd-demo-secret",
    ...     "2026-10-26T05:33:20Z",
    ...     b'{"type":"zen:event-type:ticket.status_changed","id":"evt-1"}',
    ... )
    'qfXU06eEaf/iCcFOSQIHEHQFmsWe7lmw1yRXgDT1FTE='
    """
    digest = hmac.new(secret.encode(), signed_at.encode() + body, hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


class ZendeskWebhook(Webhook):
    """Zendesk sets no limit to a signature's age; ours is that of the other vendors."""

    source = "zendesk"

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def verify(self, delivery: Delivery) -> str:
        """The event's id, or what stands for it where the body has none. Raises as the contract says."""
        given, signed_at = header(delivery, SIGNATURE), header(delivery, SIGNED_AT)
        require_recent(_instant(signed_at), delivery)
        require_match((given,), (signature(self._secret, signed_at, delivery.body),))
        found = json_object(delivery.body)
        if found is not None and (event_id := text(found.get("id"))) and _is_event(found):
            return event_id
        # Two triggers on one ticket may send equal bodies; then the time tells them apart.
        return body_digest(signed_at.encode(), delivery.body)


@dataclass(frozen=True, slots=True)
class Named:
    """The ticket that a delivery names, and when it changed, where the delivery says so."""

    ticket_id: str
    changed_at: datetime | None


def ticket_named(delivery: Delivery) -> Named | None:
    """The ticket of a verified delivery; None where it is an event of something else.

    Raises:
        BadRecordError: the body names nothing.
    """
    body = json_object(delivery.body)
    if body is None:
        raise BadRecordError("The delivery's body is no JSON object.")
    if not _is_event(body):
        return Named(_ticket_id(body.get("ticket_id")), None)
    if not str(body["type"]).startswith(_TICKET_EVENT):
        return None
    detail = body.get("detail")
    return Named(_ticket_id(detail.get("id") if isinstance(detail, dict) else None), _told_instant(body.get("time")))


def _is_event(body: dict[str, Any]) -> bool:
    return (text(body.get("type")) or "").startswith(_EVENT)


def _ticket_id(value: Any) -> str:
    """An id as digits: in events ids are text, in triggers whatever the administrator wrote."""
    written = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not (written.isascii() and written.isdigit() and len(written) <= _LONGEST_ID):
        raise BadRecordError("The delivery names no ticket: an event has detail.id, a trigger's body ticket_id.")
    return written


def _told_instant(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
        return None if moment.tzinfo is None else moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def _instant(signed_at: str) -> datetime:
    moment = _told_instant(signed_at)
    if moment is None:
        raise RefusedDeliveryError(400, f"{SIGNED_AT} is no ISO 8601 instant.")
    return moment
