"""Amplitude events to canonical events. Pure."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

from connectors.contract import Mapped, MappedEvent, RawObject
from connectors.fields import account_identity, crm_account_id, decimal_value, required, text
from vitals.errors import BadRecordError

FEATURE_USED = "Feature Used"
OBJECT_TYPE = "event"
LINES_CHANGED = "lines_changed"

_INSTANT_LENGTH = len("2026-11-19 17:01:58.120000")
# They set properties of a user or a group; nobody did anything.
_NO_ACTIONS = frozenset({"$identify", "$groupidentify"})


def map_event(raw: RawObject) -> Mapped:
    """One exported event.

    `Feature Used` becomes `product.feature_used`, whose value is `lines_changed`; every other event becomes
    `product.event_tracked` with its name as property `event`.

    Raises:
        BadRecordError: the line is not an event, or has no event_type or event_time.
    """
    body = raw.body
    if not isinstance(body, Mapping):
        raise BadRecordError("The line is not a JSON object.")
    name = required(body, "event_type")
    if not isinstance(name, str):
        raise BadRecordError(f"event_type is not a text: {name!r}.")
    moment, quality = event_time(body)
    if name in _NO_ACTIONS:
        return Mapped()
    used = name == FEATURE_USED
    own = _mapping(body, "event_properties")
    source_id, occurrence = occurrence_of(body, name)
    return Mapped(
        events=(
            MappedEvent(
                kind="product.feature_used" if used else "product.event_tracked",
                object_type=OBJECT_TYPE,
                source_id=source_id,
                event_time=moment,
                account_ref=account_ref(body),
                occurrence=occurrence,
                user=text(body.get("user_id")) or text(body.get("device_id")),
                value=_value(own) if used else None,
                properties=_texts(own) | quality | ({} if used else {"event": name}),
            ),
        )
    )


def stored_id(event: Mapping[str, Any]) -> str:
    """`uuid`, unique to each stored event; where there is none, a hash of everything that the event says."""
    return text(event.get("uuid")) or hashlib.sha256(orjson.dumps(event, option=orjson.OPT_SORT_KEYS)).hexdigest()[:36]


def occurrence_of(event: Mapping[str, Any], name: str) -> tuple[str, str]:
    """Source id and occurrence: what makes the event the same in every export, and in every upload of it.

    A sender that got no answer uploads again. Amplitude drops what comes again with the `$insert_id` of the device
    within seven days; later, it is stored once more under a `uuid` of its own. So the sender's key decides where it
    gave one: `$insert_id`, device, name and the device's own time, none of which another upload changes (`event_time`
    is corrected at each upload). A sender that uses one `$insert_id` for many events is not believed: they differ in
    name or time. Without `$insert_id` the `uuid` decides, which is the same in every export.
    """
    insert_id = text(event.get("$insert_id"))
    if insert_id is None:
        return stored_id(event), ""
    sender = text(event.get("device_id")) or text(event.get("user_id")) or ""
    sent = text(event.get("client_event_time")) or str(event.get("event_time"))
    return insert_id, "|".join((name, sender, sent))


def event_time(event: Mapping[str, Any]) -> tuple[datetime, dict[str, str]]:
    """When it happened, and a property that says so where that is not what Amplitude tells.

    `event_time` is the device's time corrected by how far its clock was from the server's at the upload. Senders that
    name a time to come, and clocks a little ahead, are not corrected: what the server has received has happened.
    """
    told, received = required(event, "event_time"), event.get("server_received_time")
    moment = utc_instant(told, "event_time")
    if received is None or _plainly_before(told, received):
        return moment, {}
    latest = utc_instant(received, "server_received_time")
    return (moment, {}) if moment <= latest else (latest, {"event_time_of": "receipt"})


def _plainly_before(one: Any, other: Any) -> bool:
    """Whether two texts of Amplitude's usual form are in this order: cheaper than reading the second."""
    return (
        isinstance(other, str) and len(one) == len(other) == _INSTANT_LENGTH and one[10] == other[10] and one <= other
    )


def utc_instant(value: Any, name: str) -> datetime:
    """An instant of the form `2026-11-19 17:01:58.120000`, which is UTC and does not say so."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise BadRecordError(f"{name} is not an instant: {value!r}.") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def account_ref(event: Mapping[str, Any]) -> str | None:
    """The account by the group `company`, else by the user property `company_id`.

    Who acts for several companies at once names no account: the event waits in quarantine under all of their names.
    """
    companies = _mapping(event, "groups").get("company")
    names = [one for one in companies if one] if isinstance(companies, list) else [companies] if companies else []
    if not names:
        names = [_mapping(event, "user_properties").get("company_id")]
    given = sorted({str(one) for one in names if isinstance(one, str | int) and one not in ("", True, False)})
    if len(given) != 1:
        return ", ".join(given) or None
    crm_id = crm_account_id(given[0])
    return account_identity(crm_id) if crm_id else given[0]


def _mapping(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = event.get(name)
    return value if isinstance(value, dict) else {}


def _value(properties: Mapping[str, Any]) -> Decimal | None:
    lines = properties.get(LINES_CHANGED)
    return None if lines is None else decimal_value(lines, LINES_CHANGED)


def _texts(properties: Mapping[str, Any]) -> dict[str, str]:
    """The sender's own properties as text; nested ones stay in the raw object."""
    return {
        name: value if isinstance(value, str) else orjson.dumps(value).decode()
        for name, value in properties.items()
        if name != LINES_CHANGED and isinstance(value, str | int | float | bool)
    }
