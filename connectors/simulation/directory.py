"""What a CRM says of an account beside its activity: a readable made-up name, an owner, a segment, a region, a plan.

All of it is drawn from a hash of the external id: no data holds it, and the same account always gets the same answer.
"""

from collections.abc import Iterable

from connectors.simulation.identifiers import hashed, salesforce_id
from connectors.simulation.world import Owner

_FIRST_WORDS = (
    "Amber Arbor Aspen Atlas Basalt Beacon Birch Bright Canyon Cedar Cobalt Copper Coral Crest Delta Drift Echo "
    "Elm Ember Falcon Fern Fjord Garnet Glacier Granite Harbor Hazel Heron Indigo Iron Jasper Juniper Kestrel "
    "Lagoon Larch Linden Lumen Maple Meadow Mesa Nimbus Northwind Oak Onyx Opal Orchard Osprey Pine Prairie "
    "Quarry Raven Ridge River Sable Sierra Silver Slate Solstice Summit Tidal Timber Umber Vale Willow Zephyr "
)
_SECOND_WORDS = (
    "Analytics Bank Biotech Capital Cloud Dynamics Energy Foods Freight Health Industries Insurance Labs "
    "Logistics Media Mobility Networks Optics Payments Pharma Power Retail Robotics Security Semiconductors "
    "Software Studios Systems Telecom Textiles Travel Works "
)
_FIRST, _SECOND = _FIRST_WORDS.split(), _SECOND_WORDS.split()
_OWNERS = (
    "Ana Reis",
    "Ben Okafor",
    "Chiara Rossi",
    "Dev Patel",
    "Elin Berg",
    "Farid Haddad",
    "Grace Kim",
    "Hugo Martin",
)
_SEGMENTS = (("Enterprise", 20), ("Mid-Market", 30), ("SMB", 50))
_REGIONS = (("AMER", 40), ("EMEA", 40), ("APAC", 20))
_PLANS = {"Enterprise": ("Enterprise", "Growth"), "Mid-Market": ("Growth", "Enterprise"), "SMB": ("Starter", "Growth")}


def owners() -> tuple[Owner, ...]:
    """The made-up customer-success managers, in a fixed order."""
    return tuple(
        Owner(salesforce_id("005", f"owner:{name}"), name, f"{name.lower().replace(' ', '.')}@vendor.example")
        for name in _OWNERS
    )


def company_names(external_ids: Iterable[str]) -> dict[str, str]:
    """A unique made-up company name for each external id; ids that come later do not change the earlier names."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    combinations = len(_FIRST) * len(_SECOND)
    for external_id in external_ids:
        place = hashed(f"name:{external_id}") % combinations
        for step in range(combinations * 2):
            first, second = divmod((place + step) % combinations, len(_SECOND))
            name = f"{_FIRST[first]} {_SECOND[second]}" + (" Group" if step >= combinations else "")
            if name not in taken:
                break
        taken.add(name)
        names[external_id] = name
    return names


def segment_of(external_id: str) -> str:
    """Enterprise, Mid-Market or SMB."""
    return _weighted(f"segment:{external_id}", _SEGMENTS)


def region_of(external_id: str) -> str:
    """AMER, EMEA or APAC."""
    return _weighted(f"region:{external_id}", _REGIONS)


def plan_of(external_id: str) -> str:
    """The usual plan of the segment for four accounts in five, its neighbour for the fifth."""
    usual, other = _PLANS[segment_of(external_id)]
    return usual if hashed(f"plan:{external_id}") % 5 else other


def owner_of(external_id: str) -> Owner:
    """The manager who looks after the account."""
    everyone = owners()
    return everyone[hashed(f"owner:{external_id}") % len(everyone)]


def _weighted(key: str, choices: tuple[tuple[str, int], ...]) -> str:
    place = hashed(key) % sum(weight for _, weight in choices)
    for choice, weight in choices:
        if place < weight:
            return choice
        place -= weight
    raise AssertionError("the weights cover every place")
