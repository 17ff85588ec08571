"""Tickets opened."""

from metrics.contract import Metric, of_kind

METRIC = Metric(
    name="support.tickets_opened",
    topic="events.support",
    merge="count",
    where=of_kind("support.ticket_opened"),
    unit="tickets",
    owner="support",
    description="Support tickets opened.",
)
