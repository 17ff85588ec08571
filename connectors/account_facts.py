"""What people and contracts tell of an account: answers to surveys, a manager's pulse, terms, stakeholders. Pure.

These kinds come from vendors, files and applications alike, so what is valid is said once, here. Persons are in `user`
and nowhere else, because only that becomes a pseudonym; what somebody wrote stays in the raw object.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from types import MappingProxyType

from connectors.contract import MappedEvent
from connectors.fates import SCALE
from vitals.errors import BadRecordError

VALUE, PERSON = "value", "user"
"""What `FactError.field` calls the event's number and its person; other fields are properties."""

ROLES = ("champion", "decision_maker", "executive_sponsor", "billing", "administrator", "user", "other")
COLOURS: Mapping[str, Decimal] = MappingProxyType({"red": Decimal(1), "yellow": Decimal(3), "green": Decimal(5)})
BEST = 5
LONGEST_NOTICE_DAYS = 1_825
LARGEST_VALUE = Decimal(10**15)

_SCALE_OF = re.compile(r"(\d{1,3})-(\d{1,3})")
_CURRENCY = re.compile(r"[A-Za-z]{3}")
_WORD = re.compile(r"[a-z][a-z0-9_]{0,62}")

Properties = dict[str, str]
Check = Callable[[Decimal | None, Properties], Decimal | None]
"""Gives the event's value, and may put properties into their one form.

Raises:
    FactError: something is not valid.
"""


class FactError(BadRecordError):
    """Which field is not valid, and what it must be."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field} {reason}.")
        self.field, self.reason = field, reason


@dataclass(frozen=True, slots=True)
class FactKind:
    """One kind of fact: `name` is its event in Segment's form, `properties` are all that it may have."""

    kind: str
    name: str
    properties: tuple[str, ...]
    check: Check
    needs_person: bool = False


def checked(event: MappedEvent) -> MappedEvent:
    """The event with its value and properties in their one form; an event of another kind as it is.

    Raises:
        FactError: it is not valid.
    """
    fact = FACTS.get(event.kind)
    if fact is None:
        return event
    for name in event.properties:
        if name not in fact.properties:
            raise FactError(name, f"is no property of {fact.kind}, which has {', '.join(fact.properties)}")
    if fact.needs_person and not event.user:
        raise FactError(PERSON, "is required: whom it is about")
    properties = dict(event.properties)
    return replace(event, value=fact.check(event.value, properties), properties=properties)


def _nps(value: Decimal | None, _properties: Properties) -> Decimal:
    if value is None or value != value.to_integral_value() or not 0 <= value <= 10:
        raise FactError(VALUE, "must be a whole number from 0 to 10")
    return value


def _csat(value: Decimal | None, properties: Properties) -> Decimal:
    """From 1 to 5, whatever the scale on which the person answered."""
    match = _SCALE_OF.fullmatch(properties.setdefault("scale", f"1-{BEST}"))
    lowest, highest = map(int, match.groups()) if match else (0, 0)
    if lowest >= highest:
        raise FactError("scale", "must be the lowest and the highest answer, such as 1-5 or 0-10")
    if value is None or not lowest <= value <= highest:
        raise FactError(VALUE, f"must be a number from {lowest} to {highest}, as the scale says")
    return (1 + (value - lowest) * (BEST - 1) / (highest - lowest)).quantize(SCALE).normalize() + Decimal(0)


def _pulse(value: Decimal | None, properties: Properties) -> Decimal:
    colour = properties.get("colour")
    if colour is not None:
        if colour not in COLOURS:
            raise FactError("colour", f"must be one of {', '.join(COLOURS)}")
        if value is not None and value != COLOURS[colour]:
            raise FactError(VALUE, f"is not that of {colour}, which is {COLOURS[colour]}: give one of the two")
        return COLOURS[colour]
    if value is None or not 1 <= value <= BEST:
        raise FactError(VALUE, f"must be a number from 1 to {BEST}, unless there is a colour")
    return value


