"""What HubSpot calls a world's objects."""

from functools import lru_cache

from connectors.simulation.identifiers import numeric_id
from connectors.simulation.other_names import hubspot_company_id as company_id
from connectors.simulation.world import Owner

__all__ = ("company_id", "deal_id", "owner_id", "ticket_object_id")

_FIRST_TICKET_ID = 30_000_000_000


@lru_cache(maxsize=100_000)
def deal_id(key: str) -> int:
    """The deal of an opportunity, or of the new business of an account (by its external id)."""
    return numeric_id(f"hubspot:deal:{key}", 20_000_000_000)


def ticket_object_id(ticket_id: int) -> int:
    """The id that HubSpot gives a world's ticket."""
    return _FIRST_TICKET_ID + ticket_id


def owner_id(owner: Owner) -> str:
    """HubSpot's id of an owner."""
    return str(numeric_id(f"hubspot:owner:{owner.user_id}", 70_000_000))
