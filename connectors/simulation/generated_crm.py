"""What the CRM of a generated world holds: accounts with their contracts, people, and what managers do with them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from connectors.simulation.calendar import DAY
from connectors.simulation.contract_billing import effective_at
from connectors.simulation.contract_course import Course
from connectors.simulation.directory import company_names, domain_of, owner_of, owners, person_name
from connectors.simulation.generated_use import Rhythm, first_places, spread
from connectors.simulation.identifiers import hashed, salesforce_id
from connectors.simulation.latent_health import Block
from connectors.simulation.population import Population
from connectors.simulation.working_calendar import COUNTRIES
from connectors.simulation.world import (
    ACTIVITY_KINDS,
    NEVER,
    Account,
    AccountChange,
    Activities,
    Contact,
    Ints,
)

_OWNER_CHANGES = 0.15
_ATTENTION = {"Enterprise": 0.09, "Mid-Market": 0.05, "SMB": 0.018}
_KIND_SHARES = (0.45, 0.25, 0.2, 0.1)
_TITLES = {
    "champion": ("Head of Operations", "Product Lead", "Programme Manager"),
    "decision_maker": ("Chief Operating Officer", "Vice President, Technology", "Managing Director"),
    "billing": ("Accounts Payable", "Finance Manager", "Controller"),
    "administrator": ("System Administrator", "IT Manager", "Solutions Engineer"),
}


@dataclass(frozen=True, slots=True, eq=False)
class ActivityBlock:
    """Columns sorted by creation; times as in `Activities`."""

    account: Ints
    kind: Ints
    created_at: Ints
    due_at: Ints
    done_at: Ints


def activities(
    rng: np.random.Generator, people: Population, block: Block, days: Rhythm, midnight: int
) -> ActivityBlock:
    """Mails, calls, meetings and tasks: fewer, and fewer that take place, where contact is cold."""
    attention = np.array([_ATTENTION[segment] for segment in people.segment])[:, None]
    contact = block.signals["contact"]
    account, day = spread(rng.poisson(attention * contact * np.where(days.work > 0.4, 1.0, 0.02) * block.alive))
    # A manager first writes on the day after the account is there.
    known = midnight // DAY + day > midnight // DAY + people.first_day[account] - block.first_day
    account, day = account[known], day[known]
    count = len(account)
    kind = np.searchsorted(np.cumsum(_KIND_SHARES), rng.random(count), side="right").clip(0, len(ACTIVITY_KINDS) - 1)
    created_at = midnight + day * DAY + rng.integers(7 * 3_600, 17 * 3_600, count)
    planned = np.isin(kind, [ACTIVITY_KINDS.index("meeting"), ACTIVITY_KINDS.index("task")])
    due_at = np.where(planned, created_at + rng.integers(1, 11, count) * DAY, created_at)
    held = rng.random(count) < np.clip(0.92 * np.sqrt(contact[account, day]), 0.2, 0.96)
    done_at = np.where(held | ~planned, due_at + planned * rng.integers(0, 7_200, count), NEVER)
    order = np.argsort(created_at, kind="stable")
    return ActivityBlock(*(column[order].astype(np.int64) for column in (account, kind, created_at, due_at, done_at)))


def directory(
    seed: int, people: Population, courses: Sequence[Course], first_at: Ints, left_at: Sequence[int | None], start: int
) -> tuple[Account, ...]:
    """The accounts, each from a day before its first activity on; what changes in the CRM later is among `changes`."""
    names, everyone = company_names(people.external_ids), owners()
    accounts = []
    for index, external_id in enumerate(people.external_ids):
        course, country, first = courses[index], COUNTRIES[int(people.country[index])], int(first_at[index])
        changes = list[AccountChange]()
        for (_, before), (day, contract) in zip(course.contracts, course.contracts[1:], strict=False):
            plan = None if contract.plan == before.plan else contract.plan
            # The CRM learns of a contract in the hours that follow, not all of them in one second.
            at = effective_at(start, day, contract) + 3_600 + hashed(f"crm:{external_id}:{day}") % 18_000
            changes.append(AccountChange(at, plan=plan, contract=contract))
        drawn = np.random.default_rng([seed, 9, index])
        if drawn.random() < _OWNER_CHANGES:
            at = first + int(drawn.integers(20 * DAY, 300 * DAY))
            if left_at[index] is None or at < (left_at[index] or 0):
                changes.append(AccountChange(at, owner=everyone[int(drawn.integers(len(everyone)))]))
        accounts.append(
            Account(
                index=index,
                external_id=external_id,
                crm_id=salesforce_id("001", external_id),
                name=names[external_id],
                segment=people.segment[index],
                region=people.region[index],
                plan=people.plan[index],
                owner=owner_of(external_id),
                created_at=first - DAY,
                first_activity_at=first,
                contract_seats=int(people.seats[index]),
                changes=tuple(sorted(changes, key=lambda change: change.at)),
                domain=domain_of(names[external_id]),
                country=country.code,
                time_zone=country.time_zone,
                employees=int(people.employees[index]),
                contract=course.contracts[0][1],
            )
        )
    return tuple(accounts)


def contacts(
    people: Population, accounts: Sequence[Account], departures: Sequence[Sequence[int]], start: int
) -> tuple[tuple[Contact, ...], Ints]:
    """The people whom the CRM knows, and the place of each account's first champion among them.

    A champion who leaves is followed by another some weeks later. Champions are the first of the roster, who use the
    product most; decision makers and those who pay are its last, who hardly ever do.
    """
    found: list[Contact] = []
    champions = np.zeros(len(accounts), dtype=np.int64)
    for account, first in zip(accounts, first_places(people).tolist(), strict=True):
        last = first + int(people.roster[account.index]) - 1
        champions[account.index] = len(found)
        joined_at = account.created_at
        for number, day in enumerate(departures[account.index]):
            left_at = start + day * DAY
            found.append(_contact(account, "champion", number, first + number, joined_at, left_at))
            joined_at = left_at + (20 + hashed(f"{account.external_id}:{day}") % 40) * DAY
        number = len(departures[account.index])
        found.append(_contact(account, "champion", number, first + number, joined_at, NEVER))
        for role, user in (("decision_maker", last), ("billing", last - 1), ("administrator", first + 4)):
            found.append(_contact(account, role, 0, user, account.created_at, NEVER))
    return tuple(found), champions


def _contact(account: Account, role: str, number: int, user: int, joined_at: int, left_at: int) -> Contact:
    key = f"{account.external_id}:{role}:{number}"
    name, titles = person_name(key), _TITLES[role]
    return Contact(
        contact_id=salesforce_id("003", key),
        account=account.index,
        name=name,
        email=f"{name.lower().replace(' ', '.')}@{account.domain}",
        title=titles[hashed(f"title:{key}") % len(titles)],
        role=role,
        user=user,
        joined_at=joined_at,
        left_at=max(left_at, joined_at),
    )


def with_people(
    drawn: ActivityBlock, people: Sequence[Contact], champions: Ints, left_at: Sequence[int | None]
) -> Activities:
    """The activities with whom they were: the champion of the time, the decision maker while there is none."""
    place = champions[drawn.account]
    replaced = {one.account for one in people if one.left_at < NEVER}
    for row in np.flatnonzero(np.isin(drawn.account, list(replaced))).tolist():
        at, first = int(drawn.created_at[row]), int(place[row])
        here = first
        while people[here].role == "champion" and not people[here].joined_at <= at < people[here].left_at:
            here += 1
        place[row] = here
    gone = np.array([NEVER if at is None else at for at in left_at], dtype=np.int64)
    return Activities(
        row=np.arange(1, len(drawn.account) + 1, dtype=np.int64),
        account=drawn.account,
        contact=place,
        kind=drawn.kind,
        created_at=drawn.created_at,
        due_at=drawn.due_at,
        # What an account that has left meant to do does not take place.
        done_at=np.where(drawn.done_at < gone[drawn.account], drawn.done_at, NEVER),
    )
