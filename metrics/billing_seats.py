"""Seats: what an account pays for."""

from ibis import Table
from ibis.expr.types import Value

from metrics.contract import Metric


def seats(events: Table) -> Value:
    """The event's seats as a number; null where the text is none, which a cast that raises would make everyone's."""
    return events.properties["seats"].try_cast("decimal(38,6)")


METRIC = Metric(
    name="billing.seats",
    topic="events.billing",
    merge="last",
    where=lambda events: (
        events.kind.isin(("billing.invoice_paid", "billing.subscription_canceled")) & seats(events).notnull()
    ),
    measure=seats,
    unit="seats",
    owner="billing",
    description="Seats of the newest paid invoice in the window; 0 after a cancellation.",
)
