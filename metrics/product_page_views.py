"""Page views.

>>> from metrics.authoring.examples import event, values
>>> names = ("Loaded a Page", "Signed In", "Loaded a Page")
>>> values(METRIC, *(event("product.event_tracked", event=name) for name in names))
['acme 2026-11-22: 2']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="product.page_views",
    topic="events.product",
    merge="count",
    where=lambda events: (events.kind == "product.event_tracked") & (events.properties["event"] == "Loaded a Page"),
    unit="views",
    owner="product",
    description="Pages loaded, as Segment's page calls and Mixpanel's events of that name tell them.",
)
