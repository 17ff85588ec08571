"""Files changed: the breadth of what feature events touched.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, *(event("product.feature_used", files=text) for text in ("3", "4", "several")))
['acme 2026-11-22: 7']
"""

from metrics.contract import Metric, number

METRIC = Metric(
    name="product.files_changed",
    topic="events.product",
    merge="sum",
    where=lambda events: (events.kind == "product.feature_used") & number(events, "files").notnull(),
    measure=lambda events: number(events, "files"),
    unit="files",
    owner="product",
    description="Sum of the property files of feature events, where the sender tells it.",
)
