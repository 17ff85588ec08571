"""Salesforce: accounts, which are the identities of this installation, opportunities, activities, and cases if asked."""

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from connectors.catalogue import connector_modules
from connectors.contract import Stream
from connectors.http import VendorHttp, Wire
from connectors.pace import Pace
from connectors.salesforce.activity_mapping import TASK_FIELDS, TASK_OPTIONAL, map_task
from connectors.salesforce.case_mapping import CASE_FIELDS, CASE_OPTIONAL, map_case
from connectors.salesforce.client import SalesforceClient, SalesforceToken, classify
from connectors.salesforce.mapping import map_account, map_opportunity
from connectors.salesforce.stream import WalkedObject, WalkStream
from connectors.simulation.credentials import Credentials
from connectors.vendor_settings import VendorSettings
from vitals.settings import Settings

NAME = "salesforce"
topics = ("events.crm", "events.support")

_SYSTEM_FIELDS = ("Id", "IsDeleted", "CreatedDate", "SystemModstamp")
_DAY_SECONDS = 86_400.0

WALKED = (
    WalkedObject(
        object_name="Account",
        stream="salesforce.accounts",
        fields=(*_SYSTEM_FIELDS, "Name", "Owner.Name"),
        optional=("Segment__c", "Region__c", "Plan__c", "MasterRecordId", "Industry", "Type"),
        map=map_account,
        identity_source=True,
    ),
    WalkedObject(
        object_name="Opportunity",
        stream="salesforce.opportunities",
        fields=(*_SYSTEM_FIELDS, "AccountId", "StageName", "CloseDate", "IsClosed", "IsWon"),
        optional=("Amount", "CurrencyIsoCode", "LastStageChangeDate", "Type"),
        map=map_opportunity,
    ),
)
ACTIVITIES = WalkedObject(
    object_name="Task",
    stream="salesforce.activities",
    fields=(*_SYSTEM_FIELDS, *TASK_FIELDS),
    optional=TASK_OPTIONAL,
    map=map_task,
)
CASES = WalkedObject(
    object_name="Case",
    stream="salesforce.cases",
    fields=(*_SYSTEM_FIELDS, *CASE_FIELDS),
    optional=CASE_OPTIONAL,
    map=map_case,
    topic="events.support",
)


class SalesforceSettings(VendorSettings):
    """Settings of this connector."""

    model_config = SettingsConfigDict(env_prefix="VITALS_SALESFORCE_")

    url: str = Field("", description="My Domain address, such as https://northwind.my.salesforce.com.")
    client_id: str = Field("", description="Consumer key of the external client app, with client credentials enabled.")
    client_secret: SecretStr = Field(SecretStr(""), description="Consumer secret of the external client app.")
    requests_per_day: int = Field(
        50_000, gt=200, description="Requests that this connector may send in 24 hours, with pacing."
    )
    activities: bool = Field(True, description="Whether done tasks are read as activities of accounts.")
    cases: bool | None = Field(
        None, description="Whether cases are read as tickets; unset: only where no help desk's connector is enabled."
    )


def create(settings: Settings, wire: Wire | None = None) -> list[Stream]:
    """The streams of this connector. Sends nothing yet.

    Raises:
        UserError: a setting is missing or wrong.
    """
    own = SalesforceSettings.load()
    url, client_id, client_secret = own.url, own.client_id, own.client_secret.get_secret_value()
    if settings.simulator_url:
        demo = Credentials()
        url = f"{settings.simulator_url.rstrip('/')}/{NAME}"
        client_id, client_secret = demo.salesforce_client_id, demo.salesforce_client_secret
    else:
        own.require("url", "client_id", "client_secret")
    token = SalesforceToken(VendorHttp(NAME, wire=wire), url.rstrip("/"), client_id, client_secret)
    paces = {"data": Pace(own.requests_per_day, _DAY_SECONDS, burst=100)} if settings.vendor_pacing else {}
    streams: list[Stream] = []
    for walked in _walked(own, settings):
        http = VendorHttp(
            NAME,
            authorization=token.authorization,
            classify_first=classify,
            paces=paces,
            wire=wire,
            headers={"Sforce-Query-Options": "batchSize=1000"},
        )
        streams.append(WalkStream(SalesforceClient(http, token), walked))
    return streams


def _walked(own: SalesforceSettings, settings: Settings) -> list[WalkedObject]:
    """The objects to read. Tickets that a help desk copies to the CRM as cases would count twice."""
    cases = own.cases
    if cases is None:
        desks = (module for name, module in connector_modules().items() if name in settings.enabled_connectors)
        cases = not any("events.support" in getattr(desk, "topics", ()) for desk in desks if desk.NAME != NAME)
    return [*WALKED, *([ACTIVITIES] if own.activities else ()), *([CASES] if cases else ())]
