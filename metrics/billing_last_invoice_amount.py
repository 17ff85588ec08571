"""Amount of the newest paid invoice: what an account pays now.

>>> from metrics.authoring.examples import event, values
>>> later = event("billing.invoice_paid", "2026-11-22 17:00", value="450.00")
>>> values(METRIC, later, event("billing.invoice_paid", "2026-11-22 09:00", value="300.00"))
['acme 2026-11-22: 450']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="billing.last_invoice_amount",
    topic="events.billing",
    merge="last",
    where=lambda events: (events.kind == "billing.invoice_paid") & events.value.notnull(),
    measure=lambda events: events.value,
    unit="major units of the invoice's currency",
    owner="billing",
    description="Amount of the newest invoice paid in the window, in that invoice's own currency.",
)
