"""Reads fields of vendors' objects; what is missing or malformed is a bad record with its reason."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import available_timezones

from vitals.errors import BadRecordError

_ACCOUNT_ID = re.compile(r"(?:crm-)?(001[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?)")
_CHECKSUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def required(body: Any, name: str) -> Any:
    """A field that every object of its type has.

    Raises:
        BadRecordError: the body is not an object, or the field is absent or null.
    """
    value = body.get(name) if isinstance(body, Mapping) else None
    if value is None:
        raise BadRecordError(f"The object has no {name}.")
    return value


def text(value: Any) -> str | None:
    """A text field, None where it is empty or no text."""
    return value if isinstance(value, str) and value else None


def time_zone_name(value: Any) -> str | None:
    """An IANA name; None for anything else.

    >>> time_zone_name("Europe/Lisbon"), time_zone_name("Lisbon")
    ('Europe/Lisbon', None)
    """
    named = text(value)
    return named if named in available_timezones() else None


def iso_instant(value: Any, name: str) -> datetime:
    """An ISO 8601 instant in UTC, with any offset, a colon in it or not.

    >>> iso_instant("2026-11-20T10:04:11.000+0000", "CreatedDate").isoformat()
    '2026-11-20T10:04:11+00:00'
    """
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise BadRecordError(f"{name} is not an ISO 8601 instant: {value!r}.") from error
    if moment.tzinfo is None:
        raise BadRecordError(f"{name} has no offset: {value!r}.")
    return moment.astimezone(UTC)


def epoch_instant(value: Any, name: str) -> datetime:
    """An instant given as epoch seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRecordError(f"{name} is not a number of epoch seconds: {value!r}.")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise BadRecordError(f"{name} is outside the years that a date can hold: {value!r}.") from error


def decimal_value(value: Any, name: str) -> Decimal:
    """An exact decimal of a JSON number or numeric text."""
    try:
        number = Decimal(str(value))
    except InvalidOperation as error:
        raise BadRecordError(f"{name} is not a number: {value!r}.") from error
    if isinstance(value, bool) or not number.is_finite():
        raise BadRecordError(f"{name} is not a number: {value!r}.")
    return number


def iso(moment: datetime) -> str:
    """The one written form of instants in state, occurrences and properties: UTC, as short as it is exact.

    >>> iso(datetime(2026, 11, 20, 10, 4, 11, tzinfo=UTC))
    '2026-11-20T10:04:11Z'
    """
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def since(state: Mapping[str, Any]) -> datetime | None:
    """The `complete_through` of the last complete walk (entry `since`); None during the first load."""
    stored = state.get("since")
    return None if stored is None else datetime.fromisoformat(stored)


def crm_account_id(value: Any) -> str | None:
    """The 18-character Salesforce account id in a vendor's own field, None where it does not hold one.

    >>> crm_account_id("crm-0015e00000AaBbC")
    '0015e00000AaBbCAAV'
    >>> crm_account_id("a private person") is None
    True
    """
    match = _ACCOUNT_ID.fullmatch(value) if isinstance(value, str) else None
    return full_id(match.group(1)) if match else None


def full_id(salesforce_id: str) -> str:
    """The 18-character form of a Salesforce id: its last three characters tell the case of the first fifteen."""
    if len(salesforce_id) != 15:
        return salesforce_id
    suffix = ""
    for start in (0, 5, 10):
        capitals = sum(1 << place for place, letter in enumerate(salesforce_id[start : start + 5]) if letter.isupper())
        suffix += _CHECKSUM[capitals]
    return salesforce_id + suffix


def account_identity(crm_id: str) -> str:
    """The identity of an account by its id in the CRM."""
    return f"crm:account:{crm_id}"
