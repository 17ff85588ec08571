"""Answers to "how satisfied were you?": the divisor of every mean score.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, *(event("support.csat_answered", value=stars) for stars in ("5", "1")))
['acme 2026-11-22: 2']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="support.csat_answers",
    topic="events.support",
    merge="count",
    where=lambda events: (events.kind == "support.csat_answered") & events.value.notnull(),
    unit="answers",
    owner="support",
    description="Satisfaction ratings of support that were given in the window.",
)
