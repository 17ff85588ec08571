"""Features used: the breadth of an account's use.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, *(event("product.feature_used", feature=name) for name in ("reports", "export", "reports")))
['acme 2026-11-22: 2']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="product.features_used",
    topic="events.product",
    merge="distinct",
    where=lambda events: (events.kind == "product.feature_used") & events.properties["feature"].notnull(),
    measure=lambda events: events.properties["feature"],
    unit="features",
    owner="product",
    description="Distinct features used in the window (exact).",
)
