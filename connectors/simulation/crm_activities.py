"""What account managers do with their accounts, as Salesforce tasks and meetings.

A world that knows it shows it: mails, calls and tasks as tasks, meetings in the calendar, where one that does not take
place is deleted an hour before. Other worlds have a made-up rule, drawn from the account and the number of the task and
independent of how the account is doing: a call, an e-mail or a visit about once a month, opened and then closed, and
once a quarter a meeting, put into the calendar two weeks ahead. Nobody touches a meeting when it has been held.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from connectors.simulation.calendar import DAY, iso_day
from connectors.simulation.identifiers import hashed, salesforce_id
from connectors.simulation.soql import Fields, Row, datetime_text
from connectors.simulation.world import ACTIVITY_KINDS, NEVER, Account, World

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
_MEETING = "meeting"
_CALLED_OFF_SECONDS = 3_600
_RECYCLE_BIN_SECONDS = 15 * DAY
_SUBTYPES = ("Call", "Email", "Task")
_SUBJECTS = {"Call": "Check-in call", "Email": "E-mail: how is it going?", "Task": "Visit"}


def task_rows(world: World, now: int) -> list[Row]:
    """Every task that is there at `now`, as it then is."""
    if len(world.activities.row):
        known = _known_tasks(world)
        return [done if done_at <= now else opened for opened_at, done_at, opened, done in known if opened_at <= now]
    return [
        done if done_at <= now else opened
        for account in world.accounts
        for opened_at, done_at, opened, done in _kept(account, _tasks(account, world.history_end))
        if opened_at <= now
    ]


def meeting_rows(world: World, now: int, *, deleted: bool = False) -> list[Row]:
    """Every meeting that is in the calendar at `now`, held or still to come; with `deleted` those called off too."""
    if len(world.activities.row):
        return [
            gone if called_off_at <= now else row
            for written_at, called_off_at, row, gone in _known_meetings(world)
            if written_at <= now and (now < called_off_at or (deleted and now < called_off_at + _RECYCLE_BIN_SECONDS))
        ]
    return [
        row
        for account in world.accounts
        for written_at, row in _kept(account, _meetings(account, world.history_end))
        if written_at <= now
    ]


Begun = TypeVar("Begun", bound=tuple[Any, ...])


def _kept(account: Account, everything: Sequence[Begun]) -> Iterable[Begun]:
    """What was begun (the first of each) while the account was there: one that is gone gets nothing new."""
    deletions = [(change.at, change.deleted) for change in account.changes if change.deleted is not None]
    if not deletions:
        return everything
    return (one for one in everything if not next((gone for at, gone in reversed(deletions) if at <= one[0]), False))


Versions = tuple[int, int, Row, Row]
"""When a record is there and when it changes, and what it is like before and after."""


@lru_cache(maxsize=2)
def _known_tasks(world: World) -> list[Versions]:
    """Mails, calls and tasks that a world knows of, in no order; what is not done stays open."""
    of_account = defaultdict[int, list[Versions]](list)
    for one in _activities(world):
        if one.kind == _MEETING:
            continue
        subtype = one.kind.capitalize()
        opened = _task(one.account, one.key, subtype, one.created_at, one.due_at)
        opened["WhoId"] = one.contact_id
        of_account[one.account.index].append((one.created_at, one.done_at, opened, _done(opened, one.done_at)))
    return [task for index, tasks in of_account.items() for task in _kept(world.accounts[index], tasks)]


@lru_cache(maxsize=2)
def _known_meetings(world: World) -> list[Versions]:
    of_account = defaultdict[int, list[Versions]](list)
    for one in _activities(world):
        if one.kind != _MEETING:
            continue
        row = _meeting(one.account, one.key, one.created_at, one.due_at)
        row["WhoId"] = one.contact_id
        off_at = NEVER if one.done_at < NEVER else one.due_at - _CALLED_OFF_SECONDS
        written = None if off_at == NEVER else datetime_text(off_at)
        gone = {**row, "IsDeleted": True, "LastModifiedDate": written, "SystemModstamp": written}
        of_account[one.account.index].append((one.created_at, off_at, row, gone))
    return [meeting for index, meetings in of_account.items() for meeting in _kept(world.accounts[index], meetings)]


class _Activity(NamedTuple):
    """One row of `World.activities`."""

    key: str
    account: Account
    contact_id: str
    kind: str
    created_at: int
    due_at: int
    done_at: int


def _activities(world: World) -> Iterator[_Activity]:
    done = world.activities
    columns = (done.row, done.account, done.contact, done.kind, done.created_at, done.due_at, done.done_at)
    for row, account, contact, kind, *times in zip(*(column.tolist() for column in columns), strict=True):
        key = f"{world.name}:activity:{row}"
        yield _Activity(key, world.accounts[account], world.contacts[contact].contact_id, ACTIVITY_KINDS[kind], *times)


@lru_cache(maxsize=10_000)
def _tasks(account: Account, history_end: int) -> tuple[tuple[int, int, dict[str, Any], dict[str, Any]], ...]:
    """(opened at, done at, record while open, record when done) until two years after the history."""
    found = []
    for number in range(max(0, (history_end + 730 * DAY - account.first_activity_at) // _EVERY)):
        drawn = hashed(f"task:{account.external_id}:{number}")
        opened_at = account.first_activity_at + number * _EVERY + drawn % _SPREAD
        done_at = opened_at + 3_600 + drawn // _SPREAD % (6 * DAY)
        subtype = _SUBTYPES[drawn % len(_SUBTYPES)]
        opened = _task(account, f"task:{account.external_id}:{number}", subtype, opened_at, opened_at + 7 * DAY)
        done = _done(opened, done_at)
        found.append((opened_at, done_at, opened, done))
    return tuple(found)


@lru_cache(maxsize=10_000)
def _meetings(account: Account, history_end: int) -> tuple[tuple[int, dict[str, Any]], ...]:
    """(written at, record) until two years after the history."""
    found = []
    for number in range(max(0, (history_end + 730 * DAY - account.first_activity_at) // _QUARTER)):
        drawn = hashed(f"meeting:{account.external_id}:{number}")
        written_at = account.first_activity_at + number * _QUARTER + drawn % (30 * DAY)
        row = _meeting(account, f"meeting:{account.external_id}:{number}", written_at, written_at + _AHEAD)
        found.append((written_at, row))
    return tuple(found)


def _task(account: Account, key: str, subtype: str, opened_at: int, due_at: int) -> dict[str, Any]:
    """A task that is open."""
    written = datetime_text(opened_at)
    return {
        "Id": salesforce_id("00T", key),
        "IsDeleted": False,
        "WhoId": None,
        "WhatId": account.crm_id,
        "AccountId": account.crm_id,
        "Subject": _SUBJECTS[subtype],
        "Status": "Not Started",
        "Priority": "Normal",
        "ActivityDate": iso_day(due_at),
        "TaskSubtype": subtype,
        "IsClosed": False,
        "CompletedDateTime": None,
        "OwnerId": account.owner.user_id,
        "IsArchived": False,
        "CreatedDate": written,
        "LastModifiedDate": written,
        "SystemModstamp": written,
    }


def _done(opened: dict[str, Any], done_at: int) -> dict[str, Any]:
    """The same task when it is done; as it is where that never happens."""
    if done_at == NEVER:
        return opened
    written = datetime_text(done_at)
    return {
        **opened,
        "Status": "Completed",
        "IsClosed": True,
        "CompletedDateTime": written,
        "LastModifiedDate": written,
        "SystemModstamp": written,
    }


def _meeting(account: Account, key: str, written_at: int, starts_at: int) -> dict[str, Any]:
    """A meeting of an hour in the calendar."""
    written = datetime_text(written_at)
    return {
        "Id": salesforce_id("00U", key),
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
