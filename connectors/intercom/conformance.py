"""What the contract tests must be told of Intercom."""

from connectors.conformance import Conformance

_SCROLL = "strikes the scroll through the companies, which tests/connectors/test_intercom_companies.py orders it for"

CONFORMANCE = Conformance(
    data_path="/conversations/search",
    any_path="/me",
    kinds=("support.ticket_opened", "support.ticket_solved", "support.csat_answered"),
    small_pages={"connectors.intercom.client.PER_PAGE": 100, "connectors.intercom.simulator.SCROLL_PAGE": 15},
    waived={"scroll_exists": _SCROLL, "scroll_expired": _SCROLL, "scroll_broken": _SCROLL},
)
