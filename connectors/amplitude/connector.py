"""Amplitude: product usage from the Export API."""

import base64
from datetime import date
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from connectors.amplitude.credentials import PROJECTS, REGION_PATHS
from connectors.amplitude.stream import LONGEST_WINDOW_HOURS, ExportStream, Project, classify, paces
from connectors.authorization import FixedAuthorization
from connectors.contract import Stream
from connectors.http import VendorHttp, Wire
from connectors.vendor_settings import VendorSettings
from vitals.settings import Settings

NAME = "amplitude"
topics = ("events.product",)

HOSTS = {"us": "https://amplitude.com", "eu": "https://analytics.eu.amplitude.com"}


class AmplitudeSettings(VendorSettings):
    """Settings of this connector."""

    model_config = SettingsConfigDict(env_prefix="VITALS_AMPLITUDE_")

    region: Literal["us", "eu"] = Field("us", description="Where the project's data are: us or eu.")
    url: str = Field("", description="Host of the Export API; empty: that of the region.")
    api_key: str = Field("", description="API key of the project.")
    secret_key: SecretStr = Field(SecretStr(""), description="Secret key of the project.")
    start_date: date = Field(date(2012, 1, 1), description="First day of upload to load (UTC).")
    window_hours: int = Field(
        24, ge=1, le=LONGEST_WINDOW_HOURS, description="Hours in one export; a range without events is crossed faster."
    )


def create(settings: Settings, wire: Wire | None = None) -> list[Stream]:
    """The streams of this connector. Sends nothing yet.

    Raises:
        UserError: a setting is missing or wrong.
    """
    own = AmplitudeSettings.load()
    url, api_key, secret_key = own.url or HOSTS[own.region], own.api_key, own.secret_key.get_secret_value()
    if settings.simulator_url:
        demo = PROJECTS[own.region]
        url = f"{settings.simulator_url.rstrip('/')}/{NAME}{REGION_PATHS[own.region]}"
        api_key, secret_key = demo.api_key, demo.secret_key
    else:
        own.require("api_key", "secret_key")
    http = VendorHttp(
        NAME,
        authorization=FixedAuthorization("Basic " + base64.b64encode(f"{api_key}:{secret_key}".encode()).decode()),
        classify_first=classify,
        paces=paces(),
        wire=wire,
    )
    project = Project(url.rstrip("/"), own.start_date, own.window_hours, paced=settings.vendor_pacing)
    return [ExportStream(http, project)]
