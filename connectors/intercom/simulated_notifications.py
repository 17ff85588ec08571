"""Notifications as Intercom sends them, signed with the client secret of the simulated app."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import orjson

from connectors.intercom import demo
from connectors.intercom.simulated_records import APP_ID, uuid_of


def notification(topic: str, item: Mapping[str, Any], at: int, attempts: int = 1) -> dict[str, Any]:
    """A notification of something that happened to `item` at an epoch second; each attempt to deliver it has one id."""
    return {
        "type": "notification_event",
        "app_id": APP_ID,
        "id": "notif_" + uuid_of(f"notification:{topic}:{item.get('id')}:{at}"),
        "topic": topic,
        "data": {"type": "notification_event_data", "item": dict(item)},
        "links": {},
        "delivery_status": "pending" if attempts == 1 else "retry",
        "delivery_attempts": attempts,
        "delivered_at": 0,
        "first_sent_at": at,
        "created_at": at,
        "self": None,
    }


def ping(at: int) -> dict[str, Any]:
    """What is sent when an address is registered; it has no id."""
    item = {"type": "ping", "message": "something something interzen"}
    return {**notification("ping", item, at), "id": None}


def signed(told: Mapping[str, Any], secret: str = demo.CLIENT_SECRET) -> tuple[dict[str, str], bytes]:
    """Headers, with names in lower case, and body of the request that delivers a notification."""
    body = orjson.dumps(told)
    signature = hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()
    return {"content-type": "application/json", "x-hub-signature": f"sha1={signature}"}, body
