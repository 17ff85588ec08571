"""Stripe objects and events to canonical events and claims about accounts. Pure.

An invoice's payment or a subscription's start gives the same event whether the history's list or the live feed brought
it: the object says when it happened, and nothing that changes later becomes part of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from connectors.contract import Link, Mapped, MappedEvent, RawObject, State
from connectors.fields import (
    account_identity,
    crm_account_id,
    decimal_value,
    epoch_instant,
    iso,
    required,
    since,
    text,
)
from connectors.identity.domains import domain_ref
from connectors.stripe.money import major_units
from connectors.stripe.subscription_terms import told_at_end, told_at_start, told_by_change
from vitals.errors import BadRecordError

EVENT = "event"
FETCHED = "fetched"
"""Field that the stream adds to an event: its object as it is now; null where it cannot or need not be read again."""

MARGIN = timedelta(hours=1)
"""What a second backfill tells again before the promise: as much as `events.billing` allows to be late."""

# The resource to read again for each event type that is followed.
RESOURCES: Mapping[str, str] = {
    "customer.created": "customers",
    "customer.updated": "customers",
    "customer.deleted": "customers",
    "customer.subscription.created": "subscriptions",
    "customer.subscription.updated": "subscriptions",
    "customer.subscription.deleted": "subscriptions",
    "invoice.paid": "invoices",
    "invoice.payment_failed": "invoices",
}

AS_TOLD = frozenset({"customer.subscription.updated"})
"""Types whose events say it all: what the object is now says nothing of the moment of the change."""

_UNPAID = ("open", "uncollectible")


def failed_entry(invoice_id: object) -> str:
    """The state entry that holds how many failed payments of an unpaid invoice have been told."""
    return f"failed/{invoice_id}"


def map_object(raw: RawObject, state: State) -> Mapped:
    """A listed object (type customer, subscription or invoice), or an event of the live feed.

    Raises:
        BadRecordError: a field that every object of its type has is missing or malformed.
    """
    if raw.object_type == EVENT:
        return _map_live(raw.body, state)
    if raw.object_type == "customer":
        return _map_customer(raw.body, required(raw.body, "created"))
    if raw.object_type == "subscription":
        ended = _canceled(raw.body) if raw.body.get("status") == "canceled" else None
        terms = told_at_start(raw.body, _account(raw.body), state)
        return Mapped(events=_recent([_started(raw.body), ended, *terms.events], state), state=terms.state)
    if raw.body.get("status") == "paid":
        return Mapped(events=_recent([_paid(raw.body)], state))
    if raw.body.get("status") in _UNPAID and raw.body.get("attempt_count"):
        return _map_unpaid(raw.body, state)
    return Mapped()


def _recent(events: Iterable[MappedEvent | None], state: State) -> tuple[MappedEvent, ...]:
    """Everything in the first load; in a later backfill what has not been told for certain."""
    complete = since(state)
    return tuple(
        event for event in events if event is not None and (complete is None or event.event_time > complete - MARGIN)
    )


def _map_live(event: Any, state: State) -> Mapped:
    kind, payload = required(event, "type"), required(required(event, "data"), "object")
    # The payload is rendered in the event's own API version; the object read again in the pinned one.
    current = event.get(FETCHED) or payload
    if kind == "customer.deleted":
        # The event carries the customer's last state; what is read again is a stub.
        created = required(event, "created")
        linked = _map_customer(payload, created)
        owner = {**payload, "customer": required(payload, "id")}
        gone = _event("billing.customer_deleted", "customer", owner, epoch_instant(created, "created"))
        return replace(linked, events=(gone,))
    if kind in ("customer.created", "customer.updated"):
        return _map_customer(payload if current.get("deleted") else current, required(event, "created"))
    if kind == "customer.subscription.created":
        return _with_terms(_started(current), told_at_start(payload, _account(payload), state))
    if kind == "customer.subscription.updated":
        return told_by_change(payload, _account(payload), epoch_instant(required(event, "created"), "created"), state)
    if kind == "customer.subscription.deleted":
        return _with_terms(_canceled(current), told_at_end(current, _account(current), state))
    if kind == "invoice.paid":
        paid = _paid(current if current.get("status") == "paid" else payload)
        entry = failed_entry(required(current, "id"))
        return Mapped(events=(paid,), state={entry: None} if entry in state else {})
    if kind == "invoice.payment_failed":
        # The invoice read again counts the attempts of all its events; the payload those up to this one.
        attempt = int(required(payload, "attempt_count"))
        if attempt <= int(state.get(failed_entry(required(payload, "id")), 0)):
            return Mapped()
        failed_at = epoch_instant(required(event, "created"), "created")
        return Mapped(events=(_failed(payload, failed_at, attempt, {}),))
    return Mapped()


def _with_terms(event: MappedEvent, terms: Mapped) -> Mapped:
    return Mapped(events=(event, *terms.events), state=terms.state)


def _map_customer(customer: Any, at: Any) -> Mapped:
    """What the customer says of its account: the metadata name it in the CRM, or its e-mail address has its domain."""
    name = customer_identity(required(customer, "id"))
    if customer.get("deleted"):
        return Mapped()  # only the id is left; what the customer was stays
    moment = epoch_instant(at, "created")
    metadata = customer.get("metadata")
    named = text(metadata.get("crm_account_id")) if isinstance(metadata, Mapping) else None
    links = []
    if named:
        links.append(Link(name, account_identity(crm_account_id(named) or named), "external_id", moment))
    domain = domain_ref(customer.get("email"))
    if domain:
        links.append(Link(name, domain, "domain", moment))
    return Mapped(links=tuple(links), claimants=() if links else (name,))


def _map_unpaid(invoice: Mapping[str, Any], state: State) -> Mapped:
    """History tells how often a payment failed but not when: one event for the last failure, at the finalization."""
    transitions = invoice.get("status_transitions") or {}
    at = epoch_instant(transitions.get("finalized_at") or required(invoice, "created"), "finalized_at")
    attempt = int(invoice["attempt_count"])
    event = _failed(invoice, at, attempt, {"event_time_of": "finalization"})
    entry = failed_entry(required(invoice, "id"))
    if int(state.get(entry, 0)) >= attempt:
        return Mapped()
    return Mapped(events=_recent([event], state), state={entry: attempt})


def _started(subscription: Any) -> MappedEvent:
    started_at = subscription.get("start_date") or required(subscription, "created")
    return _event("billing.subscription_started", "subscription", subscription, epoch_instant(started_at, "start_date"))


def _canceled(subscription: Any) -> MappedEvent:
    """At the end of service, which is after `canceled_at` where the customer cancels ahead."""
    ended_at = subscription.get("ended_at") or required(subscription, "canceled_at")
    return _event(
        "billing.subscription_canceled",
        "subscription",
        subscription,
        epoch_instant(ended_at, "ended_at"),
        value=Decimal(0),
        properties={"seats": "0"},
    )


def _paid(invoice: Any) -> MappedEvent:
    currency = required(invoice, "currency")
    return _event(
        "billing.invoice_paid",
        "invoice",
        invoice,
        epoch_instant(required(required(invoice, "status_transitions"), "paid_at"), "paid_at"),
        value=major_units(required(invoice, "amount_paid"), currency),
        properties=_invoice_properties(invoice),
    )


def _failed(invoice: Any, failed_at: datetime, attempt: int, properties: Mapping[str, str]) -> MappedEvent:
    return _event(
        "billing.payment_failed",
        "invoice",
        invoice,
        failed_at,
        occurrence=str(attempt),
        value=major_units(required(invoice, "amount_due"), required(invoice, "currency")),
        properties={**_invoice_properties(invoice), "attempt": str(attempt), **properties},
    )


def _event(
    kind: str,
    object_type: str,
    body: Any,
    event_time: datetime,
    *,
    occurrence: str = "",
    value: Decimal | None = None,
    properties: Mapping[str, str] | None = None,
) -> MappedEvent:
    currency = text(body.get("currency"))
    return MappedEvent(
        kind=kind,
        object_type=object_type,
        source_id=str(required(body, "id")),
        event_time=event_time,
        account_ref=_account(body),
        occurrence=occurrence,
        value=value,
        properties={**({"currency": currency} if currency else {}), **(properties or {})},
    )


def customer_identity(customer_id: object) -> str:
    """Stripe's own name of an account."""
    return f"stripe:customer:{customer_id}"


