"""Event names: the breadth of what an application tracks beside features.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, *(event("product.event_tracked", event=name) for name in ("Signed In", "Exported", "Signed In")))
['acme 2026-11-22: 2']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="product.event_names",
    topic="events.product",
    merge="distinct",
    where=lambda events: (events.kind == "product.event_tracked") & events.properties["event"].notnull(),
    measure=lambda events: events.properties["event"],
    unit="event names",
    owner="product",
    description="Distinct names of tracked events in the window, page views counting as one (exact).",
)
