"""Invoiced amount.

>>> from metrics.authoring.examples import event, values
>>> paid = event("billing.invoice_paid", value="300.00", currency="usd")
>>> values(METRIC, paid, event("billing.invoice_paid", value="19.99"), event("billing.invoice_paid"))
['acme 2026-11-22: 319.99']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="billing.invoiced_amount",
    topic="events.billing",
    merge="sum",
    where=lambda events: (events.kind == "billing.invoice_paid") & events.value.notnull(),
    measure=lambda events: events.value,
    unit="major units of the invoice's currency",
    owner="billing",
    description=(
        "Sum of the invoices paid in the window. Different currencies are added as they are, without "
        "conversion: trust it for an account of one currency."
    ),
)
