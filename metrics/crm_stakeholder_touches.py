"""Touches: calls, mails, meetings and tasks with a person whom the CRM knows.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, *(event("crm.stakeholder_touched", activity=what) for what in ("call", "meeting")))
['acme 2026-11-22: 2']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="crm.stakeholder_touches",
    topic="events.crm",
    merge="count",
    where=lambda events: events.kind == "crm.stakeholder_touched",
    unit="touches",
    owner="crm",
    description="Activities that reached a named person at the account; one with two people counts for each.",
)
