"""A world's accounts, opportunities and tickets as HubSpot companies, deals and tickets, as of a source time."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from connectors.hubspot.simulated_merges import Merges
from connectors.simulation.calendar import DAY, iso
from connectors.simulation.identifiers import numeric_id
from connectors.simulation.world import LIST_PRICE_CENTS, NEVER, PRIORITIES, Account, Ints, Owner, World

PORTAL = 24_680_135

OBJECT_TYPES: Mapping[str, tuple[str, ...]] = {
    "companies": ("company", "0-2"),
    "deals": ("deal", "0-3"),
    "tickets": ("ticket", "0-5"),
}
"""Plural names with what else HubSpot takes for them."""

DEFAULT_PROPERTIES: Mapping[str, tuple[str, ...]] = {
    "companies": ("name", "domain", "createdate", "hs_lastmodifieddate", "hs_object_id"),
    "deals": (
        *("dealname", "amount", "closedate", "dealstage", "pipeline"),
        *("createdate", "hs_lastmodifieddate", "hs_object_id"),
    ),
    "tickets": (
        *("subject", "content", "hs_pipeline", "hs_pipeline_stage", "hs_ticket_category", "hs_ticket_priority"),
        *("createdate", "hs_lastmodifieddate", "hs_object_id"),
    ),
}
"""What a read gives where it names no properties."""

ARCHIVE_SECONDS = 90 * DAY
"""How long an archived object is shown, and can be restored."""

_FIRST_TICKET_ID = 30_000_000_000
_PRIORITIES = {"low": "LOW", "normal": "MEDIUM", "high": "HIGH", "urgent": "URGENT"}
_CHANNELS = ("EMAIL", "CHAT", "FORM")

Properties = dict[str, str | None]


@dataclass(frozen=True, slots=True, eq=False)
class Shelf:
    """The objects of one type that exist at a time, archived ones too: columns by ascending id, epoch seconds.

    `render` gives the properties of a row, `company` the company that it belongs to.
    """

    object_type: str
    ids: Ints
    created_at: Ints
    modified_at: Ints
    archived_at: Ints
    render: Callable[[int], Properties]
    company: Callable[[int], int | None]

    def rows(self, *, archived: bool) -> Ints:
        """Rows that are archived, or those that are not."""
        return np.flatnonzero((self.archived_at < NEVER) == archived)

    def row_of(self, object_id: int) -> int | None:
        """The row of an id."""
        place = int(np.searchsorted(self.ids, object_id))
        return place if place < len(self.ids) and self.ids[place] == object_id else None

    def properties(self, row: int) -> Properties:
        """Every property of a row, as text."""
        return {
            **self.render(row),
            "createdate": hubspot_time(int(self.created_at[row])),
            "hs_createdate": hubspot_time(int(self.created_at[row])),
            "hs_lastmodifieddate": hubspot_time(int(self.modified_at[row])),
            "hs_object_id": str(self.ids[row]),
        }


@lru_cache(maxsize=100_000)
def company_id(external_id: str) -> int:
    """The company of an account."""
    return numeric_id(f"hubspot:company:{external_id}", 9_000_000_000)


@lru_cache(maxsize=100_000)
def deal_id(external_id: str) -> int:
    """The one deal of an account."""
    return numeric_id(f"hubspot:deal:{external_id}", 20_000_000_000)


def ticket_object_id(ticket_id: int) -> int:
    """The id that HubSpot gives a world's ticket."""
    return _FIRST_TICKET_ID + ticket_id


def owner_id(owner: Owner) -> str:
    """HubSpot's id of an owner."""
    return str(numeric_id(f"hubspot:owner:{owner.user_id}", 70_000_000))


def domain_for(account: Account) -> str:
    """The web domain of an account: its name, which is unique, in one word."""
    return f"{re.sub(r'[^a-z0-9]', '', account.name.lower()) or company_id(account.external_id)}.example"


def hubspot_time(seconds: int) -> str:
    """`2026-11-20T10:04:11.000Z`."""
    return f"{iso(seconds)[:-1]}.000Z"


def plural(kind: str) -> str | None:
    """The plural name of what a path calls an object type; None where there is no such type."""
    return next((name for name, others in OBJECT_TYPES.items() if kind.lower() in (name, *others)), None)


def shelf_of(world: World, merges: Merges, object_type: str, now: int) -> Shelf:
    """Every object of a type at `now`."""
    if object_type == "companies":
        return _companies(world, merges, now)
    return _deals(world, merges, now) if object_type == "deals" else _tickets(world, merges, now)


