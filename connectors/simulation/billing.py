"""Seats by month turned into subscriptions and invoices: billed on the first day of the month after the service."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from connectors.simulation.calendar import DAY, next_month
from connectors.simulation.identifiers import stripe_id
from connectors.simulation.world import Account, Invoice, Seats, Subscription, seat_price_cents

# Seconds from an invoice's creation to the steps that follow it at once.
_FINALIZED_AFTER = 2
_PAID_AFTER = 5

# Days from the first failed payment to each retry, and to writing the invoice off when the last retry fails too.
_RETRY_DAYS = (3, 8, 15)
_WRITTEN_OFF_DAYS = 16


def bill(
    accounts: Sequence[Account], seats: Seats, failures: npt.NDArray[np.int64] | None = None
) -> tuple[tuple[Subscription, ...], tuple[Invoice, ...]]:
    """Subscriptions and invoices of every account, both in order of creation.

    `failures[account, month]` is how many payment attempts of that month's invoice fail: 0 is paid at once, more than
    the number of retries is never paid.
    """
    subscriptions: list[Subscription] = []
    invoices: list[Invoice] = []
    for account in accounts:
        failed = None if failures is None else failures[account.index]
        ours, theirs = _bill_account(account, seats, failed)
        subscriptions += ours
        invoices += theirs
    subscriptions.sort(key=lambda one: (one.created_at, one.account))
    invoices.sort(key=lambda one: (one.created_at, one.account))
    return tuple(subscriptions), tuple(invoices)


def _bill_account(
    account: Account, seats: Seats, failures: npt.NDArray[np.int64] | None
) -> tuple[list[Subscription], list[Invoice]]:
    subscriptions: list[Subscription] = []
    invoices: list[Invoice] = []
    key, created_at, changes, current = "", 0, list[tuple[int, int]](), list[Invoice]()
    for month, month_start in enumerate(seats.months.tolist()):
        users, billed_at = int(seats.users[account.index, month]), next_month(month_start)
        if users and not changes:
            key, created_at = stripe_id("sub", f"{account.external_id}:{month_start}"), billed_at
        if users:
            if not changes or changes[-1][1] != users:
                changes.append((billed_at, users))
            current.append(
                monthly_invoice(
                    account, key, month_start, billed_at, users, 0 if failures is None else int(failures[month])
                )
            )
        elif changes:
            subscriptions.append(
                Subscription(key, account.index, created_at, tuple(changes), statuses(current), billed_at)
            )
            invoices += current
            changes, current = [], []
    if changes:
        subscriptions.append(Subscription(key, account.index, created_at, tuple(changes), statuses(current)))
        invoices += current
    return subscriptions, invoices


def monthly_invoice(
    account: Account,
    subscription_id: str,
    month_start: int,
    billed_at: int,
    seats: int,
    failures: int,
    plan: str | None = None,
) -> Invoice:
    """The invoice over a month's seats, of which so many attempts to collect it fail (see `bill`)."""
    first = billed_at + _PAID_AFTER
    tries = [first, *(first + days * DAY for days in _RETRY_DAYS)]
    attempts = tuple((at, place >= failures) for place, at in enumerate(tries[: failures + 1]))
    return Invoice(
        invoice_id=stripe_id("in", f"{account.external_id}:{month_start}"),
        account=account.index,
        subscription_id=subscription_id,
        period_start=month_start,
        period_end=billed_at,
        created_at=billed_at,
        finalized_at=billed_at + _FINALIZED_AFTER,
        seats=seats,
        amount_cents=seats * seat_price_cents(plan),
        attempts=attempts,
        uncollectible_at=None if attempts[-1][1] else first + _WRITTEN_OFF_DAYS * DAY,
        plan=plan,
    )


def statuses(invoices: Sequence[Invoice]) -> tuple[tuple[int, str], ...]:
    """What follows a subscription's creation, from its invoices.

    It is `past_due` while at least one invoice has a failed payment and is neither paid nor written off.
    """
    steps: list[tuple[int, int]] = []
    for invoice in invoices:
        if not invoice.attempts[0][1]:
            steps.append((invoice.attempts[0][0], 1))
            closed = invoice.paid_at or invoice.uncollectible_at
            if closed is not None:
                steps.append((closed, -1))
    owed, changes = 0, list[tuple[int, str]]()
    for at, step in sorted(steps):
        owed += step
        status = "past_due" if owed else "active"
        if status != (changes[-1][1] if changes else "active"):
            changes.append((at, status))
    return tuple(changes)
