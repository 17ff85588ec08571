"""The made-up service account that the simulated Mixpanel accepts. It opens nothing but the simulator."""

USERNAME = "vitals-demo.service-account"
SECRET = "mp-secret-demo"  # noqa: S105 - opens only the simulator
PROJECT_ID = "3100001"
