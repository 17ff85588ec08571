"""The made-up credentials that the simulated workspace accepts. They open nothing but a simulator."""

ACCESS_TOKEN = "dG9rOnZpdGFscy1kZW1v"  # noqa: S105 - opens only the simulator
CLIENT_SECRET = "ic-client-secret-demo"  # noqa: S105
