"""Champions who left: the earliest sign of a churn that use does not show yet.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, *(event("crm.stakeholder_set", role=role, status="left") for role in ("champion", "billing")))
['acme 2026-11-22: 1']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="crm.champions_left",
    topic="events.crm",
    merge="count",
    where=lambda events: (
        (events.kind == "crm.stakeholder_set")
        & (events.properties["role"] == "champion")
        & (events.properties["status"] == "left")
    ),
    unit="people",
    owner="crm",
    description="People with the role of a champion who left the account, or were taken off it, in the window.",
)
