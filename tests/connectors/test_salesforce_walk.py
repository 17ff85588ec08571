"""Salesforce: the keyset walk, late commits, changes while paging, and the polite share of the day."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import structlog

from connectors.catalogue import connector_modules
from connectors.drift import Drift
from connectors.http import VendorHttp, Wire
from connectors.salesforce.client import SalesforceClient, literal
from connectors.salesforce.limits import announced, paces
from connectors.salesforce.oauth import ClientCredentials, SalesforceToken
from connectors.simulation import crm_records
from connectors.simulation.faults import Fault
from connectors.simulation.injection import Injection
from connectors.simulation.world import Account, World
from tests.connectors.conftest import Stage
from tests.connectors.simulated import Followed, ManualSeconds, by_id, count
from vitals.errors import FatalError, RetriableError, UserError
from vitals.events import account_id
from vitals.settings import Settings

StageOf = Callable[..., Stage]
ACCOUNTS = "salesforce.accounts"
OPPORTUNITIES = "salesforce.opportunities"


def test_thousands_of_records_with_one_modification_time_are_each_read_once(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.salesforce.stream.PAGE_OBJECTS", 7)
    second = world.history_end - 86_400
    same = replace(world, accounts=tuple(replace(one, created_at=second, changes=()) for one in world.accounts))
    stage = stage_of(same)
    followed = Followed(stage.streams("salesforce")[ACCOUNTS]).catch_up()
    assert [profile.crm_id for profile in followed.profiles] == sorted(account.crm_id for account in world.accounts)
    assert followed.pages == len(world.accounts) // 7 + 1


def test_a_record_changed_while_paging_is_read_in_its_last_version(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.salesforce.stream.PAGE_OBJECTS", 7)
    stage = stage_of(world)
    followed = Followed(stage.streams("salesforce")[ACCOUNTS])
    followed.page()
    unread = next(one for one in world.accounts if one.crm_id not in {profile.crm_id for profile in followed.profiles})
    stage.simulation.inject(Injection("account_changed", account=unread.crm_id, plan="Changed"))
    followed.catch_up()
    assert unread.crm_id not in {profile.crm_id for profile in followed.profiles}, "it left this walk's bounds"
    stage.advance_to(stage.simulation.clock.now() + 60)
    followed.catch_up()
    newest = [profile for profile in followed.profiles if profile.crm_id == unread.crm_id][-1]
    assert newest.plan == "Changed"
    # Its creation is told although it lies long before the promise of the walk that missed it.
    assert count(followed.events)["crm.account_created"] == len(world.accounts)
    assert len(by_id(followed.events)) == len(followed.events)


def test_a_late_commit_is_caught_by_the_overlap(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    followed = Followed(stage.streams("salesforce")[ACCOUNTS]).catch_up()
    committed_at = world.history_end - 200
    late = replace(
        world.accounts[0], index=len(world.accounts), crm_id="0015e00000LateXAAV", created_at=committed_at, changes=()
    )
    stage.simulation.world = replace(world, accounts=(*world.accounts, late))
    stage.advance_to(world.history_end + 30)
    followed.catch_up()
    created = [event for event in followed.events if event.kind == "crm.account_created"]
    assert len(created) == len(world.accounts) + 1
    assert len(by_id(followed.events)) == len(followed.events)


def test_deleting_and_undeleting_are_told(world: World, stage_of: StageOf) -> None:
    stage, account = stage_of(world), world.accounts[3]
    followed = Followed(stage.streams("salesforce")[ACCOUNTS]).catch_up()
    for deleted in (True, False):
        stage.advance_to(stage.simulation.clock.now() + 600)
        stage.simulation.inject(Injection("account_changed", account=account.crm_id, deleted=deleted))
        stage.advance_to(stage.simulation.clock.now() + 60)
        followed.catch_up()
        assert followed.profiles[-1].crm_id == account.crm_id
        assert followed.profiles[-1].deleted is deleted
    assert [event.kind for event in followed.events[-2:]] == ["crm.account_deleted", "crm.account_restored"]


def test_a_deletion_is_told_once_and_read_again_it_is_the_same(world: World, stage_of: StageOf) -> None:
    stage, account = stage_of(world), world.accounts[3]
    followed = Followed(stage.streams("salesforce")[ACCOUNTS]).catch_up()
    told = len(followed.events)
    for change in ({"deleted": True}, {"plan": "Changed in the bin"}, {"deleted": False}, {"plan": "Growth"}):
        stage.advance_to(stage.simulation.clock.now() + 90)
        stage.simulation.inject(Injection("account_changed", account=account.crm_id, **change))
        for _ in range(2):
            stage.advance_to(stage.simulation.clock.now() + 30)
            followed.catch_up()
    kinds = [event.kind for event in followed.events[told:]]
    assert kinds == ["crm.account_deleted", "crm.account_restored", "crm.account_updated"]
    # Everything is forgotten about an account that has come back and gone on.
    assert not [entry for entry in followed.state if entry.startswith("deleted/")]


def test_a_merge_names_the_survivor_and_hands_it_the_opportunity(world: World, stage_of: StageOf) -> None:
    stage, taken, survivor = stage_of(world), world.accounts[3], world.accounts[5]
    streams = stage.streams("salesforce")
    accounts, opportunities = Followed(streams[ACCOUNTS]).catch_up(), Followed(streams[OPPORTUNITIES]).catch_up()
    stage.advance_to(stage.simulation.clock.now() + 60)
    stage.simulation.inject(Injection("account_changed", account=taken.crm_id, merged_into=survivor.crm_id))
    stage.advance_to(stage.simulation.clock.now() + 60)
    told = accounts.catch_up().events[-1]
    assert (told.kind, told.account_id) == ("crm.account_deleted", account_id(f"crm:account:{taken.crm_id}"))
    assert told.properties == {"merged_into": f"crm:account:{survivor.crm_id}"}
    assert accounts.profiles[-1].deleted
    seen = len(opportunities.events)
    moved = [raw.body for raw in opportunities.catch_up().objects if raw.body["AccountId"] == survivor.crm_id]
    assert len({body["Id"] for body in moved}) == len(moved) == 2, "its own and the other's"
    assert len(opportunities.events) == seen, "that an opportunity moves is no deletion and no second winning"


def test_an_opportunity_goes_and_comes_with_its_account(world: World, stage_of: StageOf) -> None:
    stage, account = stage_of(world), world.accounts[3]
    followed = Followed(stage.streams("salesforce")[OPPORTUNITIES]).catch_up()
    for deleted in (True, False):
        stage.advance_to(stage.simulation.clock.now() + 600)
        stage.simulation.inject(Injection("account_changed", account=account.crm_id, deleted=deleted))
        stage.advance_to(stage.simulation.clock.now() + 60)
        followed.catch_up()
    assert [event.kind for event in followed.events[-2:]] == ["crm.opportunity_deleted", "crm.opportunity_restored"]


def test_cases_tell_of_the_tickets_what_a_help_desk_tells(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITALS_SALESFORCE_CASES", "true")
    stage = stage_of(world)
    cases = Followed(stage.streams("salesforce")["salesforce.cases"]).catch_up()
    stage.advance_to(stage.simulation.clock.now() + 90)  # Zendesk holds back the last minute
    tickets = Followed(stage.streams("zendesk")["zendesk.tickets"]).catch_up()
    stage.advance_to(stage.simulation.clock.now() + 10)
    cases.catch_up()

    def told(followed: Followed) -> list[tuple[str, str, datetime, object]]:
        # Salesforce keeps no ratings.
        return sorted(
            (one.kind, one.account_id, one.event_time, one.value)
            for one in followed.events
            if one.kind != "support.csat_answered"
        )

    assert told(cases) == told(tickets)
    assert cases.stream.topics == ("events.support",)


@pytest.mark.parametrize(("enabled", "asked", "there"), [
    ("salesforce,zendesk", "", False),
    ("salesforce", "", True),
    ("salesforce,stripe", "", True),
    ("salesforce,zendesk", "true", True),
    ("salesforce", "false", False),
])  # fmt: skip
def test_cases_are_read_where_no_help_desk_is(
    enabled: str, asked: str, there: bool, world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    if asked:
        monkeypatch.setenv("VITALS_SALESFORCE_CASES", asked)
    stage = stage_of(world)
    stage.settings = stage.settings.model_copy(update={"connectors": enabled})
    assert ("salesforce.cases" in stage.streams("salesforce")) is there


def test_a_field_that_an_administrator_adds_is_fetched_within_the_hour_and_reported_once(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stage_of(world)
    followed = Followed(stage.streams("salesforce")[ACCOUNTS]).catch_up()
    told = len(followed.events)
    as_it_was = crm_records.account_row

    def with_field(account: Account, now: int) -> dict[str, Any] | None:
        row = as_it_was(account, now)
        return row and {**row, "Churn_Risk__c": 0.25}

    monkeypatch.setattr(crm_records, "account_row", with_field)
    monkeypatch.setitem(crm_records.SCHEMAS, "Account", {**crm_records.SCHEMAS["Account"], "Churn_Risk__c": "double"})
    for plan in ("Growth", "Enterprise"):
        stage.advance_to(stage.simulation.clock.now() + 3_700)
        stage.simulation.inject(Injection("account_changed", account=world.accounts[3].crm_id, plan=plan))
        stage.advance_to(stage.simulation.clock.now() + 60)
        followed.catch_up()
    assert followed.objects[-1].body["Churn_Risk__c"] == 0.25
    assert followed.drifted == [Drift("Account", "Churn_Risk__c", (), ("number",))]
    assert followed.state["fields/Account"]["Churn_Risk__c"]["reported_at"]
    mine = account_id(f"crm:account:{world.accounts[3].crm_id}")
    assert [event.kind for event in followed.events[told:] if event.account_id == mine] == ["crm.account_updated"] * 2


def test_without_every_field_only_what_events_need_is_asked_for(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITALS_SALESFORCE_EVERY_FIELD", "false")
    followed = Followed(stage_of(world).streams("salesforce")[ACCOUNTS]).catch_up()
    assert "BillingCountry" not in followed.objects[0].body
    assert "Plan__c" in followed.objects[0].body


def test_an_address_is_never_too_long(world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch) -> None:
    many = {f"Custom_Field_Number_{number:04d}__c": "string" for number in range(800)}
    monkeypatch.setitem(crm_records.SCHEMAS, "Account", {**crm_records.SCHEMAS["Account"], **many})
    as_it_was = crm_records.account_row
    monkeypatch.setattr(
        crm_records, "account_row", lambda account, now: {**dict.fromkeys(many), **(as_it_was(account, now) or {})}
    )
    stage = stage_of(world)
    followed = Followed(stage.streams("salesforce")[ACCOUNTS])
    with structlog.testing.capture_logs() as lines:
        followed.page()
    assert max(len(str(request.url)) for request in stage.transport.requests) < 10_000
    assert [line["event"] for line in lines if "fields" in line] == ["salesforce_fields_left_out"]
    assert {"Plan__c", "Owner", "Custom_Field_Number_0000__c"} <= set(followed.objects[0].body)


def test_the_daily_limit_parks_the_stream_and_the_other_one_does_not(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    stage.simulation.faults.order(Fault(vendor="salesforce", kind="rate_limit", path="/services/data/v67.0/queryAll"))
    with pytest.raises(RetriableError) as raised:
        stage.streams("salesforce")[ACCOUNTS].fetch({})
    assert raised.value.retry_after_seconds == 900.0
    stage.simulation.faults.order(Fault(vendor="salesforce", kind="concurrent", path="/services/data/v67.0/queryAll"))
    assert stage.streams("salesforce")[ACCOUNTS].fetch({}).objects
    assert max(stage.waits) == pytest.approx(5.5)


def test_both_streams_share_one_token(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    for stream in stage.streams("salesforce").values():
        Followed(stream).catch_up()
    assert sum(request.url.path.endswith("/oauth2/token") for request in stage.transport.requests) == 1


def answering(usage: list[str], clock: ManualSeconds, streams: int) -> list[SalesforceClient]:
    """Clients of several streams, with one day between them."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/token"):
            return httpx.Response(200, json={"access_token": "t", "instance_url": "http://instance.test/"})
        return httpx.Response(200, json={"records": [], "done": True}, headers={"Sforce-Limit-Info": usage[0]})

    wire = Wire(transport=httpx.MockTransport(answer), sleep=clock.sleep, monotonic=clock)
    token = SalesforceToken(VendorHttp("salesforce", wire=wire), "http://login.test", ClientCredentials("id", "secret"))
    day = paces(50_000, 0.8, counted=False)
    return [
        SalesforceClient(
            VendorHttp("salesforce", authorization=token.authorization, paces=day, read_limits=announced, wire=wire),
            token,
        )
        for _ in range(streams)
    ]


