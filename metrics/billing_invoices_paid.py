"""Paid invoices.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, event("billing.invoice_paid", value="300.00"), event("billing.payment_failed", value="300.00"))
['acme 2026-11-22: 1']
"""

from metrics.contract import Metric, of_kind

METRIC = Metric(
    name="billing.invoices_paid",
    topic="events.billing",
    merge="count",
    where=of_kind("billing.invoice_paid"),
    unit="invoices",
    owner="billing",
    description="Invoices paid in the window.",
)
