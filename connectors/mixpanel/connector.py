"""Mixpanel: product usage from the raw export."""

import base64
from datetime import date
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from connectors.authorization import FixedAuthorization
from connectors.contract import Stream
from connectors.http import VendorHttp, Wire
from connectors.mixpanel import credentials
from connectors.mixpanel.limits import classify, paces
from connectors.mixpanel.stream import ExportStream, Project
from connectors.vendor_settings import VendorSettings
from vitals.errors import UserError
from vitals.settings import Settings

NAME = "mixpanel"
topics = ("events.product",)


class MixpanelSettings(VendorSettings):
    """Settings of this connector."""

    model_config = SettingsConfigDict(env_prefix="VITALS_MIXPANEL_")

    url: str = Field("https://data.mixpanel.com", description="Export host of the project's region.")
    project_id: str = Field("", description="Numeric id of the project.")
    username: str = Field("", description="User name of a service account.")
    secret: SecretStr = Field(SecretStr(""), description="Secret of the service account.")
    start_date: date = Field(date(2011, 1, 1), description="First day to load.")
    window_days: int = Field(
        0, ge=0, description="Days in an export of the first load; 0: one day with pacing, calendar years without."
    )
    project_timezone: str = Field(
        "", description="Time zone of a project made before 2023, whose times are local; empty: UTC."
    )


def create(settings: Settings, wire: Wire | None = None) -> list[Stream]:
    """The streams of this connector. Sends nothing yet.

    Raises:
        UserError: a setting is missing or wrong.
    """
    own = MixpanelSettings.load()
    url, project_id, username, secret = own.url, own.project_id, own.username, own.secret.get_secret_value()
    if settings.simulator_url:
        url = f"{settings.simulator_url.rstrip('/')}/{NAME}"
        project_id, username, secret = credentials.PROJECT_ID, credentials.USERNAME, credentials.SECRET
    else:
        own.require("project_id", "username", "secret")
    project = Project(
        url=url.rstrip("/"),
        project_id=project_id,
        start=own.start_date,
        window_days=own.window_days,
        paced=settings.vendor_pacing,
        zone=_zone(own.project_timezone),
    )
    http = VendorHttp(
        NAME,
        authorization=FixedAuthorization("Basic " + base64.b64encode(f"{username}:{secret}".encode()).decode()),
        classify_first=classify,
        paces=paces(counted=settings.vendor_pacing),
        wire=wire,
    )
    return [ExportStream(http, project)]


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise UserError(
            f"VITALS_MIXPANEL_PROJECT_TIMEZONE: {name} is not a time zone such as Europe/Lisbon."
        ) from error
