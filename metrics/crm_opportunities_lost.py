"""Opportunities lost.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, event("crm.opportunity_lost"), event("crm.opportunity_won"))
['acme 2026-11-22: 1']
"""

from metrics.contract import Metric, of_kind

METRIC = Metric(
    name="crm.opportunities_lost",
    topic="events.crm",
    merge="count",
    where=of_kind("crm.opportunity_lost"),
    unit="opportunities",
    owner="crm",
    description="Opportunities closed as lost.",
)
