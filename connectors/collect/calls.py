"""Segment's calls: what is valid, and what each means. Pure.

Source: Segment's HTTP Tracking API and its specification of `track`, `identify`, `group` and `page`.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from connectors.account_facts import BY_NAME, PERSON, VALUE, FactError, checked
from connectors.collect.connector import NAME, STREAM
from connectors.contract import Mapped, MappedEvent, RawObject, State
from connectors.fates import SetAside
from connectors.fields import account_identity, crm_account_id, decimal_value, iso, iso_instant
from vitals.errors import BadRecordError
from vitals.events import event_id

FEATURE_USED = "Feature Used"
PAGE_EVENT = "Loaded a Page"
"""The name that Segment itself gives a page call where a destination knows only events."""

KINDS: Mapping[str, str] = {
    "track": "product.event_tracked",
    "identify": "product.user_identified",
    "group": "product.group_identified",
    "page": "product.event_tracked",
}
GROUP = "group/"
"""Prefix of the state entries that hold the company of a person's last `group` call, by the person's pseudonym."""

LARGEST_CALL_BYTES = 32 * 1024
LONGEST_TEXT = 255
FURTHEST_AHEAD = timedelta(days=1)
LARGEST_VALUE = Decimal(10**18)

_IDENTITY_PREFIX = "crm:account:"
# They became the event's account and value.
_COMPANY = frozenset({"company_id", "groupId"})
_VALUE = ("lines_changed", "value")

Pseudonym = Callable[[str], str]


class InvalidCallError(BadRecordError):
    """A call that is not Segment's: the field and what is wrong with it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


def read_call(
    call_type: str | None, value: Any, received_at: datetime, shared: Mapping[str, Any], new_id: Callable[[], str]
) -> RawObject:
    """A call as a raw object: as it was sent, without its write key, with its type, id and time of receipt.

    `call_type` None takes it from the call's own `type`. `shared` is a batch, whose `sentAt` and `context` hold for
    its calls too. What only `map_call` looks at is not checked here.

    Raises:
        InvalidCallError: not a call, or too large.
    """
    if not isinstance(value, dict):
        raise InvalidCallError("call", "must be a JSON object")
    if len(orjson.dumps(value)) > LARGEST_CALL_BYTES:
        raise InvalidCallError("call", f"is larger than {LARGEST_CALL_BYTES} bytes")
    kind = call_type or value.get("type")
    if not isinstance(kind, str) or kind not in KINDS:
        raise InvalidCallError("type", f"must be one of {', '.join(KINDS)}")
    message_id = _text(value, "messageId") or new_id()
    body = {name: given for name, given in value.items() if name != "writeKey"}
    body |= {"type": kind, "messageId": message_id, "receivedAt": iso(received_at)}
    if body.get("sentAt") is None and shared.get("sentAt") is not None:
        body["sentAt"] = shared["sentAt"]
    if shared.get("context") is not None:
        body["context"] = {**_object(shared, "context"), **_object(value, "context")}
    return RawObject(kind, message_id, body)


def map_call(raw: RawObject, state: State, pseudonym: Pseudonym, *, correct_skew: bool) -> Mapped:
    """The one event of a call, and for a `group` call the company that it gives the person from now on.

    Raises:
        InvalidCallError: a field is missing or malformed.
    """
    call = raw.body
    user, anonymous = _text(call, "userId"), _text(call, "anonymousId")
    people = [pseudonym(person) for person in (user, anonymous) if person is not None]
    if not people:
        raise InvalidCallError("userId", "is required where there is no anonymousId")
    traits = _object(call, "properties" if raw.object_type in ("track", "page") else "traits")
    kind, value = KINDS[raw.object_type], None
    properties = texts(traits)
    updates: dict[str, Any] = {}
    if raw.object_type == "group":
        company: Any = _required(call, "groupId")
        updates = {f"{GROUP}{person}": company for person in people}
    else:
        company = _company(call, traits) or next(
            (state[f"{GROUP}{person}"] for person in people if f"{GROUP}{person}" in state), None
        )
    if raw.object_type == "track":
        name = _required(call, "event")
        if name == FEATURE_USED:
            kind = "product.feature_used"
            value = _value(traits)
            properties = {name: text for name, text in properties.items() if name not in _VALUE}
            properties["feature"] = _required(traits, "feature", "properties.feature")
        else:
            properties["event"] = name
        fact = BY_NAME.get(name)
        if fact is not None:
            # Others may hold what a person wrote or is called; they stay in the raw object.
            kind, value = fact.kind, _number(traits, VALUE)
            properties = {name: text for name, text in properties.items() if name in fact.properties}
    elif raw.object_type == "page":
        properties["event"] = PAGE_EVENT
        if (page := _text(call, "name")) is not None:
            properties["page"] = page
    event = MappedEvent(
        kind=kind,
        object_type=raw.object_type,
        source_id=raw.source_id,
        event_time=event_time(call, correct_skew=correct_skew),
        account_ref=None if company is None else identity(company),
        user=user or anonymous,
        value=value,
        properties=properties,
    )
    try:
        return Mapped(events=(checked(event),), state=updates)
    except FactError as error:
        field = "userId" if error.field == PERSON else f"properties.{error.field}"
        raise InvalidCallError(field, error.reason) from error


