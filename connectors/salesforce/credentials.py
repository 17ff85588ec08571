"""The made-up credentials that the simulated Salesforce accepts. They open nothing but the simulator."""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

from connectors.simulation.stage import Simulation


@dataclass(slots=True)
class SalesforceCredentials:
    """A connected application, and a user who authorized it.

    `public_key` (PEM) verifies assertions, which are refused without one. With `rotates_refresh_tokens`, each refresh
    gives a new token and ends the old one.
    """

    client_id: str = "vitals-demo"
    client_secret: str = "sf-client-secret-demo"  # noqa: S105 - opens only the simulator
    refresh_token: str = "sf-refresh-demo"  # noqa: S105
    username: str = "integration@vendor.example"
    public_key: str = ""
    rotates_refresh_tokens: bool = False


_KNOWN: WeakKeyDictionary[Simulation, SalesforceCredentials] = WeakKeyDictionary()


def credentials_of(simulation: Simulation) -> SalesforceCredentials:
    """What a simulation's Salesforce accepts; what is changed in it holds from the next request on."""
    return _KNOWN.setdefault(simulation, SalesforceCredentials())
