"""A world's accounts, opportunities and tickets as HubSpot companies, deals and tickets, as of a source time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from connectors.hubspot.simulated_deals import deals_at
from connectors.hubspot.simulated_ids import company_id, owner_id, ticket_object_id
from connectors.hubspot.simulated_merges import Merges
from connectors.simulation.calendar import DAY, iso, iso_day
from connectors.simulation.links import link_at
from connectors.simulation.world import NEVER, PRIORITIES, Ints, World

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


def hubspot_time(seconds: int) -> str:
    """`2026-11-20T10:04:11.000Z`."""
    return f"{iso(seconds)[:-1]}.000Z"


def plural(kind: str) -> str | None:
    """The plural name of what a path calls an object type; None where there is no such type."""
    return next((name for name, others in OBJECT_TYPES.items() if kind.lower() in (name, *others)), None)


def shelf_of(world: World, merges: Merges, object_type: str, now: int) -> Shelf:
    """Every object of a type at `now`; `merges` are those made through the endpoint."""
    merges = merges.with_those_of(world)
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
        link = link_at(account, now)
        modified_at = max(
            [account.created_at, link.at, *(change.at for change in changes), *(one.at for one in merged)]
            + [one.until for one in merges.done if one.winner == number and one.until <= now]
        )
        found.append(
            (number, account, link, modified_at, archived_at, ";".join(str(one.loser) for one in merged) or None)
        )
    found.sort(key=lambda one: one[0])

    def render(row: int) -> Properties:
        _, account, link, _, _, merged = found[row]
        owner, plan = account.owner, account.plan
        for change in account.changes:
            if change.at <= now:
                owner, plan = change.owner or owner, change.plan or plan
        contract = account.contract_at(now)
        return {
            "name": account.name,
            "domain": link.domain,
            "website": link.domain,
            "lifecyclestage": "customer",
            "hubspot_owner_id": owner_id(owner),
            "annualrevenue": None,
            "hs_merged_object_ids": merged,
            "crm_account_id": link.crm_id,
            "segment": account.segment,
            "region": account.region,
            "plan": plan,
            "time_zone": account.time_zone or None,
            "arr": None if contract is None else f"{contract.arr_cents / 100:.2f}",
            "arr_currency": None if contract is None else "USD",
            "contract_end": None if contract is None else iso_day(contract.end),
        }

    return Shelf(
        "companies",
        _column(one[0] for one in found),
        _column(one[1].created_at for one in found),
        _column(one[3] for one in found),
        _column(one[4] for one in found),
        render,
        lambda row: found[row][0],
    )


def _deals(world: World, merges: Merges, now: int) -> Shelf:
    found = deals_at(world, now)

    def render(row: int) -> Properties:
        deal = found[row]
        won = deal.stage == "closedwon"
        return {
            "dealname": deal.name,
            "amount": str(deal.amount_cents // 100),
            "dealstage": deal.stage,
            "pipeline": "default",
            "dealtype": "existingbusiness" if deal.existing_business else "newbusiness",
            "closedate": hubspot_time(deal.close_at),
            "hs_is_closed": "true" if deal.closed else "false",
            "hs_is_closed_won": "true" if won else "false",
            "hs_v2_date_entered_current_stage": hubspot_time(deal.entered_at),
            "hubspot_owner_id": owner_id(deal.account.owner),
            "hs_mrr": None,
            "hs_arr": None,
        }

    return Shelf(
        "deals",
        _column(deal.number for deal in found),
        _column(deal.created_at for deal in found),
        _column(deal.entered_at for deal in found),
        np.full(len(found), NEVER),
        render,
        lambda row: merges.winner_of(company_id(found[row].account.external_id), now),
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
        ticket_object_id(0) + tickets.ticket_id[places],
        opened_at,
        np.where(solved, np.maximum(opened_at, solved_at), opened_at),
        np.full(len(places), NEVER),
        render,
        company,
    )


def _column(values: Any) -> Ints:
    return np.fromiter(values, dtype=np.int64)
