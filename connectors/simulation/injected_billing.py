"""Invoices, payments and seat changes put into a world at a source time."""

from dataclasses import replace

from connectors.simulation.billing import statuses
from connectors.simulation.billing_records import invoice_status, seats_at
from connectors.simulation.calendar import month_starts
from connectors.simulation.identifiers import stripe_id
from connectors.simulation.world import Account, Invoice, Subscription, World, seat_price_cents
from vitals.errors import UserError


def bill_now(
    world: World, account: Account, at: int, number: int, seats: int | None, *, paid: bool
) -> tuple[World, Invoice]:
    """An invoice beside the monthly ones, collected at once or not at all."""
    subscription = _latest(world, account, at)
    if subscription is None:
        world, subscription = set_seats(world, account, at, number, seats or 1)
    billed = seats_at(subscription, at) if seats is None else seats
    invoice = Invoice(
        invoice_id=stripe_id("in", f"injected:{world.name}:{number}"),
        account=account.index,
        subscription_id=subscription.subscription_id,
        period_start=int(month_starts(at, at)[0]),
        period_end=at,
        created_at=at,
        finalized_at=at,
        seats=billed,
        amount_cents=billed * seat_price_cents(subscription.plan_at(at)),
        attempts=((at, paid),),
        billing_reason="manual",
        plan=subscription.plan_at(at),
    )
    return _with_invoices(world, (*world.invoices, invoice), subscription), invoice


def pay(world: World, invoice_id: str, at: int) -> tuple[World, Invoice]:
    """The open invoice paid at `at`; raises `UserError` when there is none."""
    for invoice in world.invoices:
        if invoice.invoice_id == invoice_id and invoice_status(invoice, at) == "open" and invoice.created_at <= at:
            tried = tuple(attempt for attempt in invoice.attempts if attempt[0] <= at)
            paid = replace(invoice, attempts=(*tried, (at, True)), uncollectible_at=None)
            invoices = tuple(paid if one is invoice else one for one in world.invoices)
            subscription = next(one for one in world.subscriptions if one.subscription_id == invoice.subscription_id)
            return _with_invoices(world, invoices, subscription), paid
    raise UserError(f"there is no open invoice {invoice_id}.")


def set_seats(world: World, account: Account, at: int, number: int, seats: int) -> tuple[World, Subscription]:
    """Seats of the account's subscription from `at` on: 0 cancels it, and without one a new one begins."""
    current = _latest(world, account, at)
    if current is not None and current.canceled_at is not None and current.canceled_at <= at:
        current = None
    if current is None:
        if not seats:
            raise UserError(f"{account.name} has no subscription to cancel.")
        name = stripe_id("sub", f"injected:{world.name}:{number}")
        created = Subscription(name, account.index, at, ((at, seats),))
        return replace(world, subscriptions=_in_order((*world.subscriptions, created))), created
    if seats:
        changes = (*(change for change in current.seat_changes if change[0] != at), (at, seats))
        changed = replace(current, seat_changes=tuple(sorted(changes)))
        return _with_subscription(world, changed), changed
    # Canceled for good: what the world had planned for this subscription no longer happens.
    canceled = replace(
        current,
        canceled_at=at,
        seat_changes=tuple(change for change in current.seat_changes if change[0] <= at),
        status_changes=tuple(change for change in current.status_changes if change[0] <= at),
    )
    kept = tuple(
        one for one in world.invoices if one.subscription_id != canceled.subscription_id or one.created_at <= at
    )
    return _with_subscription(replace(world, invoices=kept), canceled), canceled


def _latest(world: World, account: Account, at: int) -> Subscription | None:
    ours = [one for one in world.subscriptions if one.account == account.index and one.created_at <= at]
    return ours[-1] if ours else None


def _with_invoices(world: World, invoices: tuple[Invoice, ...], subscription: Subscription) -> World:
    ordered = tuple(sorted(invoices, key=lambda one: one.created_at))
    ours = [one for one in ordered if one.subscription_id == subscription.subscription_id]
    changed = replace(subscription, status_changes=statuses(ours))
    return _with_subscription(replace(world, invoices=ordered), changed)


def _with_subscription(world: World, changed: Subscription) -> World:
    return replace(
        world,
        subscriptions=tuple(
            changed if one.subscription_id == changed.subscription_id else one for one in world.subscriptions
        ),
    )


def _in_order(subscriptions: tuple[Subscription, ...]) -> tuple[Subscription, ...]:
    return tuple(sorted(subscriptions, key=lambda one: one.created_at))
