"""A world's accounts, requesters and tickets as Intercom's companies, contacts and conversations."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from connectors.intercom.conversation_versions import (
    ASSIGNED_AFTER_SECONDS,
    ConversationVersions,
    conversation_versions,
)
from connectors.simulation.identifiers import hashed
from connectors.simulation.links import link_at
from connectors.simulation.other_names import intercom_company_id
from connectors.simulation.stage import Simulation
from connectors.simulation.world import PRIORITIES, Account, World

company_id = intercom_company_id

APP_ID = "ab12cd34"
TEAMMATE_ID = "991267715"

_TEAM_ID = 5017691
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
_REMARKS = {1: "This took far too long.", 2: "Not what I hoped for.", 5: "Thank you, that was quick!"}


def object_id(key: str) -> str:
    """24 hexadecimal digits, as Intercom's ids of contacts and companies."""
    return f"{hashed(key):032x}"[:24]


def uuid_of(key: str) -> str:
    """The dashed form that Intercom gives requests, scrolls and notifications."""
    return str(UUID(int=hashed(key)))


@dataclass(frozen=True, slots=True)
class Contact:
    """A person of an account who asks for support; `changed_at` are the moments at which one of their conversations
    changes, in order, the first being the contact's creation."""

    contact_id: str
    account: int
    requester: str
    changed_at: tuple[int, ...]

    def updated_at(self, as_of: int) -> int | None:
        """The last change up to a time, None before the contact is there."""
        count = bisect_right(self.changed_at, as_of)
        return self.changed_at[count - 1] if count else None


@dataclass(frozen=True, slots=True, eq=False)
class Workspace:
    """A world as one Intercom workspace; `contact_of` names each ticket's contact, by its row."""

    world: World
    versions: ConversationVersions
    contacts: Mapping[str, Contact]
    contact_of: tuple[str, ...]
    place_of: Mapping[str, int]


def workspace(world: World) -> Workspace:
    """The workspace of a world: every (account, requester) is a contact of that account's company."""
    versions, tickets = conversation_versions(world.tickets, world.surveys), world.tickets
    pairs = list(zip(tickets.account.tolist(), tickets.requester.tolist(), strict=True))
    ids = {
        (account, requester): object_id(
            f"contact:{world.accounts[account].external_id}:{tickets.requesters[requester]}"
        )
        for account, requester in set(pairs)
    }
    changes: dict[str, list[int]] = {contact_id: [] for contact_id in ids.values()}
    contact_of = tuple(ids[pair] for pair in pairs)
    for since, place in zip(versions.since.tolist(), versions.place.tolist(), strict=True):
        changes[contact_of[place]].append(since)
    contacts = {
        contact_id: Contact(contact_id, account, tickets.requesters[requester], tuple(changes[contact_id]))
        for (account, requester), contact_id in ids.items()
    }
    place_of = {str(ticket_id): place for place, ticket_id in enumerate(tickets.ticket_id.tolist())}
    return Workspace(world, versions, contacts, contact_of, place_of)


_WORKSPACES: WeakKeyDictionary[Simulation, Workspace] = WeakKeyDictionary()


def workspace_of(simulation: Simulation) -> Workspace:
    """The workspace of a simulation's present world, made anew only when that has changed."""
    kept = _WORKSPACES.get(simulation)
    if kept is None or kept.world is not simulation.world:
        kept = _WORKSPACES[simulation] = workspace(simulation.world)
    return kept


def company(account: Account, now: int) -> dict[str, Any] | None:
    """The company of an account, whose `company_id` holds the CRM's id; None before it exists."""
    if account.created_at > now:
        return None
    changes = [change for change in account.changes if change.at <= now]
    plan, link = next((change.plan for change in reversed(changes) if change.plan), account.plan), link_at(account, now)
    return {
        "type": "company",
        "id": company_id(account.external_id),
        # Where nobody filled in the CRM's, the product's own.
        "company_id": f"crm-{link.crm_id}" if link.crm_id else account.external_id,
        "app_id": APP_ID,
        "name": account.name,
        "plan": {"type": "plan", "id": str(hashed(plan) % 1_000), "name": plan},
        "monthly_spend": 0,
        "session_count": 0,
        "user_count": account.contract_seats,
        "size": account.contract_seats,
        "industry": None,
        "website": f"https://www.{link.domain}" if link.domain else None,
        "remote_created_at": account.created_at,
        "created_at": account.created_at,
        "updated_at": max(changes[-1].at if changes else account.created_at, link.at),
        "last_request_at": None,
        "custom_attributes": {},
        "tags": {"type": "tag.list", "tags": []},
        "segments": {"type": "segment.list", "segments": []},
    }


