"""Subscriptions canceled.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, event("billing.subscription_canceled", seats="0"), event("billing.subscription_started"))
['acme 2026-11-22: 1']
"""

from metrics.contract import Metric, of_kind

METRIC = Metric(
    name="billing.subscriptions_canceled",
    topic="events.billing",
    merge="count",
    where=of_kind("billing.subscription_canceled"),
    unit="subscriptions",
    owner="billing",
    description="Subscriptions whose service ended, counted at its end, not when the cancellation was asked for.",
)
