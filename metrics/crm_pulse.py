"""The pulse: what the account's own manager thinks of it.

>>> from metrics.authoring.examples import event, values
>>> late = event("crm.pulse_recorded", "2026-11-22 17:00", value="2")
>>> values(METRIC, late, event("crm.pulse_recorded", "2026-11-22 09:00", value="5"))
['acme 2026-11-22: 2']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="crm.pulse",
    topic="events.crm",
    merge="last",
    where=lambda events: (events.kind == "crm.pulse_recorded") & events.value.notnull(),
    measure=lambda events: events.value,
    unit="points",
    owner="crm",
    description="The manager's newest opinion of the account in the window, from 1 to 5.",
)
