"""The world of `git_usage/events.csv.gz`: ten years of real activity. See docs/data-mapping.md for the mapping."""

import csv
import gzip
import os
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from connectors.simulation.billing import bill
from connectors.simulation.calendar import DAY, epoch, month_starts
from connectors.simulation.directory import (
    company_names,
    domain_of,
    owner_of,
    owners,
    plan_of,
    region_of,
    segment_of,
)
from connectors.simulation.identifiers import hashed, salesforce_id
from connectors.simulation.seat_counts import count_seats, with_contract
from connectors.simulation.world import PRIORITIES, Account, FeatureEvents, Ints, Seats, Tickets, World
from vitals.errors import UserError

HISTORY_END = epoch("2023-12-01")

_FILE = Path("git_usage") / "events.csv.gz"
_COLUMNS = (
    "timestamp",
    "account",
    "user",
    "feature",
    "lines_changed",
    "files",
    "change_id",
    "opened_at",
    "personal_email",
)
_FIRST_TICKET_ID = 10_001


def load(data_dir: Path | None = None, history_end: int = HISTORY_END) -> World:
    """Read the file below `data_dir`, or below `VITALS_DATA_DIR`; raises `UserError` when it is absent or unusable."""
    activity = _read(_path(data_dir))
    accounts = _accounts(activity)
    seats = _seats(activity, len(accounts))
    accounts = tuple(with_contract(account, seats) for account in accounts)
    subscriptions, invoices = bill(accounts, seats)
    return World(
        name="git_usage",
        history_start=min(account.created_at for account in accounts),
        history_end=history_end,
        owners=owners(),
        accounts=accounts,
        events=_events(activity, accounts),
        tickets=_tickets(activity),
        seats=seats,
        subscriptions=subscriptions,
        invoices=invoices,
        notes=("The list price, the monthly invoices and all that the CRM says of an account are assumptions.",),
    )


@dataclass(slots=True)
class _Codes:
    """Texts in order of first appearance, each with its number."""

    of: dict[str, int] = field(default_factory=dict)

    def add(self, text: str) -> int:
        return self.of.setdefault(text, len(self.of))


@dataclass(slots=True)
class _Activity:
    """The file by columns; unknown companies have codes of their own, made negative as `-1 - code`."""

    event_time: list[int] = field(default_factory=list)
    company: list[int] = field(default_factory=list)
    user: list[int] = field(default_factory=list)
    feature: list[int] = field(default_factory=list)
    lines_changed: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    accounts: _Codes = field(default_factory=_Codes)
    unknown: _Codes = field(default_factory=_Codes)
    users: _Codes = field(default_factory=_Codes)
    features: _Codes = field(default_factory=_Codes)
    # Of each change: when it was opened and solved, its account and its requester.
    changes: dict[str, tuple[int, int, int, int]] = field(default_factory=dict)


def _path(data_dir: Path | None) -> Path:
    folder = data_dir or (Path(os.environ["VITALS_DATA_DIR"]) if os.environ.get("VITALS_DATA_DIR") else None)
    if folder is None:
        raise UserError(f"name the folder that holds {_FILE} with --data or VITALS_DATA_DIR, or use --world.")
    if not (folder / _FILE).is_file():
        raise UserError(f"{folder / _FILE} does not exist.")
    return folder / _FILE


def _read(path: Path) -> _Activity:
    activity = _Activity()
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
            rows = csv.reader(lines)
            header = next(rows, [])
            missing = [column for column in _COLUMNS if column not in header]
            if missing:
                raise UserError(f"{path} lacks the column {missing[0]}.")
            places = [header.index(column) for column in _COLUMNS]
            for number, row in enumerate(rows, start=2):
                try:
                    _add(activity, [row[place] for place in places])
                except (ValueError, IndexError) as error:
                    raise UserError(
                        f"{path} line {number} is not a row of the columns {', '.join(_COLUMNS)}."
                    ) from error
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
        raise UserError(f"{path} cannot be read as a gzip file.") from error
    if not activity.accounts.of:
        raise UserError(f"{path} holds no row of an account.")
    return activity