def contact(space: Workspace, one: Contact, updated_at: int) -> dict[str, Any]:
    """A contact as of its last change."""
    account, address = space.world.accounts[one.account], f"/contacts/{one.contact_id}"
    belongs = company_id(account.external_id)
    nothing = {"type": "list", "data": [], "total_count": 0, "has_more": False}
    return {
        "type": "contact",
        "id": one.contact_id,
        "external_id": one.requester,
        "workspace_id": APP_ID,
        "role": "user",
        "email": _address(space, one),
        "phone": None,
        "name": _name(one),
        "owner_id": None,
        "has_hard_bounced": False,
        "marked_email_as_spam": False,
        "unsubscribed_from_emails": False,
        "created_at": one.changed_at[0],
        "updated_at": updated_at,
        "signed_up_at": one.changed_at[0],
        "last_seen_at": updated_at,
        "last_replied_at": updated_at,
        "last_contacted_at": None,
        "custom_attributes": {},
        "location": {"type": "location", "country": None, "region": None, "city": None},
        "companies": {
            "type": "list",
            "data": [{"id": belongs, "type": "company", "url": f"/companies/{belongs}"}],
            "url": f"{address}/companies",
            "total_count": 1,
            "has_more": False,
        },
        "tags": {**nothing, "url": f"{address}/tags"},
        "notes": {**nothing, "url": f"{address}/notes"},
    }


def conversation(space: Workspace, place: int, as_of: int, merged: Mapping[str, str]) -> dict[str, Any]:
    """A conversation as of a time from its opening on; `merged` names the contact that took another's place."""
    tickets = space.world.tickets
    ticket_id, opened_at = int(tickets.ticket_id[place]), int(tickets.opened_at[place])
    solved_at, rated_at = int(tickets.solved_at[place]), int(space.versions.rated_at[place])
    assigned_at, stars = opened_at + ASSIGNED_AFTER_SECONDS, int(space.versions.stars[place])
    closed, assigned, rated = solved_at <= as_of, assigned_at <= as_of, rated_at <= as_of
    moments = [opened_at, assigned_at, max(opened_at, solved_at), rated_at]
    asked_by = space.contacts[space.contact_of[place]]
    contact_id = merged.get(asked_by.contact_id, asked_by.contact_id)
    subject, priority = _SUBJECTS[ticket_id % len(_SUBJECTS)], PRIORITIES[int(tickets.priority[place])]
    return {
        "type": "conversation",
        "id": str(ticket_id),
        "created_at": opened_at,
        "updated_at": max(moment for moment in moments if moment <= as_of),
        "waiting_since": None if closed else opened_at,
        "snoozed_until": None,
        "open": not closed,
        "state": "closed" if closed else "open",
        "read": assigned,
        "priority": "priority" if priority in ("high", "urgent") else "not_priority",
        "title": subject,
        "admin_assignee_id": int(TEAMMATE_ID) if assigned else 0,
        "team_assignee_id": _TEAM_ID,
        "source": {
            "type": "conversation",
            "id": str(ticket_id + 10**9),
            "delivered_as": "customer_initiated",
            "subject": "",
            "body": f"<p>{subject}</p>",
            "author": {
                "type": "user",
                "id": contact_id,
                "name": _name(asked_by),
                "email": _address(space, asked_by),
            },
            "attachments": [],
            "url": None,
            "redacted": False,
        },
        "contacts": {
            "type": "contact.list",
            "contacts": [{"type": "contact", "id": contact_id, "external_id": asked_by.requester}],
        },
        "teammates": {"type": "admin.list", "teammates": []},
        "tags": {"type": "tag.list", "tags": []},
        "conversation_rating": _rating(stars, max(opened_at, solved_at), rated_at, contact_id) if rated else None,
        "statistics": _statistics(opened_at, solved_at, closed=closed, assigned=assigned),
        "sla_applied": None,
        "custom_attributes": {},
        "ai_agent_participated": False,
        "ai_agent": None,
    }


def _rating(stars: int, asked_at: int, rated_at: int, contact_id: str) -> dict[str, Any]:
    return {
        "rating": stars,
        "remark": _REMARKS.get(stars),
        "created_at": asked_at,
        "updated_at": rated_at,
        "contact": {"type": "contact", "id": contact_id, "external_id": None},
        "teammate": {"type": "admin", "id": TEAMMATE_ID},
    }


def _statistics(opened_at: int, solved_at: int, *, closed: bool, assigned: bool) -> dict[str, Any]:
    lasted = max(solved_at - opened_at, 0) if closed else None
    return {
        "type": "conversation_statistics",
        "time_to_assignment": ASSIGNED_AFTER_SECONDS if assigned else None,
        "time_to_admin_reply": None,
        "time_to_first_close": lasted,
        "time_to_last_close": lasted,
        "median_time_to_reply": None,
        "first_contact_reply_at": opened_at,
        "first_assignment_at": opened_at + ASSIGNED_AFTER_SECONDS if assigned else None,
        "first_admin_reply_at": None,
        "first_close_at": solved_at if closed else None,
        "last_assignment_at": opened_at + ASSIGNED_AFTER_SECONDS if assigned else None,
        "last_contact_reply_at": opened_at,
        "last_admin_reply_at": None,
        "last_close_at": solved_at if closed else None,
        "last_closed_by_id": TEAMMATE_ID if closed else None,
        "count_reopens": 0,
        "count_assignments": 1 if assigned else 0,
        "count_conversation_parts": 1 + assigned + closed,
    }


def _name(one: Contact) -> str:
    return f"Contact {one.contact_id[:6]}"


def _address(space: Workspace, one: Contact) -> str:
    return f"{one.contact_id[:8]}@{space.world.accounts[one.account].domain}"
