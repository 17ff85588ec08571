"""Invoiced amount."""

from metrics.contract import Metric

METRIC = Metric(
    name="billing.invoiced_amount",
    topic="events.billing",
    merge="sum",
    where=lambda events: (events.kind == "billing.invoice_paid") & events.value.notnull(),
    measure=lambda events: events.value,
    unit="major units of the invoice's currency",
    owner="billing",
    description="Sum of the invoices paid in the window.",
)
