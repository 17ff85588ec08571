"""Breadth of the relationship: how many people were reached.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, *(event("crm.stakeholder_touched", user=who) for who in ("ana", "bo", "ana")))
['acme 2026-11-22: 2']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="crm.stakeholders_touched",
    topic="events.crm",
    merge="distinct",
    where=lambda events: (events.kind == "crm.stakeholder_touched") & events.user_id.notnull(),
    measure=lambda events: events.user_id,
    unit="people",
    owner="crm",
    description="Distinct people at the account who were reached in the window (exact).",
)
