"""Salesforce cases to support events, for companies that have no help desk beside the CRM. Pure."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from connectors.contract import Mapped, MappedEvent, RawObject, State
from connectors.deletions import Standing, standing
from connectors.fields import account_identity, full_id, iso, iso_instant, required, text
from connectors.promises import is_new
from connectors.salesforce.mapping import OVERLAP

CASE_FIELDS = ("AccountId", "IsClosed")
CASE_OPTIONAL = ("ContactId", "ClosedDate", "Status", "Priority", "Origin", "Type", "CaseNumber")


def map_case(raw: RawObject, state: State) -> Mapped:
    """`support.ticket_opened`, `support.ticket_solved` with the seconds from the one to the other, and what becomes of
    a deleted case: `support.ticket_deleted`, `support.ticket_restored`.

    Raises:
        BadRecordError: a field that every case has is missing or malformed.
    """
    record = raw.body
    case_id = full_id(str(required(record, "Id")))
    created_at = iso_instant(required(record, "CreatedDate"), "CreatedDate")
    modified_at = iso_instant(required(record, "SystemModstamp"), "SystemModstamp")
    account, contact = text(record.get("AccountId")), text(record.get("ContactId"))
    named = {"priority": record.get("Priority"), "type": record.get("Type"), "channel": record.get("Origin")}
    properties = {name: value.lower() for name, value in named.items() if isinstance(value, str) and value}

    def event(kind: str, event_time: datetime, **more: Any) -> MappedEvent:
        return MappedEvent(
            kind=kind,
            object_type="Case",
            source_id=case_id,
            event_time=event_time,
            account_ref=account_identity(full_id(account)) if account else None,
            user=contact,
            **more,
        )

    events = []
    opened = is_new(created_at, modified_at, state, OVERLAP)
    if opened:
        events.append(event("support.ticket_opened", created_at, properties=properties))
    if record.get("IsClosed") and record.get("ClosedDate") is not None:
        closed_at = iso_instant(record["ClosedDate"], "ClosedDate")
        if opened or is_new(closed_at, modified_at, state, OVERLAP):
            lasted = closed_at - created_at
            quality = {"quality": "opened_after_solved"} if lasted < timedelta() else {}
            events.append(
                event(
                    "support.ticket_solved",
                    closed_at,
                    # A case that is opened again is closed once more, at another time.
                    occurrence=iso(closed_at),
                    value=max(Decimal(lasted // timedelta(microseconds=1)) / 1_000_000, Decimal(0)),
                    properties=properties | quality,
                )
            )
    found, entries = standing(case_id, modified_at, state, deleted=bool(record.get("IsDeleted")))
    if found is Standing.DELETED:
        events.append(event("support.ticket_deleted", modified_at, occurrence=iso(modified_at)))
    elif found is Standing.RESTORED:
        events.append(event("support.ticket_restored", modified_at, occurrence=iso(modified_at)))
    return Mapped(events=tuple(events), state=entries)
