"""Subscriptions started.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, event("billing.subscription_started"), event("billing.subscription_canceled", seats="0"))
['acme 2026-11-22: 1']
"""

from metrics.contract import Metric, of_kind

METRIC = Metric(
    name="billing.subscriptions_started",
    topic="events.billing",
    merge="count",
    where=of_kind("billing.subscription_started"),
    unit="subscriptions",
    owner="billing",
    description="Subscriptions whose service began.",
)
