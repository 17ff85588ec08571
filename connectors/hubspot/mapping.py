"""HubSpot companies, deals and tickets to profiles, links and canonical events. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from connectors.contract import Link, Mapped, MappedEvent, Merge, Profile, RawObject, State
from connectors.fields import decimal_value, iso, iso_instant, required, text, time_zone_name
from connectors.hubspot.accounts import (
    COMPANY,
    called,
    claims_beside_crm,
    claims_of_crm,
    company_entry,
    company_identity,
    crm_id_of,
    primary_company,
)
from connectors.identity.domains import own_domain
from connectors.promises import is_new
from vitals.errors import BadRecordError

OVERLAP = timedelta(minutes=15)
"""The search index shows a change seconds to minutes after the time that the object carries."""

DEAL = "deal"
TICKET = "ticket"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What mapping depends on beside object and state.

    `identity_source`: companies define the accounts, because no other CRM is connected. `crm_id_property` is the
    company property that holds the CRM's id of the account.
    """

    identity_source: bool
    crm_id_property: str

    def company(self, raw: RawObject, state: State) -> Mapped:
        """A company's events, links and profile; `crm.account_deleted` too for each one that was merged into it.

        Raises:
            BadRecordError: the id, a time or (where a profile needs it) the name is missing or malformed.
        """
        record = raw.body
        company_id, created_at, modified_at = _times(record, state)
        if company_id is None:
            return Mapped()
        entry = company_entry(company_id)
        event = _events_of(COMPANY, company_id, company_identity(company_id))
        events = []
        if _told_newly(created_at, modified_at, record, state):
            events.append(event("crm.account_created", created_at, ""))
        if record.get("archived"):
            events.append(event("crm.account_deleted", modified_at, iso(modified_at)))
        elif modified_at > created_at:
            events.append(event("crm.account_updated", modified_at, iso(modified_at)))
        before = state.get(entry)
        if before is not None and iso_instant(before["modified_at"], "modified_at") > modified_at:
            # A search shows for a while what a webhook has overtaken: what it claims is over.
            return Mapped(events=tuple(events))
        stated = claims_of_crm if self.identity_source else claims_beside_crm
        links = stated(record, self.crm_id_property, modified_at)
        kept: dict[str, Any] = {
            entry: {"created_at": iso(created_at), "modified_at": iso(modified_at), "claims": bool(links)}
        }
        profiles, merges = [], list[Merge]()
        if self.identity_source:
            profile = _profile(record, company_id, created_at, modified_at)
            profiles.append(profile)
            kept[entry] |= {"name": profile.name, "crm_id": crm_id_of(record, self.crm_id_property)}
        if f"merged/{company_id}" in state:
            kept[f"merged/{company_id}"] = None  # it is there again
        for loser in _merged(record):
            merged = self._merged_into(loser, company_id, modified_at, state)
            events.extend(merged.events)
            profiles.extend(merged.profiles)
            links.extend(merged.links)
            merges.extend(merged.merges)
            kept.update(merged.state)
        return Mapped(
            events=tuple(events),
            profiles=tuple(profiles),
            links=tuple(links),
            merges=tuple(merges),
            claimants=(company_identity(company_id),),
            state=kept,
        )

    def deal(self, raw: RawObject, state: State) -> Mapped:
        """`crm.opportunity_created`, and `_won` or `_lost` with the amount once it is closed.

        A portal that does not tell when the deal entered its stage tells only the close date, which can be edited.
        There the entry `closed/<id>` remembers that the closing has been told, until the deal is open again.

        Raises:
            BadRecordError: a field that every deal has is missing or malformed.
        """
        record = raw.body
        deal_id, created_at, modified_at = _times(record, state)
        if deal_id is None:
            return Mapped()
        properties = record["properties"]
        event = _events_of(DEAL, deal_id, _account(record))
        events, kept = [], dict[str, Any]()
        created = _told_newly(created_at, modified_at, record, state)
        if created:
            events.append(event("crm.opportunity_created", created_at, ""))
        entry, won = f"closed/{deal_id}", _true(properties.get("hs_is_closed_won"))
        if won or _true(properties.get("hs_is_closed")):
            kind = "crm.opportunity_won" if won else "crm.opportunity_lost"
            entered = _given(properties, "hs_v2_date_entered_current_stage")
            closed_at = _instant(entered or required(properties, "closedate"), "closedate")
            newly = created or _told_newly(closed_at, modified_at, record, state)
            if newly if entered else state.get(entry) != kind:
                # Before the closing the amount is a guess that changes: an event says what will not.
                amount, currency = _given(properties, "amount"), text(properties.get("deal_currency_code"))
                value = None if amount is None else decimal_value(amount, "amount")
                events.append(event(kind, closed_at, iso(closed_at), value, {"currency": currency} if currency else {}))
                if not entered:
                    kept[entry] = kind
        elif entry in state:
            kept[entry] = None
        return Mapped(events=tuple(events), state=kept)

    def ticket(self, raw: RawObject, state: State) -> Mapped:
        """`support.ticket_opened`, and `support.ticket_solved` with the seconds from the one to the other.

        Raises:
            BadRecordError: a field that every ticket has is missing or malformed.
        """
        record = raw.body
        ticket_id, created_at, modified_at = _times(record, state)
        if ticket_id is None:
            return Mapped()
        properties = record["properties"]
        described = {
            "priority": text(properties.get("hs_ticket_priority")),
            "type": text(properties.get("hs_ticket_category")),
            "channel": text(properties.get("source_type")),
        }
        # HubSpot writes its own values in capitals; metrics compare with those of other support systems.
        known = {name: value.lower() for name, value in described.items() if value}
        event = _events_of(TICKET, ticket_id, _account(record))
        events = []
        opened = _told_newly(created_at, modified_at, record, state)
        if opened:
            events.append(event("support.ticket_opened", created_at, "", None, known))
        closed = _given(properties, "closed_date")
        if closed is not None:
            solved_at = _instant(closed, "closed_date")
            if opened or _told_newly(solved_at, modified_at, record, state):
                lasted = solved_at - created_at
                quality = {"quality": "opened_after_solved"} if lasted < timedelta() else {}
                value = max(Decimal(lasted // timedelta(microseconds=1)) / 1_000_000, Decimal(0))
                # A ticket that is opened again is solved once more, at another time.
                events.append(event("support.ticket_solved", solved_at, iso(solved_at), value, known | quality))
        return Mapped(events=tuple(events))

    def _merged_into(self, loser: str, winner: str, merged_at: datetime, state: State) -> Mapped:
        """What becomes of a company that HubSpot merged into another; its end is told once (entry `merged/<id>`)."""
        entry, before = f"merged/{loser}", state.get(company_entry(loser))
        name, surviving = company_identity(loser), company_identity(winner)
        ended = _events_of(COMPANY, loser, name)("crm.account_deleted", merged_at, f"merged into {winner}")
        # Told already, or merged before we knew it, so that it has no events.
        untold = entry not in state and before is not None
        if not self.identity_source and before is not None and before["claims"]:
            # An account of the CRM lost its company: what this claimed stays, for what has happened.
            return Mapped(events=(ended,) if untold else (), state={entry: winner})
        if not self.identity_source:
            # It was nobody's: events that wait for its name are the winner's. No account has ended.
            return Mapped(links=(Link(name, surviving, "external_id", merged_at),), state={entry: winner})
        if before is None:
            # It never was an account here, but others may name it.
            links = [Link(name, surviving, "crm_link", merged_at), *called(loser, None, surviving, merged_at)]
            return Mapped(links=tuple(links), state={entry: winner})
        if not untold:
            return Mapped()
        profile = Profile(
            identity=name,
            crm_id=loser,
            name=before["name"],
            created_at=iso_instant(before["created_at"], "created_at"),
            valid_from=merged_at,
            deleted=True,
        )
        return Mapped(
            events=(ended,),
            profiles=(profile,),
            links=tuple(called(loser, before["crm_id"], name, merged_at)),
            # Its own end is the last event that it has.
            merges=(Merge(name, surviving, merged_at + timedelta(microseconds=1)),),
            state={entry: winner},
        )


def version_of(record: Mapping[str, Any]) -> datetime:
    """When this version of an object began: its archiving, or its last modification.

    Raises:
        BadRecordError: the time is missing or malformed.
    """
    if record.get("archived"):
        return _instant(required(record, "archivedAt"), "archivedAt")
    return _instant(required(record, "updatedAt"), "updatedAt")


def archived_since(state: State) -> State:
    """The state as `connectors.promises` reads it, with the promise of the last scan of archived objects."""
    scanned = state.get("archived_since")
    return {} if scanned is None else {"since": scanned}


def _times(record: Any, state: State) -> tuple[str | None, datetime, datetime]:
    """Id, creation and version of an object; no id where all that it tells has been told.

    An archived object comes again with every scan; a creation that was not told before is told with it.
    """
    object_id = str(required(record, "id"))
    if not isinstance(required(record, "properties"), Mapping):
        raise BadRecordError("properties is no object.")
    created_at, version = _instant(required(record, "createdAt"), "createdAt"), version_of(record)
    if record.get("archived") and not is_new(version, version, archived_since(state), OVERLAP):
        return None, created_at, version
    return object_id, created_at, version


def _told_newly(moment: datetime, version: datetime, record: Mapping[str, Any], state: State) -> bool:
    """Whether something that happened at `moment` may not have been told yet.

    Archived objects leave the search at once: whatever they tell was last sure when archived ones were last read.
    """
    return is_new(moment, version, archived_since(state) if record.get("archived") else state, OVERLAP)


def _account(record: Mapping[str, Any]) -> str | None:
    company = primary_company(record)
    return None if company is None else company_identity(company)


def _events_of(object_type: str, source_id: str, account: str | None) -> Callable[..., MappedEvent]:
    def event(
        kind: str,
        event_time: datetime,
        occurrence: str,
        value: Decimal | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> MappedEvent:
        return MappedEvent(
            kind=kind,
            object_type=object_type,
            source_id=source_id,
            event_time=event_time,
            account_ref=account,
            occurrence=occurrence,
            value=value,
            properties=properties or {},
        )

    return event


def _profile(record: Mapping[str, Any], company_id: str, created_at: datetime, modified_at: datetime) -> Profile:
    properties = record["properties"]
    arr, ends, parent = (_given(properties, name) for name in ("arr", "contract_end", "hs_parent_company_id"))
    return Profile(
        identity=company_identity(company_id),
        crm_id=company_id,
        # A company that came with an e-mail address has a domain and no name.
        name=str(text(properties.get("name")) or text(properties.get("domain")) or required(properties, "name")),
        created_at=created_at,
        valid_from=modified_at,
        segment=text(properties.get("segment")),
        owner=text(record.get("owner")),
        region=text(properties.get("region")),
        plan=text(properties.get("plan")),
        arr=None if arr is None else decimal_value(arr, "arr"),
        arr_currency=None if arr is None else text(properties.get("arr_currency")),
        time_zone=time_zone_name(properties.get("time_zone")),
        renewal_date=None if ends is None else _instant(ends, "contract_end").date(),
        domain=own_domain(properties.get("domain")),
        parent=None if parent is None else company_identity(str(parent)),
        deleted=bool(record.get("archived")),
    )


def _merged(record: Mapping[str, Any]) -> list[str]:
    written = str(_given(record["properties"], "hs_merged_object_ids") or "")
    return [one.strip() for one in written.split(";") if one.strip()]


def _given(properties: Mapping[str, Any], name: str) -> Any:
    """A property that has a value. HubSpot writes text; a number or a boolean is taken as well."""
    value = properties.get(name)
    return None if value == "" else value


def _true(value: Any) -> bool:
    return value is True or value == "true"


def _instant(value: Any, name: str) -> datetime:
    """A time as HubSpot writes it: ISO 8601, a day, or (in old properties) epoch milliseconds."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and value.isascii() and value.isdigit():
        try:
            return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(value))
        except (OverflowError, ValueError) as error:
            raise BadRecordError(f"{name} is outside the years that a date can hold: {value[:30]!r}.") from error
    if isinstance(value, str) and len(value) == len("2026-11-20"):
        value += "T00:00:00Z"
    return iso_instant(value, name)
