"""Amount that could not be collected.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, *(event("billing.payment_failed", value="300.00", attempt=f"{n}") for n in (1, 2)))
['acme 2026-11-22: 600']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="billing.amount_failed",
    topic="events.billing",
    merge="sum",
    where=lambda events: (events.kind == "billing.payment_failed") & events.value.notnull(),
    measure=lambda events: events.value,
    unit="major units of the invoice's currency",
    owner="billing",
    description=(
        "Sum of the amounts due over the failed attempts; an invoice that fails twice counts twice. Different "
        "currencies are added as they are, without conversion."
    ),
)
