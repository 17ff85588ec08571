"""Active users: how many different people of an account used the product.

>>> from metrics.authoring.examples import event, values
>>> used = [event("product.feature_used", user=name) for name in ("ana", "ben", "ana", None)]
>>> values(METRIC, *used)
['acme 2026-11-22: 2']
"""

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
    grains=("hour", "day"),
)
