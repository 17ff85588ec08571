"""The made-up credentials that the simulated HubSpot accepts. They open nothing but the simulator."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HubSpotCredentials:
    """A private app's token, and an OAuth app with its refresh token; webhooks are signed with the client secret."""

    access_token: str = "pat-na1-demo"  # noqa: S105 - opens only the simulator
    client_id: str = "hs-vitals-demo"
    client_secret: str = "hs-demo-secret"  # noqa: S105
    refresh_token: str = "hs-refresh-demo"  # noqa: S105