def test_beyond_the_polite_share_one_query_of_all_streams_in_a_while_goes_out() -> None:
    clock, usage = ManualSeconds(), ["api-usage=81000/100000"]
    first, second = answering(usage, clock, 2)
    first.query_all("SELECT Id FROM Account", 10)
    for waited, left in ((0.0, 900.0), (600.0, 300.0)):
        clock.sleep(waited)
        with pytest.raises(RetriableError, match="request rate") as raised:
            second.query_all("SELECT Id FROM Account", 10)
        assert raised.value.retry_after_seconds == left
    clock.sleep(301.0)
    second.query_all("SELECT Id FROM Account", 10)
    with pytest.raises(RetriableError, match="request rate"):
        first.query_all("SELECT Id FROM Account", 10)
    usage[0] = "api-usage=100/100000"
    clock.sleep(900.0)
    for client in (first, second, first):
        client.query_all("SELECT Id FROM Account", 10)


def test_below_the_polite_share_nothing_is_held_back() -> None:
    (client,) = answering(["api-usage=80000/100000; per-app-api-usage=17/250(appName=Demo)"], ManualSeconds(), 1)
    for _ in range(3):
        client.query_all("SELECT Id FROM Account", 10)


def test_refused_client_credentials_say_what_to_check() -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            400, json={"error": "invalid_client_id", "error_description": "client identifier invalid"}
        )

    wire = Wire(transport=httpx.MockTransport(answer), sleep=lambda _seconds: None)
    token = SalesforceToken(VendorHttp("salesforce", wire=wire), "http://login.test", ClientCredentials("id", "secret"))
    with pytest.raises(FatalError, match=r"invalid_client_id.*VITALS_SALESFORCE_CLIENT_ID"):
        _ = token.instance_url


def test_soql_instants_keep_milliseconds() -> None:
    assert literal(datetime(2026, 11, 20, 10, 4, 11, 123_456, tzinfo=UTC)) == "2026-11-20T10:04:11.123Z"


def test_fields_that_name_other_systems_accounts_are_read_and_claimed(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITALS_SALESFORCE_LINK_FIELDS", "External_Id__c=mixpanel:company, Absent__c=stripe:customer")
    followed = Followed(stage_of(world).streams("salesforce")[ACCOUNTS]).catch_up()
    named = {(one.identity, one.account_ref) for one in followed.claims if one.evidence == "crm_link"}
    assert named == {
        (f"mixpanel:company:{account.external_id}", f"crm:account:{account.crm_id}") for account in world.accounts
    }


def test_link_fields_in_another_form_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITALS_SALESFORCE_LINK_FIELDS", "Stripe_Customer_Id__c")
    with pytest.raises(UserError, match="Stripe_Customer_Id__c=stripe:customer"):
        connector_modules()["salesforce"].create(Settings(simulator_url="http://simulator"))
