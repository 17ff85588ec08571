"""The order in which Stripe lists a world's objects, and the event that it writes for each mutation of one."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Generic, TypeVar

import numpy as np

from connectors.simulation.billing_records import BillingRecords, customer_id, price, seats_at, status_at
from connectors.simulation.identifiers import stripe_id
from connectors.simulation.world import Account, Invoice, Subscription, World

Object = TypeVar("Object")
Stripe = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Mutation:
    """One event: what happened to which object when, and the attributes that it replaced."""

    event_id: str
    created_at: int
    kind: str
    resource: str
    object_id: str
    previous: Stripe | None = None


class Shelf(Generic[Object]):
    """The objects of one resource in order of creation, found by id or by a span of creation times."""

    def __init__(self, entries: Iterable[tuple[int, str, Object]]) -> None:
        ordered = list(entries)
        ordered.sort(key=lambda entry: entry[0])
        self.created_at = np.array([created_at for created_at, _, _ in ordered], dtype=np.int64)
        self.objects = [item for _, _, item in ordered]
        self.places = {name: place for place, (_, name, _) in enumerate(ordered)}

    def get(self, name: str, now: int) -> Object | None:
        """The object of this id if it exists at `now`."""
        place = self.places.get(name)
        return None if place is None or self.created_at[place] > now else self.objects[place]

    def visible(self, now: int) -> int:
        """How many objects exist at `now`."""
        return int(np.searchsorted(self.created_at, now, side="right"))

    def made(self, first: int, last: int) -> list[Object]:
        """The objects made within these seconds, both included, oldest first."""
        low, high = np.searchsorted(self.created_at, first), np.searchsorted(self.created_at, last, side="right")
        return self.objects[int(low) : int(high)]

    def page(
        self, low: int, high: int, limit: int, matches: Callable[[Object], bool], *, oldest: bool
    ) -> tuple[list[Object], bool]:
        """Up to `limit` matches among the places from `low` to before `high`, newest first, and whether more follow.

        They are the newest of that span, or the oldest with `oldest`.
        """
        found: list[Object] = []
        for place in range(low, high) if oldest else range(high - 1, low - 1, -1):
            if matches(self.objects[place]):
                if len(found) == limit:
                    return (found[::-1] if oldest else found), True
                found.append(self.objects[place])
        return (found[::-1] if oldest else found), False


class BillingLedger:
    """Every Stripe object of a world and every mutation of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.records = BillingRecords(world)
        self.customers = Shelf[Account](
            (account.first_activity_at, customer_id(account), account) for account in world.accounts
        )
        self.subscriptions = Shelf[Subscription](
            (one.created_at, one.subscription_id, one) for one in world.subscriptions
        )
        self.invoices = Shelf[Invoice]((one.created_at, one.invoice_id, one) for one in world.invoices)
        self.events = Shelf[Mutation]((one.created_at, one.event_id, one) for one in _mutations(world, self.records))

    def holds(self, world: World) -> bool:
        """Whether this ledger is that of `world` too, because what differs is not billing."""
        mine = self.world
        return (
            mine.accounts is world.accounts
            and mine.subscriptions is world.subscriptions
            and mine.invoices is world.invoices
        )

    def render(self, resource: str, name: str, at: int) -> Stripe | None:
        """The object of a resource as of a source time; None where it does not exist then."""
        if resource == "customers":
            account = self.customers.get(name, at)
            return None if account is None else self.records.customer(account, at)
        if resource == "subscriptions":
            subscription = self.subscriptions.get(name, at)
            return None if subscription is None else self.records.subscription(subscription, at)
        invoice = self.invoices.get(name, at)
        return None if invoice is None else self.records.invoice(invoice, at)

    def event(self, mutation: Mutation, api_version: str) -> Stripe:
        """The event of a mutation, with the object as it was at that second."""
        changed: Stripe = {"object": self.render(mutation.resource, mutation.object_id, mutation.created_at)}
        if mutation.previous is not None:
            changed["previous_attributes"] = mutation.previous
        return {
            "id": mutation.event_id,
            "object": "event",
            "api_version": api_version,
            "created": mutation.created_at,
            "data": changed,
            "livemode": False,
            "pending_webhooks": 0,
            "request": {"id": None, "idempotency_key": None},
            "type": mutation.kind,
        }


def _mutations(world: World, records: BillingRecords) -> Iterator[Mutation]:
    for account in world.accounts:
        yield _mutation(account.first_activity_at, "customer.created", "customers", customer_id(account))
        for link in account.held:
            if link.at > account.first_activity_at:
                yield _mutation(link.at, "customer.updated", "customers", customer_id(account))
    for subscription in world.subscriptions:
        yield from _of_subscription(subscription, records.invoices_of(subscription.subscription_id))
    for invoice in world.invoices:
        yield from _of_invoice(invoice)


def _mutation(at: int, kind: str, resource: str, name: str, previous: Stripe | None = None) -> Mutation:
    return Mutation(stripe_id("evt", f"{name}:{kind}:{at}"), at, kind, resource, name, previous)


def _of_subscription(subscription: Subscription, invoices: Sequence[Invoice]) -> Iterator[Mutation]:
    name = subscription.subscription_id
    yield _mutation(subscription.created_at, "customer.subscription.created", "subscriptions", name)
    # What one second changes is one event.
    replaced: dict[int, Stripe] = defaultdict(dict)
    for at, _ in subscription.seat_changes[1:]:
        before = seats_at(subscription, at - 1)
        replaced[at]["quantity"] = before
        replaced[at]["items"] = {"data": [{"id": name.replace("sub_", "si_"), "quantity": before}]}
    for at, _ in subscription.plan_changes[1:]:
        former = price(subscription.plan_at(at - 1))
        item = replaced[at].setdefault("items", {"data": [{"id": name.replace("sub_", "si_")}]})
        item["data"][0]["price"] = former
    for at, _ in subscription.status_changes:
        replaced[at]["status"] = status_at(subscription, at - 1)
    for earlier, invoice in pairwise(invoices):
        replaced[invoice.created_at]["latest_invoice"] = earlier.invoice_id
    for at, previous in sorted(replaced.items()):
        if subscription.created_at < at and (subscription.canceled_at is None or at < subscription.canceled_at):
            yield _mutation(at, "customer.subscription.updated", "subscriptions", name, previous)
    if subscription.canceled_at is not None:
        yield _mutation(subscription.canceled_at, "customer.subscription.deleted", "subscriptions", name)


def _of_invoice(invoice: Invoice) -> Iterator[Mutation]:
    name = invoice.invoice_id
    yield _mutation(invoice.created_at, "invoice.created", "invoices", name)
    yield _mutation(invoice.finalized_at, "invoice.finalized", "invoices", name)
    for at, succeeded in invoice.attempts:
        if succeeded:
            yield _mutation(at, "invoice.paid", "invoices", name)
            yield _mutation(at, "invoice.payment_succeeded", "invoices", name)
        else:
            yield _mutation(at, "invoice.payment_failed", "invoices", name)
    if invoice.uncollectible_at is not None:
        yield _mutation(invoice.uncollectible_at, "invoice.marked_uncollectible", "invoices", name)
