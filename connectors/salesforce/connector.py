"""Salesforce: accounts, which are the identities of this installation, opportunities, activities and cases."""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from connectors.catalogue import connector_modules
from connectors.contract import Stream
from connectors.http import VendorHttp, Wire
from connectors.kept_token import KeptToken
from connectors.salesforce.activity_mapping import (
    MEETING_FIELDS,
    MEETING_OPTIONAL,
    TASK_FIELDS,
    TASK_OPTIONAL,
    map_meeting,
    map_task,
)
from connectors.salesforce.bulk import BulkJobs
from connectors.salesforce.case_mapping import CASE_FIELDS, CASE_OPTIONAL, map_case
from connectors.salesforce.client import SalesforceClient
from connectors.salesforce.credentials import SalesforceCredentials
from connectors.salesforce.limits import announced, classify, paces
from connectors.salesforce.mapping import map_account, map_opportunity
from connectors.salesforce.oauth import ClientCredentials, Grant, JwtBearer, RefreshToken, SalesforceToken
from connectors.salesforce.relationship_mapping import CONTACT_FIELDS, CONTACT_OPTIONAL, TERM_FIELDS, map_contact
from connectors.salesforce.stream import ChangeHints, Reading, WalkedObject, WalkStream
from connectors.salesforce.survey_mapping import SURVEY_FIELDS, SURVEY_OPTIONAL, map_answer
from connectors.simulation.crm_surveys import SURVEY_OBJECT
from connectors.vendor_settings import VendorSettings
from vitals.errors import UserError
from vitals.settings import Settings

NAME = "salesforce"
topics = ("events.crm", "events.support")

_SYSTEM_FIELDS = ("Id", "IsDeleted", "CreatedDate", "SystemModstamp")