def event_time(call: Mapping[str, Any], *, correct_skew: bool) -> datetime:
    """Segment's rule: receivedAt - (sentAt - originalTimestamp), else `timestamp`, else the time of receipt.

    The correction assumes that the client's clock and ours tell the same time but for an error; with a simulated
    source clock they do not, and the client's timestamp is taken as it is.
    """
    received_at = iso_instant(call["receivedAt"], "receivedAt")
    original, sent, given = (_instant(call, name) for name in ("originalTimestamp", "sentAt", "timestamp"))
    moment = given or original or received_at
    if correct_skew and original is not None and sent is not None:
        try:
            moment = received_at - (sent - original)
        except OverflowError as error:
            raise InvalidCallError("sentAt", "lies too far from originalTimestamp") from error
    if moment > received_at + FURTHEST_AHEAD:
        raise InvalidCallError("timestamp", f"is more than a day ahead of source time, which is {iso(received_at)}")
    return moment


def identity(company: str) -> str:
    """The account identity of a company id: its id in the CRM, in any of the forms that it is written in.

    >>> identity("0015e00000AaBbC")
    'crm:account:0015e00000AaBbCAAV'
    >>> identity("acme-42")
    'crm:account:acme-42'
    """
    return account_identity(crm_account_id(company) or company.removeprefix(_IDENTITY_PREFIX))


def dead_letter(item: Any, error: InvalidCallError) -> SetAside:
    """An invalid item of a batch. Its id is of its content, so that a repeated batch sets it aside once."""
    original = orjson.dumps(item)
    message_id = item.get("messageId") if isinstance(item, dict) else None
    key = message_id if isinstance(message_id, str) else "no messageId"
    return SetAside(
        "DeadLetter", key, None, event_id(NAME, "invalid", original.decode(), ""), None, None,
        type(error).__name__, str(error), f"{STREAM}/batch/{key}", original,
    )  # fmt: skip


def texts(properties: Mapping[str, Any]) -> dict[str, str]:
    """Flat properties as text; nested ones stay in the raw object."""
    return {
        name: value if isinstance(value, str) else orjson.dumps(value).decode()
        for name, value in properties.items()
        if name not in _COMPANY and isinstance(value, str | int | float | bool)
    }


def _company(call: Mapping[str, Any], traits: Mapping[str, Any]) -> str | None:
    """The company that a call names itself: `context.groupId`, else the properties or traits."""
    context = _object(call, "context")
    if (group := _text(context, "groupId", "context.groupId")) is not None:
        return group
    for name in ("company_id", "groupId"):
        if (given := _text(traits, name)) is not None:
            return given
    return None


def _value(properties: Mapping[str, Any]) -> Decimal | None:
    """Lines changed by one use of a feature, or `value` in the sender's own unit."""
    return next((number for name in _VALUE if (number := _number(properties, name)) is not None), None)


def _number(properties: Mapping[str, Any], name: str) -> Decimal | None:
    if properties.get(name) is None:
        return None
    try:
        number = decimal_value(properties[name], name)
    except BadRecordError as error:
        raise InvalidCallError(f"properties.{name}", "must be a number") from error
    if abs(number) >= LARGEST_VALUE:
        raise InvalidCallError(f"properties.{name}", f"must be smaller than {LARGEST_VALUE:.0E}")
    return number


def _instant(call: Mapping[str, Any], name: str) -> datetime | None:
    if call.get(name) is None:
        return None
    try:
        moment = iso_instant(call[name], name)
    except (BadRecordError, OverflowError) as error:
        raise InvalidCallError(
            name, "must be an ISO 8601 instant with an offset, such as 2026-11-20T10:04:11Z"
        ) from error
    if not datetime(1970, 1, 1, tzinfo=UTC) <= moment < datetime(9000, 1, 1, tzinfo=UTC):
        raise InvalidCallError(name, "must lie after 1970 and before the year 9000")
    return moment


def _object(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = holder.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidCallError(name, "must be a JSON object")
    return value


def _text(holder: Mapping[str, Any], name: str, shown: str = "") -> str | None:
    value = holder.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value or len(value) > LONGEST_TEXT:
        raise InvalidCallError(shown or name, f"must be a text of 1 to {LONGEST_TEXT} characters")
    return value


def _required(holder: Mapping[str, Any], name: str, shown: str = "") -> str:
    value = _text(holder, name, shown)
    if value is None:
        raise InvalidCallError(shown or name, "is required")
    return value
