"""Mixpanel events to canonical events. Pure."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from connectors.contract import Mapped, MappedEvent, RawObject
from connectors.fields import account_identity, crm_account_id, decimal_value, required, text
from vitals.errors import BadRecordError

FEATURE_USED = "Feature Used"
OBJECT_TYPE = "event"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Seconds reach this in the year 5138, milliseconds did in 1973.
_FIRST_MILLISECONDS = 10**11
# Properties that became fields of the event, or that only Mixpanel's own machinery reads.
_TAKEN = frozenset({"time", "distinct_id", "company_id", "lines_changed"})


def map_event(raw: RawObject, zone: ZoneInfo | None) -> Mapped:
    """One exported event. `zone` is given for projects made before 2023, whose times are the zone's wall clock.

    `Feature Used` becomes `product.feature_used`, whose value is `lines_changed`; every other event becomes
    `product.event_tracked` with its name as property `event`.

    Raises:
        BadRecordError: the line is not an event, or has no name, time or distinct_id.
    """
    if not isinstance(raw.body, Mapping):
        raise BadRecordError("The line is not a JSON object.")
    name = required(raw.body, "event")
    properties = required(raw.body, "properties")
    if not isinstance(name, str) or not isinstance(properties, Mapping):
        raise BadRecordError("The line is not an event with a name and properties.")
    person = str(required(properties, "distinct_id"))
    time = required(properties, "time")
    used = name == FEATURE_USED
    return Mapped(
        events=(
            MappedEvent(
                kind="product.feature_used" if used else "product.event_tracked",
                object_type=OBJECT_TYPE,
                source_id=insert_id(raw.body),
                event_time=event_time(time, zone),
                account_ref=_account(text(properties.get("company_id"))),
                # Mixpanel's own key: `$insert_id` alone is unique neither over users nor over days.
                occurrence="|".join((name, person, str(time))),
                user=person,
                value=_value(properties) if used else None,
                properties=_texts(properties) | ({} if used else {"event": name}),
            ),
        )
    )


def insert_id(event: Mapping[str, Any]) -> str:
    """`$insert_id`, or for old imports without one a hash of everything that the event says."""
    properties = event.get("properties")
    given = properties.get("$insert_id") if isinstance(properties, Mapping) else None
    if isinstance(given, str) and given:
        return given
    return hashlib.sha256(orjson.dumps(event, option=orjson.OPT_SORT_KEYS)).hexdigest()[:36]


def event_time(value: Any, zone: ZoneInfo | None) -> datetime:
    """The instant of a `time` in seconds or milliseconds; with `zone` it counts that zone's wall clock."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRecordError(f"time is not a number: {value!r}.")
    milliseconds = value if value >= _FIRST_MILLISECONDS else value * 1000
    try:
        moment = _EPOCH + timedelta(milliseconds=milliseconds)
    except (OverflowError, ValueError) as error:
        raise BadRecordError(f"time is outside the years that a date can hold: {value!r}.") from error
    return moment.replace(tzinfo=zone).astimezone(UTC) if zone else moment


def _account(company: str | None) -> str | None:
    """The CRM's account that the company is named by, else Mixpanel's own name of it."""
    crm_id = crm_account_id(company)
    if crm_id:
        return account_identity(crm_id)
    return f"mixpanel:company:{company}" if company else None


def _value(properties: Mapping[str, Any]) -> Decimal | None:
    lines = properties.get("lines_changed")
    return None if lines is None else decimal_value(lines, "lines_changed")


def _texts(properties: Mapping[str, Any]) -> dict[str, str]:
    """The sender's own properties as text; nested ones and Mixpanel's (`$…`, `mp_…`) stay in the raw object."""
    return {
        name: value if isinstance(value, str) else orjson.dumps(value).decode()
        for name, value in properties.items()
        if name not in _TAKEN and not name.startswith(("$", "mp_")) and isinstance(value, str | int | float | bool)
    }
