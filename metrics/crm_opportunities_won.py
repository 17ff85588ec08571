"""Opportunities won."""

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
