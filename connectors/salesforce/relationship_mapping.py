"""What Salesforce tells of the relationship with an account: contract terms, stakeholders, and who was met. Pure."""

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from connectors.account_facts import CONTRACT_SET, ROLES, STAKEHOLDER_SET, STAKEHOLDER_TOUCHED
from connectors.contract import Mapped, MappedEvent, RawObject, State
from connectors.fields import account_identity, decimal_value, full_id, iso, iso_instant, required, text
from vitals.errors import BadRecordError
from vitals.events import EVENT_NAMESPACE, name_uuid

TERM_FIELDS = (
    "ARR__c",
    "CurrencyIsoCode",
    "Contract_Start__c",
    "Contract_End__c",
    "Notice_Days__c",
    "Auto_Renew__c",
    "Time_Zone__c",
    "ParentId",
)
CONTACT_FIELDS = ("AccountId",)
CONTACT_OPTIONAL = ("Role__c", "Left_Company__c", "Title")
_CONTACT_PREFIX = "003"


def annual_value(record: Mapping[str, Any]) -> Decimal | None:
    """`ARR__c`, in the currency of the record."""
    return None if record.get("ARR__c") is None else decimal_value(record["ARR__c"], "ARR__c")


def currency_of(record: Mapping[str, Any]) -> str | None:
    """The record's currency; an organisation with only one does not tell it."""
    return text(record.get("CurrencyIsoCode"))


def contract_end(record: Mapping[str, Any]) -> date | None:
    """The day on which the term ends and a next one may begin."""
    return _day(record, "Contract_End__c")


def contract_of(record: Mapping[str, Any], crm_id: str, modified_at: datetime, state: State) -> Mapped:
    """`crm.contract_set` where the account's terms are not those that were told last (entry `contract/<id>`).

    Terms that are gone from the account end the contract. Salesforce does not tell since when they hold: that is
    the modification with which they first show, whose own event is that one.

    Raises:
        BadRecordError: a term is malformed.
    """
    start, end, value = _day(record, "Contract_Start__c"), contract_end(record), annual_value(record)
    entry, currency, notice = f"contract/{crm_id}", currency_of(record), record.get("Notice_Days__c")
    renews, properties = record.get("Auto_Renew__c"), dict[str, str]()
    if start is not None or end is not None or value is not None:
        told = {
            "start": None if start is None else start.isoformat(),
            "end": None if end is None else end.isoformat(),
            "notice_days": None if notice is None else str(int(decimal_value(notice, "Notice_Days__c"))),
            "auto_renew": None if renews is None else str(bool(renews)).lower(),
            "currency": currency if value is not None else None,
        }
        properties = {name: written for name, written in told.items() if written is not None}
        terms: list[str] | None = [str(value), *(f"{name}={written}" for name, written in properties.items())]
    else:
        terms, value = None, Decimal(0)
    if state.get(entry) == terms:
        return Mapped()
    event = MappedEvent(
        kind=CONTRACT_SET,
        object_type="Account",
        source_id=crm_id,
        event_time=modified_at,
        account_ref=account_identity(crm_id),
        occurrence=iso(modified_at),
        value=value,
        properties=properties,
    )
    return Mapped(events=(event,), state={entry: terms})


def map_contact(raw: RawObject, state: State) -> Mapped:
    """`crm.stakeholder_set` where a contact's role, or whether they are there, is not what was told last.

    The entry `role/<digest>` remembers that. A contact without a role is no stakeholder; one who is deleted, or has
    moved to another account, has left this one.

    Raises:
        BadRecordError: a field that every contact has is missing or malformed.
    """
    record = raw.body
    contact_id = full_id(str(required(record, "Id")))
    modified_at = iso_instant(required(record, "SystemModstamp"), "SystemModstamp")
    account, entry = text(record.get("AccountId")), role_entry(contact_id)
    before, role = state.get(entry), role_of(record.get("Role__c"))
    here = not record.get("IsDeleted") and not record.get("Left_Company__c")
    now = None if account is None or role is None else [full_id(account), role, "active" if here else "left"]
    told: list[list[str]] = []
    if before is not None and before[2] == "active" and (now is None or before[0] != now[0]):
        told.append([before[0], before[1], "left"])
    if now is not None and now != before and (here or before is None or before[2] == "active") and now not in told:
        told.append(now)
    events = tuple(_stakeholder(contact_id, modified_at, *one) for one in told)
    return Mapped(events=events, state={} if now == before else {entry: now})


def role_entry(contact_id: str) -> str:
    """The state entry of a contact's role: under a digest, because no topic but the raw one carries a person's id."""
    return f"role/{name_uuid(EVENT_NAMESPACE, contact_id)}"


def role_of(value: Any) -> str | None:
    """One of the roles that are told apart; `other` for any other text.

    >>> role_of("Decision Maker"), role_of("Wizard"), role_of(None)
    ('decision_maker', 'other', None)
    """
    named = text(value)
    if named is None:
        return None
    word = re.sub(r"[^a-z]+", "_", named.lower()).strip("_")
    return word if word in ROLES else "other"


def touched(activity: MappedEvent, record: Mapping[str, Any]) -> Iterator[MappedEvent]:
    """The activity, and `crm.stakeholder_touched` where it names a contact."""
    yield activity
    who = text(record.get("WhoId")) or ""
    if who.startswith(_CONTACT_PREFIX):
        yield MappedEvent(
            kind=STAKEHOLDER_TOUCHED,
            object_type=activity.object_type,
            source_id=activity.source_id,
            event_time=activity.event_time,
            account_ref=activity.account_ref,
            occurrence=activity.occurrence,
            user=full_id(who),
            properties=activity.properties,
        )


def _stakeholder(contact_id: str, at: datetime, account: str, role: str, status: str) -> MappedEvent:
    return MappedEvent(
        kind=STAKEHOLDER_SET,
        object_type="Contact",
        source_id=contact_id,
        event_time=at,
        account_ref=account_identity(account),
        # One modification may move a contact from one account to another.
        occurrence=f"{iso(at)}/{status}",
        user=contact_id,
        properties={"role": role, "status": status},
    )


def _day(record: Mapping[str, Any], name: str) -> date | None:
    value = record.get(name)
    if value is None:
        return None
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise BadRecordError(f"{name} is not a date: {value!r}.") from error
