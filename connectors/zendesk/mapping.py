"""Zendesk tickets and organizations to canonical events and claims about accounts. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from connectors.contract import Link, Mapped, MappedEvent, RawObject, State
from connectors.deletions import Standing, standing
from connectors.fields import account_identity, crm_account_id, epoch_instant, iso, iso_instant, required, text
from connectors.identity.domains import domain_ref
from connectors.promises import is_new, is_recent
from vitals.errors import BadRecordError

TICKET = "ticket"
ORGANIZATION = "organization"
DELIVERED = "delivered"
"""Field that the stream adds to a ticket which a webhook brought ahead of the export."""

_TICKET_KINDS = {Standing.DELETED: "support.ticket_deleted", Standing.RESTORED: "support.ticket_restored"}
_ORGANIZATION_KINDS = {
    Standing.DELETED: "support.organization_deleted",
    Standing.RESTORED: "support.organization_restored",
}

_SCORES: Mapping[str, Decimal] = {"good": Decimal(5), "bad": Decimal(1)}
"""Zendesk asks for one of two: they are the ends of the scale from 1 to 5 on which satisfaction is kept."""

MARGIN = timedelta(hours=1)
"""Zendesk hides a ticket for a minute after each change, so one that is changed soon after its opening first shows when
its opening has already been promised. What happened within this time before the promise is told again; it is the
allowed lateness of `events.support`, so the days concerned are not sealed and nothing counts twice."""


def organization_entry(organization_id: object) -> str:
    """The state entry of an organization that was read."""
    return f"org/{organization_id}"


def rated_entry(ticket_id: object) -> str:
    """The state entry of a ticket's rating that was told: the rating's id."""
    return f"rated/{ticket_id}"


def organization_version(body: Mapping[str, Any]) -> dict[str, Any]:
    """What the state keeps of an organization: enough to tell whether it was read as it is."""
    return {"external_id": text(body.get("external_id")), "updated_at": body.get("updated_at")}


def organization_identity(organization_id: object) -> str:
    """Zendesk's own name of an account."""
    return f"zendesk:organization:{organization_id}"


def map_object(raw: RawObject, state: State) -> Mapped:
    """An organization's claims, or a ticket's events: `support.ticket_opened`, and `support.ticket_solved` with the
    seconds from the one to the other, and `support.csat_answered`, 5 or 1, with the version in which the rating first
    shows. What is deleted or comes back gives `support.ticket_deleted`, `_restored`,
    `support.organization_deleted`, `_restored`.

    Raises:
        BadRecordError: a field that every object of its type has is missing or malformed.
    """
    if raw.object_type == ORGANIZATION:
        return _map_organization(raw.body, state)
    return _map_ticket(raw.body, state)


def _map_organization(body: Any, state: State) -> Mapped:
    """What the organization says of its account: the external id names it in the CRM, or it shares a domain with it.

    A deleted organization keeps its account, as its tickets keep it.
    """
    organization_id = required(body, "id")
    name = organization_identity(organization_id)
    at = iso_instant(body.get("updated_at") or required(body, "created_at"), "updated_at")
    external_id = text(body.get("external_id"))
    links = []
    if external_id:
        target = account_identity(crm_account_id(external_id) or external_id)
        links.append(Link(name, target, "external_id", at))
    domains = {domain_ref(domain) for domain in body.get("domain_names") or ()} - {None}
    links += [Link(name, domain, "domain", at) for domain in sorted(filter(None, domains))]
    told, entries = _deletion_of_organization(body, state)
    return Mapped(
        events=told,
        links=tuple(links),
        claimants=() if links else (name,),
        state={organization_entry(organization_id): organization_version(body), **entries},
    )


