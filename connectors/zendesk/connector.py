"""Zendesk Support: tickets, linked to accounts through their organizations."""

import base64

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from connectors.authorization import Authorization, FixedAuthorization
from connectors.contract import Stream, Webhook
from connectors.http import VendorHttp, Wire
from connectors.vendor_settings import VendorSettings
from connectors.zendesk import credentials
from connectors.zendesk.client import ZendeskClient, client_credentials
from connectors.zendesk.limits import announced, classify, paces
from connectors.zendesk.stream import TicketStream
from connectors.zendesk.webhook import ZendeskWebhook
from vitals.settings import Settings

NAME = "zendesk"
topics = ("events.support",)


class ZendeskSettings(VendorSettings):
    """Settings of this connector."""

    model_config = SettingsConfigDict(env_prefix="VITALS_ZENDESK_")

    url: str = Field("", description="Address of the account, such as https://northwind.zendesk.com.")
    client_id: str = Field("", description="Identifier of a confidential OAuth client.")
    client_secret: SecretStr = Field(SecretStr(""), description="Secret of the OAuth client.")
    email: str = Field("", description="Administrator whose API token is used; only until Zendesk ends API tokens.")
    api_token: SecretStr = Field(SecretStr(""), description="API token, instead of an OAuth client.")
    webhook_secret: SecretStr = Field(SecretStr(""), description="Signing secret of the webhook that calls Vitals.")


def create(settings: Settings, wire: Wire | None = None) -> list[Stream]:
    """The streams of this connector. Sends nothing yet.

    Raises:
        UserError: a setting is missing or wrong.
    """
    own = ZendeskSettings.load()
    if settings.simulator_url:
        own = ZendeskSettings(
            url=f"{settings.simulator_url.rstrip('/')}/{NAME}",
            client_id=credentials.CLIENT_ID,
            client_secret=SecretStr(credentials.CLIENT_SECRET),
            email="",
            api_token=SecretStr(""),
            webhook_secret=SecretStr(""),
        )
    url = own.url.rstrip("/")
    http = VendorHttp(
        NAME,
        authorization=_authorization(own, wire),
        classify_first=classify,
        paces=paces(counted=settings.vendor_pacing),
        read_limits=announced,
        wire=wire,
    )
    return [TicketStream(ZendeskClient(http, url))]


def webhook(settings: Settings) -> Webhook | None:
    """How Zendesk signs what it sends here; None where no secret is set."""
    secret = ZendeskSettings.load().webhook_secret.get_secret_value()
    if settings.simulator_url:
        secret = credentials.WEBHOOK_SECRET
    return ZendeskWebhook(secret) if secret else None


def _authorization(own: ZendeskSettings, wire: Wire | None) -> Authorization:
    if own.email:
        own.require("url", "api_token")
        # The literal `/token` belongs to the user name.
        user = f"{own.email}/token:{own.api_token.get_secret_value()}"
        return FixedAuthorization("Basic " + base64.b64encode(user.encode()).decode())
    own.require("url", "client_id", "client_secret")
    http = VendorHttp(NAME, wire=wire)
    return client_credentials(http, own.url.rstrip("/"), own.client_id, own.client_secret.get_secret_value())
