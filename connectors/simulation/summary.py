"""How many objects of each kind a world shows at a source time: what the counts of a pipeline must add up to."""

from bisect import bisect_right

import numpy as np

from connectors.simulation.world import NEVER, World


def summary(world: World, now: int) -> dict[str, dict[str, int]]:
    """Declared counts by vendor and kind at `now`."""
    events, tickets = world.events, world.tickets
    visible = int(np.searchsorted(events.event_time, now, side="right"))
    unknown = int((events.company[:visible] >= len(world.accounts)).sum())
    opened = tickets.opened_at <= now
    # A ticket that is solved before it is opened counts as solved once it is there.
    solved = opened & (tickets.solved_at <= now) & (tickets.solved_at < NEVER)
    changed_at = np.where(solved, np.maximum(tickets.opened_at, tickets.solved_at), tickets.opened_at)
    started = sum(account.created_at <= now for account in world.accounts)
    closed = sum(account.first_activity_at <= now for account in world.accounts)
    return {
        "salesforce": {
            "accounts": started,
            "opportunities": closed,
            "users": len(world.owners) if world.history_start <= now else 0,
        },
        "zendesk": {
            "organizations": started,
            "tickets": int(opened.sum()),
            "solved_tickets": int(solved.sum()),
            # What an incremental export holds back: the tickets that changed in the last minute.
            "tickets_exported": int((opened & (changed_at <= now - 60)).sum()),
        },
        "mixpanel": {"events": visible, "events_of_accounts": visible - unknown, "events_of_unknown": unknown},
        "stripe": {
            "customers": closed,
            "subscriptions": bisect_right([one.created_at for one in world.subscriptions], now),
            "canceled_subscriptions": sum(
                one.canceled_at is not None and one.canceled_at <= now for one in world.subscriptions
            ),
            "invoices": bisect_right([one.created_at for one in world.invoices], now),
            "paid_invoices": sum(one.paid_at is not None and one.paid_at <= now for one in world.invoices),
            "paid_cents": sum(
                one.amount_cents for one in world.invoices if one.paid_at is not None and one.paid_at <= now
            ),
            "failed_payments": sum(
                at <= now and not succeeded for one in world.invoices for at, succeeded in one.attempts
            ),
        },
    }
