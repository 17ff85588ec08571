"""Stripe's webhooks over a simulated world: every event of the feed, signed with each secret of the endpoint."""

import hashlib
import hmac
from collections.abc import Sequence

from connectors.simulation.stage import Simulation
from connectors.simulation.vendor_webhooks import Notice, VendorWebhooks
from connectors.stripe.credentials import WEBHOOK_SECRET
from connectors.stripe.simulator import API_VERSION, ledger_of


class StripeWebhooks(VendorWebhooks):
    """Anything but 2xx is sent again, for days at the vendor; here until the waits have added up to minutes."""

    name = "stripe"
    attempts = 12

    def secrets(self) -> tuple[str, ...]:
        """One secret an endpoint, two while it is rolled."""
        return (WEBHOOK_SECRET,)

    def notices(self, simulation: Simulation, first: int, last: int) -> list[Notice]:
        """One event for each mutation."""
        ledger = ledger_of(simulation)
        return [
            Notice(mutation.event_id, mutation.created_at, ledger.event(mutation, API_VERSION))
            for mutation in ledger.events.made(first, last)
        ]

    def headers(self, body: bytes, url: str, secrets: Sequence[str], signed_at: float) -> dict[str, str]:
        """`Stripe-Signature` with one `v1` for each secret, and a `v0` that means nothing."""
        del url
        told_at = str(int(signed_at))
        signed = told_at.encode() + b"." + body
        macs = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
        parts = [f"t={told_at}", *(f"v1={mac}" for mac in macs), f"v0={hashlib.sha256(signed).hexdigest()}"]
        return {
            "content-type": "application/json; charset=utf-8",
            "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "stripe-signature": ",".join(parts),
        }

    def retried(self, status: int | None) -> bool:
        """Whatever went wrong."""
        del status
        return True


WEBHOOKS = StripeWebhooks()
