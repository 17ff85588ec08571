"""Satisfaction: the sum of the scores. Divided by `support.csat_answers` it is a mean, over any span and any accounts.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, *(event("support.csat_answered", value=stars) for stars in ("5", "1", "4")))
['acme 2026-11-22: 10']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="support.csat_score_sum",
    topic="events.support",
    merge="sum",
    where=lambda events: (events.kind == "support.csat_answered") & events.value.notnull(),
    measure=lambda events: events.value,
    unit="stars",
    owner="support",
    description="Sum of the satisfaction ratings of support (1 to 5 each) that were given in the window.",
)
