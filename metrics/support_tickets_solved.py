"""Tickets solved."""

from metrics.contract import Metric, of_kind

METRIC = Metric(
    name="support.tickets_solved",
    topic="events.support",
    merge="count",
    where=of_kind("support.ticket_solved"),
    unit="tickets",
    owner="support",
    description="Support tickets solved.",
)
