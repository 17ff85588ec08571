"""Amount lost.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, *(event("crm.opportunity_lost", value=text) for text in ("12000.00", "800.50", None)))
['acme 2026-11-22: 12800.5']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="crm.amount_lost",
    topic="events.crm",
    merge="sum",
    where=lambda events: (events.kind == "crm.opportunity_lost") & events.value.notnull(),
    measure=lambda events: events.value,
    unit="major units of the opportunity's currency",
    owner="crm",
    description=(
        "Sum of the amounts of the opportunities closed as lost. Different currencies are added as they are, "
        "without conversion."
    ),
)
