"""Salesforce records to profiles and canonical events. Pure."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from connectors.contract import Link, Mapped, MappedEvent, Merge, Profile, RawObject, State
from connectors.deletions import Standing, standing
from connectors.fields import (
    account_identity,
    decimal_value,
    full_id,
    iso,
    iso_instant,
    required,
    text,
    time_zone_name,
)
from connectors.identity.domains import domain_ref, own_domain
from connectors.promises import is_new
from connectors.salesforce.relationship_mapping import annual_value, contract_end, contract_of, currency_of
from vitals.errors import BadRecordError

OVERLAP = timedelta(minutes=10)
"""A long transaction becomes visible after the time that its records carry."""

_NO_FIELDS: Mapping[str, str] = MappingProxyType({})


def map_account(raw: RawObject, state: State, link_fields: Mapping[str, str] = _NO_FIELDS) -> Mapped:
    """An account's profile from this modification on, and `crm.account_created`, `_updated`, `_deleted` or `_restored`;
    `crm.contract_set` too where its terms are new.

    An account that another one took in by a merge is deleted too; the property `merged_into` names the survivor.

    `link_fields` are custom fields that hold another system's id, with what makes it that system's name of an account
    (`stripe:customer`).

    Raises:
        BadRecordError: Id, Name, CreatedDate or SystemModstamp is missing or malformed.
    """
    record = raw.body
    crm_id = full_id(str(required(record, "Id")))
    name = str(required(record, "Name"))
    created_at = iso_instant(required(record, "CreatedDate"), "CreatedDate")
    modified_at = iso_instant(required(record, "SystemModstamp"), "SystemModstamp")
    deleted = bool(record.get("IsDeleted"))
    profile = Profile(
        identity=account_identity(crm_id),
        crm_id=crm_id,
        name=name,
        created_at=created_at,
        valid_from=modified_at,
        segment=text(record.get("Segment__c")),
        owner=_owner(record),
        region=text(record.get("Region__c")),
        plan=text(record.get("Plan__c")),
        arr=annual_value(record),
        arr_currency=None if record.get("ARR__c") is None else currency_of(record),
        time_zone=time_zone_name(record.get("Time_Zone__c")),
        renewal_date=contract_end(record),
        domain=own_domain(record.get("Website")),
        parent=_parent(record),
        deleted=deleted,
    )

    def event(kind: str, event_time: datetime, occurrence: str, **properties: str) -> MappedEvent:
        return MappedEvent(
            kind=kind,
            object_type="Account",
            source_id=crm_id,
            event_time=event_time,
            account_ref=profile.identity,
            occurrence=occurrence,
            properties=properties,
        )

    events = []
    if is_new(created_at, modified_at, state, OVERLAP):
        events.append(event("crm.account_created", created_at, ""))
    found, entries = standing(crm_id, modified_at, state, deleted=deleted)
    if found is Standing.DELETED:
        survivor = text(record.get("MasterRecordId"))
        merged = {"merged_into": account_identity(full_id(survivor))} if survivor else {}
        events.append(event("crm.account_deleted", modified_at, iso(modified_at), **merged))
    elif found is Standing.RESTORED:
        events.append(event("crm.account_restored", modified_at, iso(modified_at)))
    elif found is Standing.THERE and modified_at > created_at:
        events.append(event("crm.account_updated", modified_at, iso(modified_at)))
    if not deleted:
        contract = contract_of(record, crm_id, modified_at, state)
        events.extend(contract.events)
        entries = {**entries, **contract.state}
    return Mapped(
        events=tuple(events),
        profiles=(profile,),
        links=tuple(_links(record, profile, link_fields)),
        merges=tuple(_merges(record, profile)),
        state=entries,
    )


def _links(record: Mapping[str, Any], profile: Profile, link_fields: Mapping[str, str]) -> Iterator[Link]:
    """The other systems' ids that the record names, and the domain of its website.

    A deleted account keeps the first, for what those systems still tell of it, but gives its domain free.
    """
    for name, prefix in link_fields.items():
        value = record.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # a number field
        if value not in (None, ""):
            yield Link(f"{prefix}:{value}", profile.identity, "crm_link", profile.valid_from)
    domain = None if profile.deleted else domain_ref(record.get("Website"))
    if domain:
        yield Link(profile.identity, domain, "domain", profile.valid_from)


def _merges(record: Mapping[str, Any], profile: Profile) -> Iterator[Merge]:
    """The account into which a deleted one was merged. Its own deletion is the last event that it has."""
    master = text(record.get("MasterRecordId"))
    if profile.deleted and master:
        yield Merge(profile.identity, account_identity(full_id(master)), profile.valid_from + timedelta(microseconds=1))


def map_opportunity(raw: RawObject, state: State) -> Mapped:
    """`crm.opportunity_created`, `_won` or `_lost` with the amount once it is closed, `_deleted` and `_restored`.

    An organisation that does not show LastStageChangeDate tells only the day of closing, which can be edited. There the
    entry `closed/<id>` remembers that the closing has been told, until the opportunity is open again.

    Raises:
        BadRecordError: a field that every opportunity has is missing or malformed.
    """
    record = raw.body
    opportunity_id = full_id(str(required(record, "Id")))
    created_at = iso_instant(required(record, "CreatedDate"), "CreatedDate")
    modified_at = iso_instant(required(record, "SystemModstamp"), "SystemModstamp")
    account = text(record.get("AccountId"))
    amount = record.get("Amount")

    def event(kind: str, event_time: datetime, occurrence: str, *, closed: bool = True) -> MappedEvent:
        currency = text(record.get("CurrencyIsoCode")) if closed else None
        return MappedEvent(
            kind=kind,
            object_type="Opportunity",
            source_id=opportunity_id,
            event_time=event_time,
            account_ref=account_identity(full_id(account)) if account else None,
            occurrence=occurrence,
            # Before the closing the amount is a guess that changes: an event says what will not.
            value=None if amount is None or not closed else decimal_value(amount, "Amount"),
            properties={"currency": currency} if currency else {},
        )

    events: list[MappedEvent] = []
    entries: dict[str, Any] = {}
    if is_new(created_at, modified_at, state, OVERLAP):
        events.append(event("crm.opportunity_created", created_at, "", closed=False))
    entry = f"closed/{opportunity_id}"
    if record.get("IsClosed"):
        kind = "crm.opportunity_won" if record.get("IsWon") else "crm.opportunity_lost"
        changed = record.get("LastStageChangeDate")
        if changed is not None:
            closed_at = iso_instant(changed, "LastStageChangeDate")
            if is_new(closed_at, modified_at, state, OVERLAP):
                events.append(event(kind, closed_at, iso(closed_at)))
        elif state.get(entry) != kind:
            closed_at = midnight(required(record, "CloseDate"), "CloseDate")
            events.append(event(kind, closed_at, iso(closed_at)))
            entries[entry] = kind
    elif entry in state:
        entries[entry] = None
    found, remembered = standing(opportunity_id, modified_at, state, deleted=bool(record.get("IsDeleted")))
    if found is Standing.DELETED:
        events.append(event("crm.opportunity_deleted", modified_at, iso(modified_at), closed=False))
    elif found is Standing.RESTORED:
        events.append(event("crm.opportunity_restored", modified_at, iso(modified_at), closed=False))
    return Mapped(events=tuple(events), state=entries | remembered)


def _owner(record: Mapping[str, Any]) -> str | None:
    owner = record.get("Owner")
    return text(owner.get("Name")) if isinstance(owner, Mapping) else None


def _parent(record: Mapping[str, Any]) -> str | None:
    parent = text(record.get("ParentId"))
    return None if parent is None else account_identity(full_id(parent))


def midnight(day: Any, name: str) -> datetime:
    """The beginning of a day given as a date, in UTC.

    Raises:
        BadRecordError: it is no date.
    """
    try:
        return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    except (TypeError, ValueError) as error:
        raise BadRecordError(f"{name} is not a date: {day!r}.") from error
