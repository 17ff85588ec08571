"""Longest resolution time.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, *(event("support.ticket_solved", value=seconds) for seconds in ("3600", "90.5")))
['acme 2026-11-22: 3600']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="support.longest_resolution_seconds",
    topic="events.support",
    merge="max",
    where=lambda events: (events.kind == "support.ticket_solved") & events.value.notnull(),
    measure=lambda events: events.value,
    unit="seconds",
    owner="support",
    description="The longest time from opened to solved among the tickets solved in the window.",
)
