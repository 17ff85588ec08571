"""Opportunities created.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, event("crm.opportunity_created"), event("crm.opportunity_won"))
['acme 2026-11-22: 1']
"""

from metrics.contract import Metric, of_kind

METRIC = Metric(
    name="crm.opportunities_created",
    topic="events.crm",
    merge="count",
    where=of_kind("crm.opportunity_created"),
    unit="opportunities",
    owner="crm",
    description="Opportunities opened.",
)
