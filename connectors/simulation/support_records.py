"""A world's tickets, metric sets and organizations as Zendesk objects."""

from functools import lru_cache
from typing import Any

from connectors.simulation.calendar import iso
from connectors.simulation.identifiers import numeric_id
from connectors.simulation.links import link_at
from connectors.simulation.ticket_versions import TicketVersions
from connectors.simulation.world import PRIORITIES, Account, World

_FIRST_ORGANIZATION_ID = 500_001
# From this rating on, of five, a requester calls a solution good: Zendesk asks for no more than good or bad.
_GOOD = 4
_SUBJECTS = (
    "Login fails",
    "Export is incomplete",
    "How do I invite a colleague?",
    "Report shows wrong totals",
    "Import stops halfway",
    "Question on an invoice",
    "Page loads slowly",
    "Webhook is not delivered",
)


def organization_id(account: int) -> int:
    """The organization of the account with this index."""
    return _FIRST_ORGANIZATION_ID + account


@lru_cache(maxsize=100_000)
def _user_id(name: str) -> int:
    return numeric_id(name, 20_000_000_000)


def ticket(world: World, versions: TicketVersions, version: int, api: str) -> dict[str, Any]:
    """One version of a ticket; `api` is the address that its URL starts with."""
    place, since, solved = int(versions.place[version]), int(versions.since[version]), bool(versions.solved[version])
    ticket_id, priority = int(world.tickets.ticket_id[place]), PRIORITIES[int(world.tickets.priority[place])]
    requester = _user_id(world.tickets.requesters[int(world.tickets.requester[place])])
    subject = _SUBJECTS[ticket_id % len(_SUBJECTS)]
    return {
        "id": ticket_id,
        "url": f"{api}/tickets/{ticket_id}.json",
        "external_id": None,
        "created_at": iso(int(world.tickets.opened_at[place])),
        "updated_at": iso(since),
        "generated_timestamp": since,
        "type": "incident" if priority in ("high", "urgent") else "question",
        "subject": subject,
        "raw_subject": subject,
        "description": subject,
        "priority": priority,
        "status": "deleted" if versions.deleted[version] else "solved" if solved else "open",
        "custom_status_id": 4001 if solved else 4002,
        "requester_id": requester,
        "submitter_id": requester,
        "assignee_id": 235323,
        "organization_id": organization_id(int(world.tickets.account[place])),
        "group_id": 98738,
        "brand_id": 360002,
        "ticket_form_id": 47,
        "problem_id": None,
        "has_incidents": False,
        "is_public": True,
        "due_at": None,
        "tags": [],
        "custom_fields": [],
        "satisfaction_rating": _satisfaction(ticket_id, int(versions.rating[version])),
        "via": {"channel": "web"},
        "allow_channelback": False,
    }


def _satisfaction(ticket_id: int, rating: int) -> dict[str, Any]:
    if not rating:
        return {"score": "unoffered"}
    return {"id": ticket_id + 2 * 10**9, "score": "good" if rating >= _GOOD else "bad", "comment": None}


def metric_set(world: World, versions: TicketVersions, version: int, api: str) -> dict[str, Any]:
    """The metrics that Zendesk keeps beside a ticket: the exact time of its solution among them."""
    place, since = int(versions.place[version]), int(versions.since[version])
    ticket_id, opened_at = int(world.tickets.ticket_id[place]), int(world.tickets.opened_at[place])
    solved_at = int(world.tickets.solved_at[place]) if versions.solved[version] else None
    minutes = None if solved_at is None else max(solved_at - opened_at, 0) // 60
    opened, changed = iso(opened_at), iso(since)
    lasted = {"calendar": minutes, "business": minutes}
    return {
        "id": ticket_id + 10**9,
        "url": f"{api}/ticket_metrics/{ticket_id + 10**9}.json",
        "ticket_id": ticket_id,
        "created_at": opened,
        "updated_at": changed,
        "group_stations": 1,
        "assignee_stations": 1,
        "reopens": 0,
        "replies": 0 if solved_at is None else 1,
        "assignee_updated_at": changed,
        "requester_updated_at": opened,
        "status_updated_at": changed,
        "initially_assigned_at": opened,
        "assigned_at": opened,
        "solved_at": None if solved_at is None else iso(solved_at),
        "latest_comment_added_at": changed,
        "first_resolution_time_in_minutes": lasted,
        "full_resolution_time_in_minutes": lasted,
        "reply_time_in_minutes": lasted,
        "requester_wait_time_in_minutes": lasted,
        "agent_wait_time_in_minutes": {"calendar": None, "business": None},
        "on_hold_time_in_minutes": {"calendar": 0, "business": 0},
    }


def organization(account: Account, now: int, api: str) -> dict[str, Any] | None:
    """The organization of an account with the link that it holds, usually the CRM's id; None before it exists."""
    if account.created_at > now:
        return None
    # A contract is no concern of support.
    changes = [change for change in account.changes if change.at <= now and change.contract is None]
    deleted = [change for change in changes if change.deleted is not None]
    number = organization_id(account.index)
    link = link_at(account, now)
    updated_at = max(changes[-1].at if changes else account.created_at, link.at)
    return {
        "id": number,
        "url": f"{api}/organizations/{number}.json",
        "name": account.name,
        "domain_names": [link.domain] if link.domain else [],
        "external_id": link.crm_id,
        "group_id": None,
        "shared_tickets": False,
        "shared_comments": False,
        "tags": [],
        "details": "",
        "notes": "",
        "organization_fields": {},
        "created_at": iso(account.created_at),
        "updated_at": iso(updated_at),
        "deleted_at": iso(deleted[-1].at) if deleted and deleted[-1].deleted else None,
    }
