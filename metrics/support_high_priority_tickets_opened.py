"""Tickets opened with a high priority.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, *(event("support.ticket_opened", priority=text) for text in ("urgent", "high", "normal")))
['acme 2026-11-22: 2']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="support.high_priority_tickets_opened",
    topic="events.support",
    merge="count",
    where=lambda events: (
        (events.kind == "support.ticket_opened") & events.properties["priority"].isin(("high", "urgent"))
    ),
    unit="tickets",
    owner="support",
    description="Support tickets that are high or urgent as the connector first saw them, counted when opened.",
)
