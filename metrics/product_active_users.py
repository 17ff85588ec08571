"""Active users: how many different people of an account used the product."""

from metrics.contract import Metric

METRIC = Metric(
    name="product.active_users",
    topic="events.product",
    merge="distinct",
    where=lambda events: events.kind.isin(("product.feature_used", "product.event_tracked")) & events.user_id.notnull(),
    measure=lambda events: events.user_id,
    unit="users",
    owner="product",
    description="Distinct users with at least one product event in the window (exact).",
)