def _map_ticket(ticket: Any, state: State) -> Mapped:
    ticket_id = str(required(ticket, "id"))
    if ticket.get("status") == "deleted" and ticket.get("created_at") is None:
        return Mapped()  # scrubbed: nothing is left to read
    created_at = iso_instant(required(ticket, "created_at"), "created_at")
    solved_at = _solved_at(ticket, ticket_id)
    version = epoch_instant(required(ticket, "generated_timestamp"), "generated_timestamp")
    delivered = bool(ticket.get(DELIVERED))

    def untold(moment: datetime) -> bool:
        return is_recent(moment, state, MARGIN) if delivered else is_new(moment, version, state, MARGIN)

    opened = untold(created_at)
    account, properties, requester = _account(ticket), _properties(ticket), ticket.get("requester_id")

    def event(kind: str, event_time: datetime, **more: Any) -> MappedEvent:
        return MappedEvent(
            kind=kind,
            object_type=TICKET,
            source_id=ticket_id,
            event_time=event_time,
            account_ref=account,
            user=None if requester is None else str(requester),
            **more,
        )

    events = []
    if opened:
        events.append(event("support.ticket_opened", created_at, properties=properties))
    if solved_at is not None and (untold(solved_at) or (opened and not delivered)):
        lasted = solved_at - created_at
        quality = {"quality": "opened_after_solved"} if lasted < timedelta() else {}
        events.append(
            event(
                "support.ticket_solved",
                solved_at,
                # A ticket that is opened again is solved once more, at another time.
                occurrence=iso(solved_at),
                value=max(Decimal(lasted // timedelta(microseconds=1)) / 1_000_000, Decimal(0)),
                properties=properties | quality,
            )
        )
    rated, told = _rating(ticket, ticket_id, state)
    if rated is not None:
        score, rating_id = rated
        events.append(
            event(
                "support.csat_answered",
                version,
                # A change of mind is no second answer.
                occurrence=rating_id,
                value=_SCORES[score],
                properties={**properties, "scale": "bad-good"},
            )
        )
    found, entries = standing(ticket_id, version, state, deleted=ticket.get("status") == "deleted")
    if found in _TICKET_KINDS:
        events.append(event(_TICKET_KINDS[found], version, occurrence=iso(version)))
    return Mapped(events=tuple(events), state={**entries, **told})


def _rating(ticket: Mapping[str, Any], ticket_id: str, state: State) -> tuple[tuple[str, str] | None, dict[str, Any]]:
    """A rating that was not told yet, as its score and its id, and the state that remembers it."""
    rating = ticket.get("satisfaction_rating")
    score = text(rating.get("score")) if isinstance(rating, Mapping) else None
    if not isinstance(rating, Mapping) or score is None or score not in _SCORES or ticket.get("status") == "deleted":
        return None, {}
    entry, rating_id = rated_entry(ticket_id), str(rating.get("id") or "")
    return (None, {}) if state.get(entry) == rating_id else ((score, rating_id), {entry: rating_id})


def _deletion_of_organization(body: Mapping[str, Any], state: State) -> tuple[tuple[MappedEvent, ...], dict[str, Any]]:
    """The event of an organization's deletion or return, and the state that tells the next one."""
    organization_id, deleted_at = body["id"], body.get("deleted_at")
    written = deleted_at or body.get("updated_at") or required(body, "created_at")
    at = iso_instant(written, "deleted_at" if deleted_at else "updated_at")
    found, entries = standing(f"organization/{organization_id}", at, state, deleted=deleted_at is not None)
    if found not in _ORGANIZATION_KINDS:
        return (), entries
    told = MappedEvent(
        kind=_ORGANIZATION_KINDS[found],
        object_type=ORGANIZATION,
        source_id=str(organization_id),
        event_time=at,
        account_ref=organization_identity(organization_id),
        occurrence=iso(at),
    )
    return (told,), entries


def _solved_at(ticket: Mapping[str, Any], ticket_id: str) -> datetime | None:
    metrics = ticket.get("metric_set")
    solved_at = metrics.get("solved_at") if isinstance(metrics, Mapping) else None
    if solved_at is not None:
        return iso_instant(solved_at, "metric_set.solved_at")
    if ticket.get("status") in ("solved", "closed"):
        raise BadRecordError(f"Ticket {ticket_id} is {ticket['status']} but has no metric_set.solved_at.")
    return None


def _account(ticket: Mapping[str, Any]) -> str | None:
    """Zendesk's own name of the account that the ticket's organization is."""
    organization = ticket.get("organization_id")
    return None if organization is None else organization_identity(organization)


def _properties(ticket: Mapping[str, Any]) -> dict[str, str]:
    channel = ticket["via"].get("channel") if isinstance(ticket.get("via"), Mapping) else None
    found = {"priority": ticket.get("priority"), "type": ticket.get("type"), "channel": channel}
    return {name: value for name, value in found.items() if isinstance(value, str) and value}
