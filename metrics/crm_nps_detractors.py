"""Detractors: see `crm.nps_promoters`.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, *(event("crm.nps_answered", value=score) for score in ("10", "7", "6", "0")))
['acme 2026-11-22: 2']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="crm.nps_detractors",
    topic="events.crm",
    merge="count",
    where=lambda events: (events.kind == "crm.nps_answered") & (events.value <= 6),
    unit="answers",
    owner="crm",
    description="Answers from 0 to 6 to the question for recommendation.",
)
