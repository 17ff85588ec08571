"""Opportunities won.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, event("crm.opportunity_won"), event("crm.opportunity_lost"))
['acme 2026-11-22: 1']
"""

from metrics.contract import Metric, of_kind

METRIC = Metric(
    name="crm.opportunities_won",
    topic="events.crm",
    merge="count",
    where=of_kind("crm.opportunity_won"),
    unit="opportunities",
    owner="crm",
    description="Opportunities closed as won.",
)
