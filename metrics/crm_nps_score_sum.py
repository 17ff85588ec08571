"""Recommendation: the sum of the answers. Divided by `crm.nps_answers` it is a mean.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, *(event("crm.nps_answered", value=score) for score in ("10", "7", "2")))
['acme 2026-11-22: 19']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="crm.nps_score_sum",
    topic="events.crm",
    merge="sum",
    where=lambda events: (events.kind == "crm.nps_answered") & events.value.notnull(),
    measure=lambda events: events.value,
    unit="points",
    owner="crm",
    description="Sum of the answers to the question for recommendation (0 to 10 each).",
)
