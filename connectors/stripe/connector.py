"""Stripe: subscriptions, invoices paid, and payments that failed."""

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from connectors.authorization import FixedAuthorization
from connectors.contract import Stream, Webhook
from connectors.http import VendorHttp, Wire
from connectors.stripe import credentials
from connectors.stripe.client import API_VERSION, StripeClient, classify
from connectors.stripe.limits import paces
from connectors.stripe.stream import BillingStream
from connectors.stripe.webhook import StripeWebhook
from connectors.vendor_settings import VendorSettings
from vitals.settings import Settings

NAME = "stripe"
topics = ("events.billing",)


class StripeSettings(VendorSettings):
    """Settings of this connector."""

    model_config = SettingsConfigDict(env_prefix="VITALS_STRIPE_")

    url: str = Field("https://api.stripe.com", description="Address of the API.")
    key: SecretStr = Field(
        SecretStr(""), description="Restricted key that may read customers, subscriptions, invoices and events."
    )
    webhook_secrets: SecretStr = Field(
        SecretStr(""),
        description="Signing secrets of the webhook endpoint, comma separated while one is rolled.",
    )


def create(settings: Settings, wire: Wire | None = None) -> list[Stream]:
    """The streams of this connector. Sends nothing yet.

    Raises:
        UserError: a setting is missing or wrong.
    """
    own = StripeSettings.load()
    url, key = own.url, own.key.get_secret_value()
    if settings.simulator_url:
        url, key = f"{settings.simulator_url.rstrip('/')}/{NAME}", credentials.KEY
    else:
        own.require("key")
    http = VendorHttp(
        NAME,
        authorization=FixedAuthorization(f"Bearer {key}"),
        classify_first=classify,
        paces=paces(counted=settings.vendor_pacing),
        wire=wire,
        headers={"Stripe-Version": API_VERSION},
    )
    return [BillingStream(StripeClient(http, url.rstrip("/")))]


def webhook(settings: Settings) -> Webhook | None:
    """How Stripe signs what it sends here; None where no secret is set."""
    given = StripeSettings.load().webhook_secrets.get_secret_value()
    if settings.simulator_url:
        given = credentials.WEBHOOK_SECRET
    secrets = [secret.strip() for secret in given.split(",") if secret.strip()]
    return StripeWebhook(secrets) if secrets else None
