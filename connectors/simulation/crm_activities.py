"""What account managers do with their accounts, as Salesforce tasks: a call, an e-mail or a visit about once a month.

No data set tells of it, so every world has the same made-up rule: drawn from the account and the number of the task,
and independent of how the account is doing. A task is opened, and closed when it is done. A meeting once a quarter is
put into the calendar two weeks ahead; nobody touches it when it has been held.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, TypeVar

from connectors.simulation.calendar import DAY, iso_day
from connectors.simulation.identifiers import hashed, salesforce_id
from connectors.simulation.soql import Fields, Row, datetime_text
from connectors.simulation.world import Account, World

TASK_FIELDS: Fields = {
    "Id": "id",
    "IsDeleted": "boolean",
    "WhoId": "reference",
    "WhatId": "reference",
    "AccountId": "reference",
    "Subject": "string",
    "Status": "picklist",
    "Priority": "picklist",
    "ActivityDate": "date",
    "TaskSubtype": "picklist",
    "IsClosed": "boolean",
    "CompletedDateTime": "datetime",
    "OwnerId": "reference",
    "IsArchived": "boolean",
}

EVENT_FIELDS: Fields = {
    "Id": "id",
    "IsDeleted": "boolean",
    "WhoId": "reference",
    "WhatId": "reference",
    "AccountId": "reference",
    "Subject": "string",
    "StartDateTime": "datetime",
    "EndDateTime": "datetime",
    "IsAllDayEvent": "boolean",
    "EventSubtype": "picklist",
    "OwnerId": "reference",
}

_QUARTER = 91 * DAY
_AHEAD = 14 * DAY
_EVERY = 30 * DAY
_SPREAD = 12 * DAY
_SUBTYPES = ("Call", "Email", "Task")
_SUBJECTS = {"Call": "Check-in call", "Email": "E-mail: how is it going?", "Task": "Visit"}


def task_rows(world: World, now: int) -> list[Row]:
    """Every task that is there at `now`, as it then is."""
    return [
        done if done_at <= now else opened
        for account in world.accounts
        for opened_at, done_at, opened, done in _kept(account, world.history_end, _tasks)
        if opened_at <= now
    ]


def meeting_rows(world: World, now: int) -> list[Row]:
    """Every meeting that is in the calendar at `now`, held or still to come."""
    return [
        row
        for account in world.accounts
        for written_at, row in _kept(account, world.history_end, _meetings)
        if written_at <= now
    ]


Begun = TypeVar("Begun", bound=tuple[Any, ...])


def _kept(account: Account, history_end: int, made: Callable[[Account, int], tuple[Begun, ...]]) -> Iterable[Begun]:
    """What was begun (the first of each) while the account was there: one that is gone gets nothing new."""
    everything = made(account, history_end)
    deletions = [(change.at, change.deleted) for change in account.changes if change.deleted is not None]
    if not deletions:
        return everything
    return (one for one in everything if not next((gone for at, gone in reversed(deletions) if at <= one[0]), False))


@lru_cache(maxsize=10_000)
def _tasks(account: Account, history_end: int) -> tuple[tuple[int, int, dict[str, Any], dict[str, Any]], ...]:
    """(opened at, done at, record while open, record when done) until two years after the history."""
    found = []
    for number in range(max(0, (history_end + 730 * DAY - account.first_activity_at) // _EVERY)):
        drawn = hashed(f"task:{account.external_id}:{number}")
        opened_at = account.first_activity_at + number * _EVERY + drawn % _SPREAD
        done_at = opened_at + 3_600 + drawn // _SPREAD % (6 * DAY)
        subtype = _SUBTYPES[drawn % len(_SUBTYPES)]
        opened = {
            "Id": salesforce_id("00T", f"task:{account.external_id}:{number}"),
            "IsDeleted": False,
            "WhoId": None,
            "WhatId": account.crm_id,
            "AccountId": account.crm_id,
            "Subject": _SUBJECTS[subtype],
            "Status": "Not Started",
            "Priority": "Normal",
            "ActivityDate": iso_day(opened_at + 7 * DAY),
            "TaskSubtype": subtype,
            "IsClosed": False,
            "CompletedDateTime": None,
            "OwnerId": account.owner.user_id,
            "IsArchived": False,
            "CreatedDate": datetime_text(opened_at),
            "LastModifiedDate": datetime_text(opened_at),
            "SystemModstamp": datetime_text(opened_at),
        }
        written = datetime_text(done_at)
        done = {
            **opened,
            "Status": "Completed",
            "IsClosed": True,
            "CompletedDateTime": written,
            "LastModifiedDate": written,
            "SystemModstamp": written,
        }
        found.append((opened_at, done_at, opened, done))
    return tuple(found)


@lru_cache(maxsize=10_000)
def _meetings(account: Account, history_end: int) -> tuple[tuple[int, dict[str, Any]], ...]:
    """(written at, record) until two years after the history."""
    found = []
    for number in range(max(0, (history_end + 730 * DAY - account.first_activity_at) // _QUARTER)):
        drawn = hashed(f"meeting:{account.external_id}:{number}")
        written_at = account.first_activity_at + number * _QUARTER + drawn % (30 * DAY)
        starts_at = written_at + _AHEAD
        written = datetime_text(written_at)
        row = {
            "Id": salesforce_id("00U", f"meeting:{account.external_id}:{number}"),
            "IsDeleted": False,
            "WhoId": None,
            "WhatId": account.crm_id,
            "AccountId": account.crm_id,
            "Subject": "Business review",
            "StartDateTime": datetime_text(starts_at),
            "EndDateTime": datetime_text(starts_at + 3_600),
            "IsAllDayEvent": False,
            "EventSubtype": "Event",
            "OwnerId": account.owner.user_id,
            "CreatedDate": written,
            "LastModifiedDate": written,
            "SystemModstamp": written,
        }
        found.append((written_at, row))
    return tuple(found)
