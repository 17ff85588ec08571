"""Tickets opened.

>>> from metrics.authoring.examples import event, values
>>> opened = [event("support.ticket_opened", f"2026-11-22 {hour}:30") for hour in (10, 10, 11)]
>>> values(METRIC, *opened, event("support.ticket_solved"))
['acme 2026-11-22: 3']
>>> values(METRIC, *opened, grain="hour")
['acme 2026-11-22 10:00: 2', 'acme 2026-11-22 11:00: 1']
"""

from metrics.contract import Metric, of_kind

METRIC = Metric(
    name="support.tickets_opened",
    topic="events.support",
    merge="count",
    where=of_kind("support.ticket_opened"),
    unit="tickets",
    owner="support",
    description="Support tickets opened.",
    grains=("hour", "day"),
)
