"""Zendesk's webhooks over a simulated world: an event for each ticket that is opened or solved."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from connectors.simulation.stage import Simulation
from connectors.simulation.support_records import ticket
from connectors.simulation.vendor_webhooks import Notice, VendorWebhooks
from connectors.zendesk.credentials import WEBHOOK_SECRET
from connectors.zendesk.simulator import versions_of

_ACCOUNT_ID = 12514403
_WEBHOOK_ID = "01JD7W2B5TQ7W1Q7K2N0HOOK01"


class ZendeskWebhooks(VendorWebhooks):
    """A few more attempts after an answer that asks for them, or after none."""

    name = "zendesk"
    attempts = 6

    def secrets(self) -> tuple[str, ...]:
        """A webhook has one secret."""
        return (WEBHOOK_SECRET,)

    def notices(self, simulation: Simulation, first: int, last: int) -> list[Notice]:
        """One event for each version of a ticket."""
        world = simulation.world
        versions = versions_of(simulation, world)
        found = []
        for version in versions.begun(first, last):
            shown = ticket(world, versions, version, "")
            event = _event(shown, created=shown["created_at"] == shown["updated_at"])
            found.append(Notice(event["id"], int(versions.since[version]), event))
        return found

    def headers(self, body: bytes, url: str, secrets: Sequence[str], signed_at: float) -> dict[str, str]:
        """The signature in one header, its time in another."""
        del url
        told_at = datetime.fromtimestamp(int(signed_at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        mac = hmac.new(secrets[0].encode(), told_at.encode() + body, hashlib.sha256).digest()
        return {
            "content-type": "application/json; charset=utf-8",
            "user-agent": "Zendesk Webhook",
            "x-zendesk-account-id": str(_ACCOUNT_ID),
            "x-zendesk-webhook-id": _WEBHOOK_ID,
            "x-zendesk-webhook-signature": base64.b64encode(mac).decode(),
            "x-zendesk-webhook-signature-timestamp": told_at,
        }

    def retried(self, status: int | None) -> bool:
        """No answer, and those that ask for another attempt."""
        return status is None or status in (409, 429) or status >= 500


def _event(shown: dict[str, Any], *, created: bool) -> dict[str, Any]:
    """In events ids are text and enumerations in capitals, unlike the API's."""
    status = shown["status"].upper()
    kind = "ticket.created" if created else "ticket.status_changed"
    number = hashlib.sha256(f"{shown['id']}:{kind}:{shown['updated_at']}".encode()).digest()
    sequence = {"id": number[16:32].hex().upper(), "position": 1, "total": 1}
    changed = {} if created else {"current": status, "previous": "OPEN"}
    return {
        "type": f"zen:event-type:{kind}",
        "account_id": _ACCOUNT_ID,
        "id": f"01{base64.b32hexencode(number[:15]).decode()}",
        "time": shown["updated_at"],
        "zendesk_event_version": "2022-11-06",
        "subject": f"zen:ticket:{shown['id']}",
        "detail": {
            "id": str(shown["id"]),
            "status": status,
            "priority": shown["priority"].upper(),
            "organization_id": str(shown["organization_id"]),
            "requester_id": str(shown["requester_id"]),
            "assignee_id": str(shown["assignee_id"]),
            "created_at": shown["created_at"],
            "updated_at": shown["updated_at"],
            "via": shown["via"],
        },
        "event": {**changed, "meta": {"sequence": sequence}},
    }


WEBHOOKS = ZendeskWebhooks()
