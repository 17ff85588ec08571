"""Failed attempts: how long an invoice has been hard to collect.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, *(event("billing.payment_failed", attempt=text) for text in ("1", "3", "2", "many")))
['acme 2026-11-22: 3']
"""

from metrics.contract import Metric, number

METRIC = Metric(
    name="billing.failed_attempts",
    topic="events.billing",
    merge="max",
    where=lambda events: (events.kind == "billing.payment_failed") & number(events, "attempt").notnull(),
    measure=lambda events: number(events, "attempt"),
    unit="attempts",
    owner="billing",
    description="The highest number of an attempt to collect an invoice that failed in the window.",
)
