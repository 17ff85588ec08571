"""Seats: what an account pays for.

>>> from metrics.authoring.examples import event, values
>>> paid = event("billing.invoice_paid", seats="12")
>>> values(METRIC, paid, event("billing.subscription_canceled", "2026-12-01 00:00", seats="0"))
['acme 2026-11-22: 12', 'acme 2026-12-01: 0']
"""

from metrics.contract import Metric, number

METRIC = Metric(
    name="billing.seats",
    topic="events.billing",
    merge="last",
    where=lambda events: (
        events.kind.isin(("billing.invoice_paid", "billing.subscription_canceled")) & number(events, "seats").notnull()
    ),
    measure=lambda events: number(events, "seats"),
    unit="seats",
    owner="billing",
    description="Seats of the newest paid invoice in the window; 0 after a cancellation.",
)
