"""Stripe's limits, in the narrowest case: that of test mode, and that of an account below its default."""

from connectors.pace import Pace

RESOURCES = ("customers", "subscriptions", "invoices", "events")
"""Kinds of requests: each resource is an endpoint with a limit of its own."""

# As the header of a refusal names them.
ENDPOINT, ACCOUNT = "endpoint-rate", "global-rate"


def paces(*, counted: bool) -> dict[str, tuple[Pace, ...]]:
    """25 requests a second for each endpoint, and for all together; uncounted, they only wait after a refusal."""
    requests = 25 if counted else None
    account = Pace(ACCOUNT, requests, 1.0, burst=5)
    return {name: (Pace(ENDPOINT, requests, 1.0, burst=5), account) for name in RESOURCES}
