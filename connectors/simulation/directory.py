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
_ENDINGS, _STEPS = ("", " Group", " Holdings", " Partners", " International", " Works", " One", " Union"), 40
_GIVEN_WORDS = (
    "Aiko Amara Amina Anders Beatriz Bilal Carla Chen Clara Daniel Diego Elena Emeka Farah Felix Giulia Hana Ines Ivan "
    "Jonas Julia Kofi Lara Leo Lina Luca Maja Marco Mei Milan Nadia Nina Noah Olga Omar Paula Priya Rafael Rosa Samir "
    "Sara Sofia Tariq Tomas Valeria Wei Yara Yusuf "
)
_FAMILY_WORDS = (
    "Abe Ahmed Almeida Andersson Bauer Becker Bianchi Brown Castro Costa Diaz Dubois Eze Fischer Garcia Gupta Haas "
    "Hansen Ito Jensen Khan Kim Kowalski Larsen Laurent Lee Lopez Martin Mensah Meyer Mori Moreau Nguyen Novak Okoye "
    "Olsen Park Pereira Petrov Rao Ricci Roth Santos Sato Schmidt Silva Singh Smith Tan Tanaka Wagner Wong "
)
_GIVEN_NAMES, _FAMILY_NAMES = _GIVEN_WORDS.split(), _FAMILY_WORDS.split()
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
        for ending in _ENDINGS:
            # Where names get scarce, a few steps on, then another ending: a search through all would take too long.
            steps = (divmod((place + step) % combinations, len(_SECOND)) for step in range(_STEPS))
            free = (f"{_FIRST[first]} {_SECOND[second]}{ending}" for first, second in steps)
            name = next((name for name in free if name not in taken), None)
            if name is not None:
                break
        else:
            name = f"{_FIRST[place // len(_SECOND)]} {external_id}"
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


def domain_of(name: str) -> str:
    """The domain of a company's addresses, from its name."""
    return f"{name.lower().replace(' ', '-')}.example"


def person_name(key: str) -> str:
    """A made-up given and family name for a key."""
    given, family = divmod(hashed(f"person:{key}") % (len(_GIVEN_NAMES) * len(_FAMILY_NAMES)), len(_FAMILY_NAMES))
    return f"{_GIVEN_NAMES[given]} {_FAMILY_NAMES[family]}"


def _weighted(key: str, choices: tuple[tuple[str, int], ...]) -> str:
    place = hashed(key) % sum(weight for _, weight in choices)
    for choice, weight in choices:
        if place < weight:
            return choice
        place -= weight
    raise AssertionError("the weights cover every place")
