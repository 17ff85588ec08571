"""Salesforce tasks and meetings to what account managers did for an account. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from connectors.contract import Mapped, MappedEvent, RawObject, State
from connectors.fields import account_identity, full_id, iso, iso_instant, required, text
from connectors.promises import is_new
from connectors.salesforce.mapping import OVERLAP, midnight
from connectors.salesforce.relationship_mapping import touched

TASK_FIELDS = ("IsClosed", "WhatId")
TASK_OPTIONAL = (
    "AccountId",
    "WhoId",
    "TaskSubtype",
    "Status",
    "Priority",
    "ActivityDate",
    "CompletedDateTime",
    "IsArchived",
)

MEETING_FIELDS = ("EndDateTime", "WhatId")
MEETING_OPTIONAL = ("AccountId", "WhoId", "StartDateTime", "EventSubtype", "IsAllDayEvent")

HELD = "held"
"""Field that the stream adds to a meeting whose end lies before what it is about to promise."""

DUE = "due/"
"""Beginning of the state entries of meetings that are still to come, with their ends."""

_ACCOUNT_PREFIX = "001"


def map_task(raw: RawObject, state: State) -> Mapped:
    """`crm.activity_logged` once a task of an account is done: what is only planned has touched nobody. Where it names
    a contact, `crm.stakeholder_touched` too.

    An organisation that does not show CompletedDateTime tells only the day that the task was due, which can be edited.
    There the entry `done/<id>` remembers that it has been told, until the task is open again.

    Raises:
        BadRecordError: a field that every task has is missing or malformed.
    """
    record = raw.body
    task_id = full_id(str(required(record, "Id")))
    created_at = iso_instant(required(record, "CreatedDate"), "CreatedDate")
    modified_at = iso_instant(required(record, "SystemModstamp"), "SystemModstamp")
    account, entry = _account(record), f"done/{task_id}"
    # Leads' and people's own tasks are nothing that an account has received.
    if account is None or record.get("IsDeleted"):
        return Mapped()
    if not record.get("IsClosed"):
        return Mapped(state={entry: None} if entry in state else {})

    def told(at: datetime) -> tuple[MappedEvent, ...]:
        logged = MappedEvent(
            kind="crm.activity_logged",
            object_type="Task",
            source_id=task_id,
            event_time=at,
            account_ref=account_identity(account),
            occurrence=iso(at),
            properties={"activity": (text(record.get("TaskSubtype")) or "task").lower()},
        )
        return tuple(touched(logged, record))

    if record.get("CompletedDateTime") is not None:
        done_at = iso_instant(record["CompletedDateTime"], "CompletedDateTime")
        return Mapped(events=told(done_at) if is_new(done_at, modified_at, state, OVERLAP) else ())
    if entry in state:
        return Mapped()
    due = record.get("ActivityDate")
    at = created_at if due is None else min(midnight(due, "ActivityDate"), modified_at)
    return Mapped(events=told(at), state={entry: iso(at)})


def map_meeting(raw: RawObject, state: State) -> Mapped:
    """`crm.activity_logged` at the end of a meeting, once it is over, and `crm.stakeholder_touched` where it names a
    contact. Salesforce does not touch the record then.

    A meeting that is still to come is remembered (`due/<id>`); the stream reads it again when its end has come.

    Raises:
        BadRecordError: a field that every meeting has is missing or malformed.
    """
    record = raw.body
    meeting_id = full_id(str(required(record, "Id")))
    created_at = iso_instant(required(record, "CreatedDate"), "CreatedDate")
    modified_at = iso_instant(required(record, "SystemModstamp"), "SystemModstamp")
    account, entry = _account(record), DUE + meeting_id
    forget = {entry: None} if entry in state else {}
    if account is None or record.get("IsDeleted") or record.get("EndDateTime") is None:
        return Mapped(state=forget)
    ended_at = iso_instant(record["EndDateTime"], "EndDateTime")
    if not record.get(HELD):
        return Mapped(state={entry: iso(ended_at)})
    # It may also be written down when it is long over: then the record is new, and the meeting is not.
    untold = entry in state or any(is_new(at, modified_at, state, OVERLAP) for at in (ended_at, created_at))
    held = MappedEvent(
        kind="crm.activity_logged",
        object_type="Event",
        source_id=meeting_id,
        event_time=ended_at,
        account_ref=account_identity(account),
        properties={"activity": "meeting"},
    )
    return Mapped(events=tuple(touched(held, record)) if untold else (), state=forget)


def _account(record: Mapping[str, Any]) -> str | None:
    """The account that Salesforce derives, else the one that the task is about."""
    named = text(record.get("AccountId")) or text(record.get("WhatId")) or ""
    return full_id(named) if named.startswith(_ACCOUNT_PREFIX) else None