def _contract(value: Decimal | None, properties: Properties) -> Decimal | None:
    start, end = (_day(properties, name) for name in ("start", "end"))
    if start is not None and end is not None and end <= start:
        raise FactError("end", "must lie after start: it is the first day that is not part of the term")
    notice = properties.get("notice_days")
    if notice is not None and not (
        notice.isascii() and notice.isdigit() and int(notice[:6]) <= LONGEST_NOTICE_DAYS and len(notice) <= 4
    ):
        raise FactError("notice_days", f"must be a whole number of days from 0 to {LONGEST_NOTICE_DAYS}")
    renews = properties.get("auto_renew")
    if renews is not None:
        if renews.lower() not in ("true", "false"):
            raise FactError("auto_renew", "must be true or false")
        properties["auto_renew"] = renews.lower()
    if value is not None and not 0 <= value < LARGEST_VALUE:
        raise FactError(VALUE, "must be the value of a year, 0 or more; 0 ends the contract")
    currency = properties.get("currency")
    if currency is not None and not _CURRENCY.fullmatch(currency):
        raise FactError("currency", "must be a code of ISO 4217, such as USD")
    if value and currency is None:
        raise FactError("currency", "is required where there is a value")
    if currency is not None:
        properties["currency"] = currency.upper()
    if value is None and start is None and end is None:
        raise FactError(VALUE, "is required where there is neither start nor end")
    return value


def _day(properties: Properties, name: str) -> date | None:
    text = properties.get(name)
    try:
        # Only the one form: Python reads others, such as 20270131 and 2027-W05-7.
        day = None if text is None else date.fromisoformat(text)
    except ValueError:
        day = None
    if text is not None and (day is None or day.isoformat() != text):
        raise FactError(name, "must be a day such as 2027-01-31")
    return day


def _stakeholder(value: Decimal | None, properties: Properties) -> None:
    _no_value(value)
    if properties.get("role") not in ROLES:
        raise FactError("role", f"must be one of {', '.join(ROLES)}")
    if properties.setdefault("status", "active") not in ("active", "left"):
        raise FactError("status", "must be active or left")


def _touch(value: Decimal | None, properties: Properties) -> None:
    _no_value(value)
    activity = properties.get("activity")
    if activity is not None and not _WORD.fullmatch(activity):
        raise FactError("activity", "must be one word in lower case, such as call, email or meeting")


def _no_value(value: Decimal | None) -> None:
    if value is not None:
        raise FactError(VALUE, "has no meaning here: leave it out")


CONTRACT_SET, STAKEHOLDER_SET, STAKEHOLDER_TOUCHED = (
    "crm.contract_set",
    "crm.stakeholder_set",
    "crm.stakeholder_touched",
)
CSAT_ANSWERED = "support.csat_answered"

_TERMS = ("contract", "start", "end", "notice_days", "auto_renew", "currency")

FACTS: Mapping[str, FactKind] = MappingProxyType(
    {
        fact.kind: fact
        for fact in (
            FactKind("crm.nps_answered", "NPS Answered", ("survey",), _nps),
            FactKind(CSAT_ANSWERED, "CSAT Answered", ("survey", "scale", "channel"), _csat),
            FactKind("crm.pulse_recorded", "Pulse Recorded", ("colour",), _pulse),
            FactKind(CONTRACT_SET, "Contract Set", _TERMS, _contract),
            FactKind(STAKEHOLDER_SET, "Stakeholder Set", ("role", "status"), _stakeholder, needs_person=True),
            FactKind(STAKEHOLDER_TOUCHED, "Stakeholder Touched", ("activity",), _touch, needs_person=True),
        )
    }
)
"""The kinds that applications and files may tell, by kind. Others of the same form are a vendor's own."""

BY_NAME: Mapping[str, FactKind] = MappingProxyType({fact.name: fact for fact in FACTS.values()})
"""By the name of the event in Segment's form."""
