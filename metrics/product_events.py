"""Product events: how much an account uses the product.

>>> from metrics.authoring.examples import event, values
>>> used = [event("product.feature_used", f"2026-11-22 09:{minute}") for minute in (10, 10, 20)]
>>> values(METRIC, *used)
['acme 2026-11-22: 3']
>>> values(METRIC, *used, grain="minute")
['acme 2026-11-22 09:10: 2', 'acme 2026-11-22 09:20: 1']
"""

from metrics.contract import Metric, of_kind

METRIC = Metric(
    name="product.events",
    topic="events.product",
    merge="count",
    where=of_kind("product.feature_used", "product.event_tracked"),
    unit="events",
    owner="product",
    description="Product events, duplicates left out.",
    grains=("minute", "hour", "day"),
)
