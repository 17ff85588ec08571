"""Answers to "how likely are you to recommend us?": the divisor of a net promoter score.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, *(event("crm.nps_answered", value=score) for score in ("10", "7", "2")))
['acme 2026-11-22: 3']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="crm.nps_answers",
    topic="events.crm",
    merge="count",
    where=lambda events: (events.kind == "crm.nps_answered") & events.value.notnull(),
    unit="answers",
    owner="crm",
    description="Answers to the question for recommendation (0 to 10) that were given in the window.",
)
