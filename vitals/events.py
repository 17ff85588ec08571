"""The canonical event and the deterministic ids that make delivery idempotent."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

EVENT_NAMESPACE = UUID("7d0c1f0e-5a3b-5c7e-9d64-0a5f6b1c2e01")
ACCOUNT_NAMESPACE = UUID("7d0c1f0e-5a3b-5c7e-9d64-0a5f6b1c2e02")


def event_id(source: str, object_type: str, source_id: str, kind: str, occurrence: str = "") -> str:
    """The id of one occurrence, the same whenever and however often it is fetched.

    `occurrence` is what makes it unique among occurrences of the same kind on the same object, such as the
    transition's own time or the vendor's insert id.

    >>> event_id("zendesk", "ticket", "35436", "support.ticket_opened")
    '34c76802-34e1-573b-b8f3-8c4a9b075175'
    """
    return str(uuid5(EVENT_NAMESPACE, "\x1f".join((source, object_type, source_id, kind, occurrence))))


def account_id(identity: str) -> str:
    """The account's id from the CRM's identity of it, or from the first source's where there is no CRM.

    >>> account_id("crm:account:0015e00000AaBbCAAV")
    '431e271e-e83c-5848-a23d-7f5f8d92d9be'
    """
    return str(uuid5(ACCOUNT_NAMESPACE, identity))


def user_pseudonym(key: bytes, source_user: str) -> str:
    """A person's keyed pseudonym (HMAC-SHA256, 32 hex digits): stable, and meaningless without the key."""
    return hmac.new(key, source_user.encode(), hashlib.sha256).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that one account did. Fields as in `schemas/avro/Event.avsc`."""

    event_id: str
    account_id: str
    kind: str
    source: str
    event_time: datetime
    ingested_at: datetime
    user_id: str | None = None
    value: Decimal | None = None
    properties: Mapping[str, str] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """The event as an Avro record."""
        return {
            "event_id": self.event_id,
            "account_id": self.account_id,
            "user_id": self.user_id,
            "kind": self.kind,
            "source": self.source,
            "event_time": self.event_time,
            "ingested_at": self.ingested_at,
            "value": self.value,
            "properties": dict(self.properties),
        }