def _add(activity: _Activity, row: list[str]) -> None:
    timestamp, account, user, feature, lines_changed, files, change_id, opened_at, personal_email = row
    event_time, user_code = epoch(timestamp), activity.users.add(user)
    if personal_email == "1":
        # A private person: the prefix keeps the label out of everything that the CRM could know.
        company = -1 - activity.unknown.add(f"personal_{account}")
    else:
        company = activity.accounts.add(account)
        activity.changes.setdefault(change_id, (epoch(opened_at), event_time, company, user_code))
    activity.event_time.append(event_time)
    activity.company.append(company)
    activity.user.append(user_code)
    activity.feature.append(activity.features.add(feature))
    activity.lines_changed.append(int(lines_changed))
    activity.files.append(int(files))


def _accounts(activity: _Activity) -> tuple[Account, ...]:
    first = [2**62] * len(activity.accounts.of)
    for event_time, company in zip(activity.event_time, activity.company, strict=True):
        if company >= 0:
            first[company] = min(first[company], event_time)
    for opened_at, solved_at, company, _ in activity.changes.values():
        first[company] = min(first[company], opened_at, solved_at)
    names = company_names(activity.accounts.of)
    return tuple(
        Account(
            index=index,
            external_id=external_id,
            crm_id=salesforce_id("001", external_id),
            name=names[external_id],
            segment=segment_of(external_id),
            region=region_of(external_id),
            plan=plan_of(external_id),
            owner=owner_of(external_id),
            created_at=first[index] - DAY,
            first_activity_at=first[index],
            contract_seats=0,
            domain=domain_of(names[external_id]),
        )
        for external_id, index in activity.accounts.of.items()
    )


def _seats(activity: _Activity, accounts: int) -> Seats:
    company, event_time = np.asarray(activity.company), np.asarray(activity.event_time, dtype=np.int64)
    # A month more than the data, so that the end of use is seen and ends the subscription.
    months = month_starts(int(event_time.min()), int(event_time.max()) + 31 * DAY)
    known = company >= 0
    return count_seats(event_time[known], company[known], np.asarray(activity.user)[known], accounts, months)


def _events(activity: _Activity, accounts: tuple[Account, ...]) -> FeatureEvents:
    company = np.asarray(activity.company, dtype=np.int64)
    event_time = np.asarray(activity.event_time, dtype=np.int64)
    order = np.argsort(event_time, kind="stable")

    def column(values: list[int] | Ints) -> Ints:
        return np.asarray(values, dtype=np.int64)[order]

    return FeatureEvents(
        row=column(np.arange(1, len(event_time) + 1)),
        event_time=column(event_time),
        company=column(np.where(company < 0, len(accounts) - 1 - company, company)),
        user=column(activity.user),
        feature=column(activity.feature),
        lines_changed=column(activity.lines_changed),
        files=column(activity.files),
        company_ids=(*(account.crm_id for account in accounts), *activity.unknown.of),
        users=tuple(activity.users.of),
        features=tuple(activity.features.of),
    )


def _tickets(activity: _Activity) -> Tickets:
    # A ticket shows when it is opened; one that the data solves before it opens shows when both have happened.
    changes = sorted(activity.changes.items(), key=lambda item: (item[1][0], item[0]))
    columns = np.array([times for _, times in changes], dtype=np.int64)
    return Tickets(
        ticket_id=np.arange(_FIRST_TICKET_ID, _FIRST_TICKET_ID + len(changes), dtype=np.int64),
        account=columns[:, 2],
        opened_at=columns[:, 0],
        solved_at=columns[:, 1],
        requester=columns[:, 3],
        priority=np.array([hashed(f"priority:{change}") % len(PRIORITIES) for change, _ in changes], dtype=np.int64),
        requesters=tuple(activity.users.of),
    )
