"""Requesters: how many different people of an account asked for help.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, *(event("support.ticket_opened", user=name) for name in ("ana", "ben", "ana", None)))
['acme 2026-11-22: 2']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="support.requesters",
    topic="events.support",
    merge="distinct",
    where=lambda events: (events.kind == "support.ticket_opened") & events.user_id.notnull(),
    measure=lambda events: events.user_id,
    unit="users",
    owner="support",
    description="Distinct people who opened a support ticket in the window (exact).",
)
