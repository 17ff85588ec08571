"""Tickets solved.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, event("support.ticket_opened"), event("support.ticket_solved", value="3600"))
['acme 2026-11-22: 1']
"""

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
