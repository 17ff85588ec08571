"""HubSpot's webhook requests: their signatures, and the objects that their events name. Pure."""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from connectors.contract import Delivery, RefusedDeliveryError, Webhook
from connectors.hubspot.accounts import is_id
from connectors.webhooks.signatures import header
from vitals.errors import BadRecordError

LONGEST_AGE_MS = 300_000

_SIGNATURE_V3 = "x-hubspot-signature-v3"
_SENT_AT = "x-hubspot-request-timestamp"
_SIGNATURE = "x-hubspot-signature"
_VERSION = "x-hubspot-signature-version"

# The escapes that HubSpot decodes in an address before it signs it.
_DECODED = re.compile("%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)
_OCCURRENCE = ("portalId", "subscriptionId", "objectId", "occurredAt", "propertyName", "eventId")


class HubSpotWebhook(Webhook):
    """Signatures of an app. `versions` are those accepted: `v3` always, `v2` and `v1` only where they are named.

    The old versions sign no time, so whoever once saw such a request can send it again.
    """

    source = "hubspot"

    def __init__(self, client_secret: str, versions: Iterable[str] = ("v3",)) -> None:
        self._secret = client_secret
        self._versions = frozenset(versions)

    def verify(self, delivery: Delivery) -> str:
        """See `Webhook.verify`. A v3 signature is checked whenever there is one, whatever the version header says."""
        if _SIGNATURE_V3 in delivery.headers:
            self._verify_v3(delivery)
        else:
            self._verify_older(delivery)
        return delivery_id(delivery.body)

    def _verify_v3(self, delivery: Delivery) -> None:
        sent_at = delivery.headers.get(_SENT_AT, "")
        if not (sent_at.isascii() and sent_at.isdigit()):
            raise RefusedDeliveryError(400, f"The header {_SENT_AT} is missing or no epoch time.")
        if delivery.received_at.timestamp() * 1000 - int(sent_at) > LONGEST_AGE_MS:
            raise RefusedDeliveryError(401, "The request is older than five minutes.")
        expected = []
        # The list of decoded escapes is not certain, so the address as it is counts too.
        for url in (decoded(delivery.url), delivery.url):
            signed = f"{delivery.method}{url}".encode() + delivery.body + sent_at.encode()
            expected.append(base64.b64encode(hmac.digest(self._secret.encode(), signed, "sha256")).decode())
        _require_equal(header(delivery, _SIGNATURE_V3), expected)

    def _verify_older(self, delivery: Delivery) -> None:
        version = delivery.headers.get(_VERSION, "v1")
        if _SIGNATURE not in delivery.headers or version not in ("v1", "v2") or version not in self._versions:
            raise RefusedDeliveryError(400, f"The header {_SIGNATURE_V3} is missing.")
        secret = self._secret.encode()
        signed = secret + (f"{delivery.method}{delivery.url}".encode() if version == "v2" else b"") + delivery.body
        _require_equal(header(delivery, _SIGNATURE), [hashlib.sha256(signed).hexdigest()])


def decoded(url: str) -> str:
    """An address as HubSpot signs it."""
    return _DECODED.sub(lambda found: chr(int(found.group(1), 16)), url)


def delivery_id(body: bytes) -> str:
    """The same for the same events, in whichever order and attempt they come; HubSpot's `eventId` is not unique."""
    try:
        events = _events(body)
    except BadRecordError:
        return hashlib.sha256(body).hexdigest()
    occurrences = sorted(orjson.dumps([event.get(name) for name in _OCCURRENCE]) for event in events)
    return hashlib.sha256(b"\n".join(occurrences)).hexdigest()


def objects_named(deliveries: Sequence[Delivery], singular: str, type_id: str) -> list[str]:
    """Ids of the objects of one type that events name, each once; of a merge, the one that goes on.

    Raises:
        BadRecordError: a body is no list of events, or an empty one.
    """
    named: dict[str, None] = {}
    for delivery in deliveries:
        events = _events(delivery.body)
        if not events:
            raise BadRecordError("The delivery holds no event.")
        for event in events:
            kind, _, verb = str(event.get("subscriptionType", "")).partition(".")
            if kind != singular and not (kind == "object" and event.get("objectTypeId") == type_id):
                continue
            for name in _naming(verb, singular, event):
                if is_id(event.get(name)):
                    named.setdefault(str(event[name]))
                    break
    return list(named)


def _naming(verb: str, singular: str, event: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields that may name the object, the surest first."""
    if verb == "merge":
        return ("newObjectId", "primaryObjectId", "objectId")
    if verb == "associationChange":
        # DEAL_TO_COMPANY names the deal first.
        near = str(event.get("associationType", "")).lower().startswith(f"{singular}_")
        return ("fromObjectId", "objectId") if near else ("toObjectId", "objectId")
    return ("objectId",)


def _events(body: bytes) -> list[Mapping[str, Any]]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRecordError("The delivery is not JSON.") from error
    if not isinstance(found, list) or not all(isinstance(event, dict) for event in found):
        raise BadRecordError("The delivery is no list of events.")
    return found


def _require_equal(given: str, expected: Sequence[str]) -> None:
    equal = [hmac.compare_digest(given.encode(), one.encode()) for one in expected]
    if not any(equal):
        raise RefusedDeliveryError(401, "The signature is not that of this app's client secret.")
