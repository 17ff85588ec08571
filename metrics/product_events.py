"""Product events: how much an account uses the product."""

from metrics.contract import Metric, of_kind

METRIC = Metric(
    name="product.events",
    topic="events.product",
    merge="count",
    where=of_kind("product.feature_used", "product.event_tracked"),
    unit="events",
    owner="product",
    description="Product events, duplicates left out.",
)