def _companies(world: World, merges: Merges, now: int) -> Shelf:
    found = []
    for account in world.accounts:
        number = company_id(account.external_id)
        if account.created_at > now or merges.winner_of(number, now) != number:
            continue
        changes = [change for change in account.changes if change.at <= now]
        deletions = [change for change in changes if change.deleted is not None]
        archived_at = deletions[-1].at if deletions and deletions[-1].deleted else NEVER
        if archived_at < NEVER and archived_at + ARCHIVE_SECONDS <= now:
            continue
        merged = merges.into(number, now)
        modified_at = max([account.created_at, *(change.at for change in changes), *(one.at for one in merged)])
        found.append((number, account, modified_at, archived_at, ";".join(str(one.loser) for one in merged) or None))
    found.sort(key=lambda one: one[0])

    def render(row: int) -> Properties:
        _, account, _, _, merged = found[row]
        owner, plan = account.owner, account.plan
        for change in account.changes:
            if change.at <= now:
                owner, plan = change.owner or owner, change.plan or plan
        return {
            "name": account.name,
            "domain": domain_for(account),
            "website": domain_for(account),
            "lifecyclestage": "customer",
            "hubspot_owner_id": owner_id(owner),
            "annualrevenue": None,
            "hs_merged_object_ids": merged,
            "crm_account_id": account.crm_id,
            "segment": account.segment,
            "region": account.region,
            "plan": plan,
        }

    return Shelf(
        "companies",
        _column(one[0] for one in found),
        _column(one[1].created_at for one in found),
        _column(one[2] for one in found),
        _column(one[3] for one in found),
        render,
        lambda row: found[row][0],
    )


def _deals(world: World, merges: Merges, now: int) -> Shelf:
    found = sorted(
        (deal_id(account.external_id), account) for account in world.accounts if account.first_activity_at <= now
    )

    def render(row: int) -> Properties:
        account = found[row][1]
        amount = account.contract_seats * LIST_PRICE_CENTS * 12 // 100
        closed_at = hubspot_time(account.first_activity_at)
        return {
            "dealname": f"{account.name} - New Business",
            "amount": str(amount),
            "dealstage": "closedwon",
            "pipeline": "default",
            "dealtype": "newbusiness",
            "closedate": closed_at,
            "hs_is_closed": "true",
            "hs_is_closed_won": "true",
            "hs_v2_date_entered_current_stage": closed_at,
            "hubspot_owner_id": owner_id(account.owner),
            "hs_mrr": None,
            "hs_arr": None,
        }

    first = _column(account.first_activity_at for _, account in found)
    return Shelf(
        "deals",
        _column(number for number, _ in found),
        first,
        first,
        np.full(len(found), NEVER),
        render,
        lambda row: merges.winner_of(company_id(found[row][1].external_id), now),
    )


def _tickets(world: World, merges: Merges, now: int) -> Shelf:
    tickets = world.tickets
    places = np.flatnonzero(tickets.opened_at <= now)
    places = places[np.argsort(tickets.ticket_id[places], kind="stable")]
    opened_at, solved_at = tickets.opened_at[places], tickets.solved_at[places]
    solved = solved_at <= now

    def render(row: int) -> Properties:
        number, priority = int(tickets.ticket_id[places[row]]), PRIORITIES[int(tickets.priority[places[row]])]
        closed_at = int(solved_at[row]) if solved[row] else None
        lasted = None if closed_at is None else str(max(closed_at - int(opened_at[row]), 0) * 1000)
        return {
            "subject": f"Request {number}",
            "content": None,
            "hs_pipeline": "0",
            "hs_pipeline_stage": "1" if closed_at is None else "4",
            "hs_ticket_priority": _PRIORITIES[priority],
            "hs_ticket_category": "PRODUCT_ISSUE" if priority in ("high", "urgent") else "GENERAL_INQUIRY",
            "source_type": _CHANNELS[number % len(_CHANNELS)],
            "closed_date": None if closed_at is None else hubspot_time(closed_at),
            "time_to_close": lasted,
        }

    def company(row: int) -> int | None:
        account = world.accounts[int(tickets.account[places[row]])]
        return merges.winner_of(company_id(account.external_id), now)

    return Shelf(
        "tickets",
        tickets.ticket_id[places] + _FIRST_TICKET_ID,
        opened_at,
        np.where(solved, np.maximum(opened_at, solved_at), opened_at),
        np.full(len(places), NEVER),
        render,
        company,
    )


def _column(values: Any) -> Ints:
    return np.fromiter(values, dtype=np.int64)
