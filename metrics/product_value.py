"""Product value: the sum of what feature events carry as their value.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, *(event("product.feature_used", value=lines) for lines in ("40", "2.5", None)))
['acme 2026-11-22: 42.5']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="product.value",
    topic="events.product",
    merge="sum",
    where=lambda events: (events.kind == "product.feature_used") & events.value.notnull(),
    measure=lambda events: events.value,
    unit="value units of the feature",
    owner="product",
    description="Sum of the values of feature events, for example lines changed.",
)
