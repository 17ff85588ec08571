"""What the contract tests must be told of Zendesk."""

from connectors.conformance import Conformance

CONFORMANCE = Conformance(
    data_path="/api/v2/incremental/tickets",
    any_path="/api/v2/incremental/organizations.json?start_time=0",
    kinds=(
        "support.ticket_opened",
        "support.ticket_solved",
        "support.csat_answered",
        "support.ticket_deleted",
        "support.ticket_restored",
        "support.organization_deleted",
        "support.organization_restored",
    ),
    small_pages={"connectors.zendesk.client.PAGE_OBJECTS": 100},
)
