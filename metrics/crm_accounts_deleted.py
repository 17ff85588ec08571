"""Accounts deleted in the CRM.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, event("crm.account_deleted"), event("crm.account_updated"))
['acme 2026-11-22: 1']
"""

from metrics.contract import Metric, of_kind

METRIC = Metric(
    name="crm.accounts_deleted",
    topic="events.crm",
    merge="count",
    where=of_kind("crm.account_deleted"),
    unit="accounts",
    owner="crm",
    description="Deletions of the account in the CRM; one that is restored and deleted again counts twice.",
)
