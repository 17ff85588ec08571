"""The made-up credentials that the simulated Zendesk accepts. They open nothing but the simulator."""

CLIENT_ID = "cs_platform"
CLIENT_SECRET = "zd-client-secret-demo"  # noqa: S105 - opens only the simulator
REFRESH_TOKEN = "zd-refresh-demo-0001"  # noqa: S105
EMAIL = "admin@vendor.example"
API_TOKEN = "zd-api-token-demo"  # noqa: S105
WEBHOOK_SECRET = "zd-demo-secret"  # noqa: S105
