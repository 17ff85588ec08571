"""Dissatisfied answers: a mean of good and bad ones hides them.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, *(event("support.csat_answered", value=stars) for stars in ("5", "2", "1", "3")))
['acme 2026-11-22: 2']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="support.csat_dissatisfied",
    topic="events.support",
    merge="count",
    where=lambda events: (events.kind == "support.csat_answered") & (events.value <= 2),
    unit="answers",
    owner="support",
    description="Satisfaction ratings of support of 2 or less, of 5.",
)
