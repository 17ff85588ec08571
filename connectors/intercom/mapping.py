"""Intercom's conversations, contacts and companies to canonical events, and to links to accounts. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from connectors.contract import Mapped, MappedEvent, RawObject, State
from connectors.fields import decimal_value, epoch_instant, iso, required
from connectors.intercom.accounts import (
    account_of,
    company_claims,
    company_entry,
    company_identity,
    contact_companies,
    contact_entry,
    contact_of,
    links,
)
from connectors.promises import is_new
from vitals.errors import BadRecordError

CONVERSATION = "conversation"
CONTACT = "contact"
COMPANY = "company"

RECENT = "recent"
"""The state entry of conversations met in the last walk's newest minutes, which the next walk reads again: the version
of each (epoch seconds) by its id."""

MARGIN = timedelta(hours=1)
"""Search may show a conversation minutes after its change, and not at all while it changes again. What happened within
this time before the promise is told again; it is the allowed lateness of `events.support`, so the days concerned are
not sealed and nothing counts twice."""

_PRIORITIES = {"priority": "high", "not_priority": "normal"}
_BEST_RATING = 5


def rated_entry(conversation_id: object) -> str:
    """The state entry of a conversation's rating that was told: the moment at which it was asked for."""
    return f"rated/{conversation_id}"


def map_object(raw: RawObject, state: State) -> Mapped:
    """A company's or contact's links, or a conversation's events: `support.ticket_opened`, `support.ticket_solved` with
    the seconds from the one to the other, and `support.csat_answered` with the rating.

    Raises:
        BadRecordError: a field that every object of its type has is missing or malformed.
    """
    if raw.object_type == COMPANY:
        return _map_company(raw.body, state)
    if raw.object_type == CONTACT:
        return _map_contact(raw.body, state)
    return _map_conversation(raw.body, state)


def _map_company(company: Any, state: State) -> Mapped:
    company_id = str(required(company, "id"))
    entry, claimants = company_entry(company_id), (company_identity(company_id),)
    before = state.get(entry)
    if company.get("deleted"):
        return Mapped(claimants=claimants, state={entry: None})
    at = epoch_instant(required(company, "updated_at"), "updated_at")
    if before is not None and before["updated_at"] > company["updated_at"]:
        return Mapped()  # a webhook that was overtaken
    claims = company_claims(company)
    return Mapped(links=links(company_id, claims, at), claimants=claimants, state={entry: claims})


def _map_contact(contact: Any, state: State) -> Mapped:
    entry = contact_entry(required(contact, "id"))
    if contact.get("deleted"):
        return Mapped(state={entry: None})
    epoch_instant(required(contact, "updated_at"), "updated_at")
    before = state.get(entry)
    if before is not None and before["updated_at"] > contact["updated_at"]:
        return Mapped()
    companies = contact_companies(contact)
    kept = {"companies": companies, "updated_at": contact["updated_at"]} if companies else None
    return Mapped(state={entry: kept})


def _map_conversation(conversation: Any, state: State) -> Mapped:
    conversation_id = str(required(conversation, "id"))
    created_at = epoch_instant(required(conversation, "created_at"), "created_at")
    version = epoch_instant(required(conversation, "updated_at"), "updated_at")
    closed_at = _closed_at(conversation, conversation_id)
    account, contact, properties = account_of(conversation, state), contact_of(conversation), _properties(conversation)
    met = state.get(RECENT, {}).get(conversation_id)

    def unheard(moment: datetime) -> bool:
        if met is not None:
            return bool(moment.timestamp() >= met)  # what is older was in the version that was met
        return is_new(moment, version, state, MARGIN)

    def event(kind: str, event_time: datetime, user: str | None = contact, **more: Any) -> MappedEvent:
        return MappedEvent(
            kind=kind,
            object_type=CONVERSATION,
            source_id=conversation_id,
            event_time=event_time,
            account_ref=account,
            user=user,
            **more,
        )

    events, updates = [], {}
    opened = unheard(created_at)
    if opened:
        events.append(event("support.ticket_opened", created_at, properties=properties))
    if closed_at is not None and (opened or unheard(closed_at)):
        lasted = closed_at - created_at
        quality = {"quality": "opened_after_solved"} if lasted < timedelta() else {}
        events.append(
            event(
                "support.ticket_solved",
                closed_at,
                # A conversation that is opened again is closed once more, at another time.
                occurrence=iso(closed_at),
                value=max(Decimal(int(lasted.total_seconds())), Decimal(0)),
                properties=properties | quality,
            )
        )
    rating = conversation.get("conversation_rating")
    if isinstance(rating, Mapping) and rating.get("rating") is not None:
        asked_at = epoch_instant(required(rating, "created_at"), "conversation_rating.created_at")
        answered_at = epoch_instant(rating.get("updated_at") or rating["created_at"], "conversation_rating.updated_at")
        if state.get(rated_entry(conversation_id)) != iso(asked_at):
            by = rating["contact"].get("id") if isinstance(rating.get("contact"), Mapping) else None
            events.append(
                event(
                    "support.csat_answered",
                    answered_at,
                    user=contact if by is None else str(by),
                    # A change of mind is no second answer; another question may have one.
                    occurrence=iso(asked_at),
                    value=_stars(rating["rating"], conversation_id),
                    properties={**properties, "scale": f"1-{_BEST_RATING}"},
                )
            )
            updates[rated_entry(conversation_id)] = iso(asked_at)
    return Mapped(events=tuple(events), state=updates)


def _closed_at(conversation: Mapping[str, Any], conversation_id: str) -> datetime | None:
    """When it was last closed, which it may have been although it is open again."""
    statistics = conversation.get("statistics")
    closed_at = statistics.get("last_close_at") if isinstance(statistics, Mapping) else None
    if closed_at is not None:
        return epoch_instant(closed_at, "statistics.last_close_at")
    if conversation.get("state") == "closed":
        raise BadRecordError(f"Conversation {conversation_id} is closed but has no statistics.last_close_at.")
    return None


def _stars(rating: Any, conversation_id: str) -> Decimal:
    value = decimal_value(rating, "conversation_rating.rating")
    if value != value.to_integral_value() or not 1 <= value <= _BEST_RATING:
        raise BadRecordError(f"Conversation {conversation_id} has a rating that is not from 1 to 5: {rating!r}.")
    return value


def _properties(conversation: Mapping[str, Any]) -> dict[str, str]:
    """What no person wrote: subject, bodies and remarks stay in the raw object."""
    source = conversation["source"] if isinstance(conversation.get("source"), Mapping) else {}
    priority = conversation.get("priority")
    found = {
        "priority": _PRIORITIES.get(priority, priority) if isinstance(priority, str) else None,
        "channel": source.get("type"),
        "delivered_as": source.get("delivered_as"),
    }
    return {name: value for name, value in found.items() if isinstance(value, str) and value}
