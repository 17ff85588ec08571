"""Failed payments.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, *(event("billing.payment_failed", attempt=text) for text in ("1", "2")))
['acme 2026-11-22: 2']
"""

from metrics.contract import Metric, of_kind

METRIC = Metric(
    name="billing.payments_failed",
    topic="events.billing",
    merge="count",
    where=of_kind("billing.payment_failed"),
    unit="payments",
    owner="billing",
    description="Attempts to collect an invoice that failed.",
)
