"""Resolution time: the sum, so that any mean can be taken from it exactly.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, *(event("support.ticket_solved", value=seconds) for seconds in ("3600", "90.5")))
['acme 2026-11-22: 3690.5']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="support.resolution_seconds",
    topic="events.support",
    merge="sum",
    where=lambda events: (events.kind == "support.ticket_solved") & events.value.notnull(),
    measure=lambda events: events.value,
    unit="seconds",
    owner="support",
    description="Sum of the time from opened to solved over the tickets solved in the window.",
)
