"""Accounts created in the CRM.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, event("crm.account_created"), event("crm.account_updated"))
['acme 2026-11-22: 1']
"""

from metrics.contract import Metric, of_kind

METRIC = Metric(
    name="crm.accounts_created",
    topic="events.crm",
    merge="count",
    where=of_kind("crm.account_created"),
    unit="accounts",
    owner="crm",
    description="1 on the day on which the CRM created the account.",
)
