"""Features used: the breadth of an account's use."""

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
