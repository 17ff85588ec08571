"""Smallest paid invoice.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, event("billing.invoice_paid", value="300.00"), event("billing.invoice_paid", value="19.99"))
['acme 2026-11-22: 19.99']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="billing.smallest_invoice",
    topic="events.billing",
    merge="min",
    where=lambda events: (events.kind == "billing.invoice_paid") & events.value.notnull(),
    measure=lambda events: events.value,
    unit="major units of the invoice's currency",
    owner="billing",
    description=(
        "The least amount among the invoices paid in the window. Different currencies are compared as they "
        "are, without conversion."
    ),
)