WALKED = (
    WalkedObject(
        object_name="Account",
        stream="salesforce.accounts",
        fields=(*_SYSTEM_FIELDS, "Name", "Owner.Name"),
        optional=("Segment__c", "Region__c", "Plan__c", "MasterRecordId", "Website", "Industry", "Type", *TERM_FIELDS),
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
MEETINGS = WalkedObject(
    object_name="Event",
    stream="salesforce.meetings",
    fields=(*_SYSTEM_FIELDS, *MEETING_FIELDS),
    optional=MEETING_OPTIONAL,
    map=map_meeting,
    held=True,
)
CONTACTS = WalkedObject(
    object_name="Contact",
    stream="salesforce.contacts",
    fields=(*_SYSTEM_FIELDS, *CONTACT_FIELDS),
    optional=CONTACT_OPTIONAL,
    map=map_contact,
)
CASES = WalkedObject(
    object_name="Case",
    stream="salesforce.cases",
    fields=(*_SYSTEM_FIELDS, *CASE_FIELDS),
    optional=CASE_OPTIONAL,
    map=map_case,
    topic="events.support",
)


SURVEYS = WalkedObject(
    object_name="",
    stream="salesforce.surveys",
    fields=(*_SYSTEM_FIELDS, *SURVEY_FIELDS),
    optional=SURVEY_OPTIONAL,
    map=map_answer,
)
"""The object is the organisation's own: a setting names it."""


class SalesforceSettings(VendorSettings):
    """Settings of this connector. The kind of credentials that is given decides how tokens are asked for."""

    model_config = SettingsConfigDict(env_prefix="VITALS_SALESFORCE_")

    url: str = Field("", description="My Domain address, such as https://northwind.my.salesforce.com.")
    client_id: str = Field("", description="Consumer key of the external client app.")
    client_secret: SecretStr = Field(SecretStr(""), description="Consumer secret of the external client app.")
    refresh_token: SecretStr = Field(
        SecretStr(""), description="Refresh token of a user who authorized the app; empty: client credentials."
    )
    username: str = Field("", description="User for whom assertions are signed with the private key.")
    private_key: SecretStr = Field(
        SecretStr(""), description="RSA key in PEM form, whose certificate the app knows; empty: no assertions."
    )
    login_url: str = Field(
        "https://login.salesforce.com", description="Audience of assertions; https://test.salesforce.com for a sandbox."
    )
    requests_per_day: int = Field(
        50_000, gt=200, description="Requests that this connector may send in 24 hours, with pacing."
    )
    daily_share: float = Field(
        0.8, gt=0, le=1, description="Share of the organisation's day above which the rest is left to others."
    )
    bulk_from: int = Field(
        50_000, ge=0, description="Records of an object's first load from which a bulk job reads them; 0: never."
    )
    every_field: bool = Field(
        True, description="Whether fields that no event needs are fetched too, for the raw objects."
    )
    change_events: bool = Field(
        False, description="Whether Change Data Capture tells of changes ahead of the polls; needs it enabled there."
    )
    pubsub_address: str = Field("api.pubsub.salesforce.com:7443", description="Host and port of the Pub/Sub API.")
    activities: bool = Field(True, description="Whether done tasks and held meetings are read as activities.")
    contacts: bool = Field(True, description="Whether contacts that have a role are read as stakeholders.")
    survey_object: str = Field(
        "", description="Custom object that holds answers to surveys, such as Survey_Response__c; empty: none."
    )
    cases: bool | None = Field(
        None, description="Whether cases are read as tickets; unset: only where no help desk's connector is enabled."
    )
    link_fields: str = Field(
        "",
        description="Account fields that hold another system's id, such as "
        "Stripe_Customer_Id__c=stripe:customer,Zendesk_Org__c=zendesk:organization.",
    )

    @property
    def links(self) -> Mapping[str, str]:
        """What makes each field's value the other system's name of the account, by field.

        Raises:
            UserError: the setting is not a list of field=system:object.
        """
        found = {}
        for part in filter(None, (part.strip() for part in self.link_fields.split(","))):
            name, _, prefix = part.partition("=")
            if not re.fullmatch(r"\w+", name) or not re.fullmatch(r"[a-z0-9_]+:[a-z0-9_]+", prefix):
                raise UserError(
                    f"VITALS_SALESFORCE_LINK_FIELDS: {part} is not of the form Stripe_Customer_Id__c=stripe:customer."
                )
            found[name] = prefix
        return found


def create(settings: Settings, wire: Wire | None = None) -> list[Stream]:
    """The streams of this connector. Sends nothing yet.

    Raises:
        UserError: a setting is missing or wrong.
    """
    own = SalesforceSettings.load()
    if settings.simulator_url:
        demo = SalesforceCredentials()
        own = own.model_copy(
            update={
                "url": f"{settings.simulator_url.rstrip('/')}/{NAME}",
                "client_id": demo.client_id,
                "client_secret": SecretStr(demo.client_secret),
                "survey_object": SURVEY_OBJECT,
            }
        )
    token = SalesforceToken(VendorHttp(NAME, wire=wire), own.url.rstrip("/"), _grant(own, settings))
    # Shared: the day is the organisation's, whichever object is read.
    limits = paces(own.requests_per_day, own.daily_share, counted=settings.vendor_pacing)
    reading = Reading(own.bulk_from, own.every_field)
    streams: list[Stream] = []
    for walked in _with_links(_walked(own, settings), own.links):
        http = VendorHttp(
            NAME,
            authorization=token.authorization,
            classify_first=classify,
            paces=limits,
            read_limits=announced,
            wire=wire,
            headers={"Sforce-Query-Options": "batchSize=1000"},
        )
        client, jobs = SalesforceClient(http, token), BulkJobs(http, token)
        hints = _change_feed(own, settings, token, walked) if own.change_events else None
        streams.append(WalkStream(client, jobs, walked, reading, hints))
    return streams


def _change_feed(
    own: SalesforceSettings, settings: Settings, token: SalesforceToken, walked: WalkedObject
) -> ChangeHints:
    from connectors.salesforce.pubsub.feed import ChangeFeed  # gRPC is loaded where it is wanted only

    return ChangeFeed(own.pubsub_address, token, walked.object_name, secure=not settings.simulator_url)


def _grant(own: SalesforceSettings, settings: Settings) -> Grant:
    secret = own.client_secret.get_secret_value()
    if own.refresh_token.get_secret_value():
        own.require("url", "client_id", "client_secret")
        kept = KeptToken(settings.state_dir / "tokens" / f"{NAME}.json", own.refresh_token.get_secret_value())
        return RefreshToken(own.client_id, secret, kept)
    if own.private_key.get_secret_value():
        own.require("url", "client_id", "username")
        return JwtBearer(own.client_id, own.username, own.private_key.get_secret_value(), own.login_url)
    own.require("url", "client_id", "client_secret")
    return ClientCredentials(own.client_id, secret)


def _walked(own: SalesforceSettings, settings: Settings) -> list[WalkedObject]:
    """The objects to read. Tickets that a help desk copies to the CRM as cases would count twice."""
    cases = own.cases
    if cases is None:
        desks = (module for name, module in connector_modules().items() if name in settings.enabled_connectors)
        cases = not any("events.support" in getattr(desk, "topics", ()) for desk in desks if desk.NAME != NAME)
    surveys = replace(SURVEYS, object_name=own.survey_object)
    optional = (
        (own.activities, (ACTIVITIES, MEETINGS)),
        (own.contacts, (CONTACTS,)),
        (own.survey_object, (surveys,)),
        (cases, (CASES,)),
    )
    return [*WALKED, *(walked for wanted, objects in optional if wanted for walked in objects)]


def _with_links(walked: list[WalkedObject], links: Mapping[str, str]) -> list[WalkedObject]:
    """What is walked, with the accounts' fields that name other systems' ids."""
    account, *others = walked
    mapped = replace(account, optional=(*account.optional, *links), map=partial(map_account, link_fields=links))
    return [mapped, *others]
