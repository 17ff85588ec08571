"""Changes of an account's record in the CRM.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, event("crm.account_updated"), event("crm.account_created"))
['acme 2026-11-22: 1']
"""

from metrics.contract import Metric, of_kind

METRIC = Metric(
    name="crm.account_changes",
    topic="events.crm",
    merge="count",
    where=of_kind("crm.account_updated"),
    unit="changes",
    owner="crm",
    description="Versions of the account's record that the CRM showed after its creation, such as a new owner or plan.",
)
