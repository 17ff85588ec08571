"""The made-up credentials that the simulated vendors accept. They open nothing but a simulator."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Credentials:
    """One set for each vendor; a connector under test is given the same values as settings.

    `salesforce_public_key` (PEM) verifies assertions, which are refused without one. With
    `salesforce_rotates_refresh_tokens`, each refresh gives a new token and ends the old one.
    """

    salesforce_client_id: str = "vitals-demo"
    salesforce_client_secret: str = "sf-client-secret-demo"  # noqa: S105 - opens only the simulator
    salesforce_refresh_token: str = "sf-refresh-demo"  # noqa: S105
    salesforce_username: str = "integration@vendor.example"
    salesforce_public_key: str = ""
    salesforce_rotates_refresh_tokens: bool = False
    zendesk_client_id: str = "cs_platform"
    zendesk_client_secret: str = "zd-client-secret-demo"  # noqa: S105
    zendesk_refresh_token: str = "zd-refresh-demo-0001"  # noqa: S105
    zendesk_email: str = "admin@vendor.example"
    zendesk_api_token: str = "zd-api-token-demo"  # noqa: S105
    mixpanel_username: str = "vitals-demo.service-account"
    mixpanel_secret: str = "mp-secret-demo"  # noqa: S105
    mixpanel_project_id: str = "3100001"
    stripe_key: str = "sk_test_demo"
    stripe_webhook_secret: str = "whsec_demo_0001"  # noqa: S105
    zendesk_webhook_secret: str = "zd-demo-secret"  # noqa: S105
