"""Contracts turned into subscriptions and invoices: the agreed seats, billed on the first of the month after."""

from collections.abc import Mapping, Sequence

from connectors.simulation.billing import monthly_invoice, statuses
from connectors.simulation.calendar import DAY, next_month
from connectors.simulation.contract_course import Course
from connectors.simulation.identifiers import stripe_id
from connectors.simulation.world import Account, Contract, Ints, Invoice, Subscription

_AFTERNOON = 54_000


def effective_at(start: int, day: int, contract: Contract) -> int:
    """When a contract's seats and plan hold: from its first instant, or from the afternoon of a change within it."""
    begins = start + day * DAY
    return begins if begins <= contract.start else begins + _AFTERNOON


def bill_contracts(
    accounts: Sequence[Account],
    courses: Sequence[Course],
    churned_at: Sequence[int | None],
    failures: Mapping[int, Ints],
    start: int,
    until: int,
) -> tuple[tuple[Subscription, ...], tuple[Invoice, ...]]:
    """Subscriptions and the invoices written before `until`, both in order of creation.

    An invoice is over the seats and the plan of its month's last instant. `failures` has, for each day on which
    invoices are written, how many payment attempts of each account fail.
    """
    subscriptions: list[Subscription] = []
    invoices: list[Invoice] = []
    for account, course, left_at in zip(accounts, courses, churned_at, strict=True):
        begins = start + course.subscribed_day * DAY
        if begins >= until:
            continue
        key = stripe_id("sub", f"{account.external_id}:{begins}")
        seats, plans = list[tuple[int, int]](), list[tuple[int, str]]()
        for day, contract in course.contracts:
            at = effective_at(start, day, contract)
            if not seats or seats[-1][1] != contract.seats:
                seats.append((max(at, begins), contract.seats))
            if not plans or plans[-1][1] != contract.plan:
                plans.append((max(at, begins), contract.plan))
        mine: list[Invoice] = []
        month, ends = begins, until if left_at is None else min(left_at + 1, until)
        while (billed_at := next_month(month)) < ends:
            held = max(place for place, (at, _) in enumerate(seats) if at < billed_at)
            plan = max(place for place, (at, _) in enumerate(plans) if at < billed_at)
            fails = failures.get((billed_at - start) // DAY)
            failing = 0 if fails is None or account.index >= len(fails) else int(fails[account.index])
            mine.append(monthly_invoice(account, key, month, billed_at, seats[held][1], failing, plans[plan][1]))
            month = billed_at
        subscriptions.append(
            Subscription(key, account.index, begins, tuple(seats), statuses(mine), left_at, tuple(plans))
        )
        invoices += mine
    subscriptions.sort(key=lambda one: (one.created_at, one.account))
    invoices.sort(key=lambda one: (one.created_at, one.account))
    return tuple(subscriptions), tuple(invoices)