def _account(body: Mapping[str, Any]) -> str | None:
    customer = body.get("customer")
    customer_id = customer.get("id") if isinstance(customer, Mapping) else customer
    return customer_identity(customer_id) if customer_id else None


def _invoice_properties(invoice: Mapping[str, Any]) -> dict[str, str]:
    """Seats, service period and subscription. The invoice's own period is the one before, so the lines' is taken."""
    lines = _lines(invoice)
    found = {}
    subscription = _subscription(invoice)
    if subscription:
        found["subscription"] = subscription
    quantities = [decimal_value(line["quantity"], "quantity") for line in lines if line.get("quantity") is not None]
    if quantities:
        found["seats"] = f"{sum(quantities, Decimal(0)):f}"
    periods = [line["period"] for line in lines if isinstance(line.get("period"), Mapping)]
    starts = [period["start"] for period in periods if period.get("start")] or [invoice.get("period_start")]
    ends = [period["end"] for period in periods if period.get("end")] or [invoice.get("period_end")]
    if None not in starts and None not in ends:
        found["period_start"] = iso(epoch_instant(min(starts), "period.start"))
        found["period_end"] = iso(epoch_instant(max(ends), "period.end"))
    return found


def _lines(invoice: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The lines that bill the service itself; those that settle a change within a past period are left out."""
    inner = (invoice.get("lines") or {}).get("data")
    if not isinstance(inner, list) or not all(isinstance(line, Mapping) for line in inner):
        raise BadRecordError("The invoice has no list of lines.")
    return [line for line in inner if not _is_proration(line)]


def _is_proration(line: Mapping[str, Any]) -> bool:
    parent = line.get("parent") or {}
    details = parent.get("subscription_item_details") or parent.get("invoice_item_details") or {}
    return bool(details.get("proration") or line.get("proration"))


def _subscription(invoice: Mapping[str, Any]) -> str | None:
    """Since version 2025-03-31 the parent names the subscription, before it the invoice itself."""
    details = (invoice.get("parent") or {}).get("subscription_details") or {}
    named = details.get("subscription") or invoice.get("subscription")
    return text(named.get("id") if isinstance(named, Mapping) else named)
