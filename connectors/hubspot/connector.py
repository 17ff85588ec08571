"""HubSpot: companies, deals and tickets; the identities of this installation where no other CRM is connected."""

from datetime import timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from connectors.authorization import Authorization, FixedAuthorization
from connectors.contract import Stream, Webhook
from connectors.http import VendorHttp, Wire
from connectors.hubspot.accounts import COMPANIES
from connectors.hubspot.authorization import RefreshedTokens
from connectors.hubspot.client import HubSpotClient
from connectors.hubspot.credentials import HubSpotCredentials
from connectors.hubspot.deliveries import HubSpotWebhook
from connectors.hubspot.limits import announced, classifier, paces
from connectors.hubspot.mapping import DEAL, TICKET, Meaning
from connectors.hubspot.stream import ObjectStream, WalkedObject, link_properties
from connectors.vendor_settings import VendorSettings
from vitals.settings import Settings

NAME = "hubspot"
topics = ("events.crm", "events.support")

CRM = "salesforce"
"""Where this connector is enabled too, its accounts are the identities."""


class HubSpotSettings(VendorSettings):
    """Settings of this connector."""

    model_config = SettingsConfigDict(env_prefix="VITALS_HUBSPOT_")

    url: str = Field("https://api.hubapi.com", description="Address of the API.")
    access_token: SecretStr = Field(SecretStr(""), description="Token of a private app or a service key.")
    client_id: str = Field("", description="Client id of an OAuth app, instead of an access token.")
    client_secret: SecretStr = Field(
        SecretStr(""), description="Client secret of the app; it signs the app's webhooks too."
    )
    refresh_token: SecretStr = Field(SecretStr(""), description="Refresh token of the OAuth app's installation.")
    api_version: str = Field(
        "2026-09", pattern=r"^(\d{4}-\d{2}|v3)$", description="Version segment of the CRM's paths: a date, or v3."
    )
    oauth_version: str = Field(
        "2026-03", pattern=r"^(\d{4}-\d{2}|v1)$", description="Version segment of the token path: a date, or v1."
    )
    crm_id_property: str = Field(
        "crm_account_id", pattern=r"^\w+$", description="Company property that holds the Salesforce account's id."
    )
    archived_every_hours: float = Field(
        24.0, gt=0, description="Hours between two searches for archived (deleted) objects."
    )
    requests_per_10_seconds: int | None = Field(
        None,
        gt=20,
        description="Requests that this connector may send in 10 seconds, with pacing; unset: nine tenths of what "
        "HubSpot announces.",
    )
    requests_per_day: int = Field(
        200_000, gt=200, description="Requests that this connector may send in 24 hours, with pacing."
    )
    time_zone: str = Field("UTC", description="The account's time zone, in which its day of requests ends.")
    passing_statuses: tuple[int, ...] = Field(
        (423, 477), description="Further statuses that pass (JSON list): locked, and moving to another data centre."
    )
    webhook_signatures: tuple[Literal["v3", "v2", "v1"], ...] = Field(
        ("v3",), description="Versions of webhook signatures that are accepted (JSON list); old ones only for old apps."
    )

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{name} is no IANA time zone, such as Europe/Berlin") from error
        return name


def create(settings: Settings, wire: Wire | None = None) -> list[Stream]:
    """The streams of this connector. Sends nothing yet.

    Raises:
        UserError: a setting is missing or wrong.
    """
    own = _settings(settings)
    url = own.url.rstrip("/")
    authorization = _authorization(own, url, wire)
    meaning = Meaning(identity_source=CRM not in settings.enabled_connectors, crm_id_property=own.crm_id_property)
    # Shared: the limits are those of the account, whichever object is read.
    limits = paces(own.requests_per_10_seconds, own.requests_per_day, counted=settings.vendor_pacing)
    classify_first = classifier(own.passing_statuses, ZoneInfo(own.time_zone))
    streams: list[Stream] = []
    for walked in _walked(meaning):
        http = VendorHttp(
            NAME,
            authorization=authorization,
            classify_first=classify_first,
            paces=limits,
            read_limits=announced,
            wire=wire,
        )
        client = HubSpotClient(http, url, own.api_version)
        streams.append(ObjectStream(client, walked, meaning, timedelta(hours=own.archived_every_hours)))
    return streams


def webhook(settings: Settings) -> Webhook | None:
    """How HubSpot signs its webhooks; None where the app's client secret is not known.

    Raises:
        UserError: a setting is wrong.
    """
    own = _settings(settings)
    secret = own.client_secret.get_secret_value()
    return HubSpotWebhook(secret, own.webhook_signatures) if secret else None


def _settings(settings: Settings) -> HubSpotSettings:
    own = HubSpotSettings.load()
    if not settings.simulator_url:
        return own
    demo = HubSpotCredentials()
    return own.model_copy(
        update={
            "url": f"{settings.simulator_url.rstrip('/')}/{NAME}",
            "access_token": SecretStr(""),
            "client_id": demo.client_id,
            "client_secret": SecretStr(demo.client_secret),
            "refresh_token": SecretStr(demo.refresh_token),
        }
    )


def _authorization(own: HubSpotSettings, url: str, wire: Wire | None) -> Authorization:
    if not own.refresh_token.get_secret_value():
        own.require("url", "access_token")
        return FixedAuthorization(f"Bearer {own.access_token.get_secret_value()}")
    own.require("url", "client_id", "client_secret")
    return RefreshedTokens(
        VendorHttp(NAME, wire=wire),
        url,
        own.oauth_version,
        own.client_id,
        own.client_secret.get_secret_value(),
        own.refresh_token.get_secret_value(),
    ).authorization


def _walked(meaning: Meaning) -> tuple[WalkedObject, ...]:
    return (
        WalkedObject(
            object_type=COMPANIES,
            singular="company",
            type_id="0-2",
            topics=("events.crm",),
            properties=(
                *link_properties(meaning.crm_id_property),
                *("name", "createdate", "hs_lastmodifieddate", "hs_merged_object_ids", "hubspot_owner_id"),
                *("lifecyclestage", "segment", "region", "plan", "time_zone", "hs_parent_company_id"),
                *("arr", "arr_currency", "contract_end"),
            ),
            map=meaning.company,
        ),
        WalkedObject(
            object_type="deals",
            singular=DEAL,
            type_id="0-3",
            topics=("events.crm",),
            properties=(
                *("dealname", "amount", "deal_currency_code", "dealstage", "pipeline", "dealtype", "createdate"),
                *("closedate", "hs_is_closed", "hs_is_closed_won", "hs_lastmodifieddate"),
                "hs_v2_date_entered_current_stage",
            ),
            map=meaning.deal,
        ),
        WalkedObject(
            object_type="tickets",
            singular=TICKET,
            type_id="0-5",
            topics=("events.support",),
            properties=(
                *("subject", "createdate", "closed_date", "hs_lastmodifieddate", "hs_pipeline", "hs_pipeline_stage"),
                *("hs_ticket_priority", "hs_ticket_category", "source_type"),
            ),
            map=meaning.ticket,
        ),
    )
