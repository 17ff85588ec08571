"""What vendors' signatures have in common: required headers, an age, a comparison in constant time. Pure.

No message here quotes a header, a secret or the body: refusals are logged.
"""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import orjson

from connectors.contract import Delivery, RefusedDeliveryError

TOLERANCE = timedelta(seconds=300)
"""How far a signature's time may be from the receipt, either way."""


def header(delivery: Delivery, name: str) -> str:
    """The value of a header, whose name is given as the vendor writes it.

    Raises:
        RefusedDeliveryError: the header is missing or empty, or is no text that can be signed (400).
    """
    value = delivery.headers.get(name.lower(), "")
    if not value:
        raise RefusedDeliveryError(400, f"The header {name} is missing.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RefusedDeliveryError(400, f"The header {name} is not text.") from None
    return value


def require_recent(signed_at: datetime, delivery: Delivery, tolerance: timedelta = TOLERANCE) -> None:
    """Checks the age of a signature that has been found right or will be checked next.

    Raises:
        RefusedDeliveryError: it was signed too long ago, or lies too far ahead (403).
    """
    if abs(delivery.received_at - signed_at) > tolerance:
        raise RefusedDeliveryError(
            403, f"The signature's time is more than {int(tolerance.total_seconds())} seconds from ours."
        )


def require_match(given: Iterable[str], expected: Iterable[str]) -> None:
    """Checks that one of the signatures given is one of those expected, comparing every pair in constant time.

    Raises:
        RefusedDeliveryError: none is (403).
    """
    wanted = [one.encode() for one in expected]
    # Every pair is compared, so that the time tells nothing of which secret or signature is near.
    matches = [hmac.compare_digest(one.encode(), want) for one in given for want in wanted]
    if not any(matches):
        raise RefusedDeliveryError(403, "The signature is not one of this webhook's secret.")


def body_digest(*parts: bytes) -> str:
    """The id of a delivery that has none of its own, made of what its vendor signed."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def json_object(body: bytes) -> dict[str, Any] | None:
    """The body as a JSON object; None where it is none."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None
