"""Currencies: more than one means that summed amounts mix them.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, *(event("billing.invoice_paid", currency=text) for text in ("usd", "eur", "usd")))
['acme 2026-11-22: 2']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="billing.currencies",
    topic="events.billing",
    merge="distinct",
    where=lambda events: (events.kind == "billing.invoice_paid") & events.properties["currency"].notnull(),
    measure=lambda events: events.properties["currency"],
    unit="currencies",
    owner="billing",
    description="Distinct currencies of the invoices paid in the window (exact).",
)
