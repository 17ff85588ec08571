"""Promoters. Their share less that of the detractors is the net promoter score, over any span and any accounts.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, *(event("crm.nps_answered", value=score) for score in ("10", "9", "8", "2")))
['acme 2026-11-22: 2']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="crm.nps_promoters",
    topic="events.crm",
    merge="count",
    where=lambda events: (events.kind == "crm.nps_answered") & (events.value >= 9),
    unit="answers",
    owner="crm",
    description="Answers of 9 or 10 to the question for recommendation.",
)
