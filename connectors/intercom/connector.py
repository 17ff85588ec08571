"""Intercom: conversations and their ratings, linked to accounts through their contacts' companies."""

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from connectors.authorization import FixedAuthorization
from connectors.contract import Stream, Webhook
from connectors.http import VendorHttp, Wire
from connectors.intercom import credentials
from connectors.intercom.client import API_VERSION, IntercomClient
from connectors.intercom.limits import announced, classify, paces
from connectors.intercom.stream import ConversationStream
from connectors.intercom.webhook import IntercomWebhook
from connectors.vendor_settings import VendorSettings
from vitals.settings import Settings

NAME = "intercom"
topics = ("events.support",)


class IntercomSettings(VendorSettings):
    """Settings of this connector."""

    model_config = SettingsConfigDict(env_prefix="VITALS_INTERCOM_")

    url: str = Field(
        "https://api.intercom.io", description="API of the workspace's region, such as https://api.eu.intercom.io."
    )
    access_token: SecretStr = Field(SecretStr(""), description="Access token of a private app; it does not expire.")
    client_secret: SecretStr = Field(SecretStr(""), description="The app's client secret, which signs its webhooks.")


def create(settings: Settings, wire: Wire | None = None) -> list[Stream]:
    """The streams of this connector. Sends nothing yet.

    Raises:
        UserError: a setting is missing or wrong.
    """
    own = _own(settings)
    own.require("url", "access_token")
    http = VendorHttp(
        NAME,
        # No token can be refreshed: a 401 that stays says that the app was uninstalled or its token withdrawn.
        authorization=FixedAuthorization(f"Bearer {own.access_token.get_secret_value()}"),
        classify_first=classify,
        paces=paces(counted=settings.vendor_pacing),
        read_limits=announced,
        wire=wire,
        headers={"Intercom-Version": API_VERSION, "Accept": "application/json"},
    )
    return [ConversationStream(IntercomClient(http, own.url.rstrip("/")))]


def webhook(settings: Settings) -> Webhook | None:
    """How this connector's webhooks are verified; None without the app's client secret."""
    secret = _own(settings).client_secret.get_secret_value()
    return IntercomWebhook(secret) if secret else None


def _own(settings: Settings) -> IntercomSettings:
    if not settings.simulator_url:
        return IntercomSettings.load()
    return IntercomSettings(
        url=f"{settings.simulator_url.rstrip('/')}/{NAME}",
        access_token=SecretStr(credentials.ACCESS_TOKEN),
        client_secret=SecretStr(credentials.CLIENT_SECRET),
    )
