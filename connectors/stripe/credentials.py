"""The made-up key that the simulated Stripe accepts, and the secret that signs its webhooks. They open nothing else."""

KEY = "sk_test_demo"
WEBHOOK_SECRET = "whsec_demo_0001"  # noqa: S105 - opens only the simulator
