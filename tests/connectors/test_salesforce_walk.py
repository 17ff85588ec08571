"""Salesforce: the keyset walk, late commits, changes while paging, and the polite share of the day."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from connectors.http import VendorHttp, Wire
from connectors.salesforce.client import SalesforceClient, SalesforceToken, literal
from connectors.simulation.faults import Fault
from connectors.simulation.injection import Injection
from connectors.simulation.world import World
from tests.connectors.conftest import Stage
from tests.connectors.simulated import Followed, by_id, count
from vitals.errors import FatalError, RetriableError

StageOf = Callable[..., Stage]
ACCOUNTS = "salesforce.accounts"


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
    assert [event.kind for event in followed.events[-2:]] == ["crm.account_deleted", "crm.account_updated"]


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


def answering(usage: str) -> SalesforceClient:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/token"):
            return httpx.Response(200, json={"access_token": "t", "instance_url": "http://instance.test/"})
        return httpx.Response(200, json={"records": [], "done": True}, headers={"Sforce-Limit-Info": usage})

    wire = Wire(transport=httpx.MockTransport(answer), sleep=lambda _seconds: None)
    token = SalesforceToken(VendorHttp("salesforce", wire=wire), "http://login.test", "id", "secret")
    return SalesforceClient(VendorHttp("salesforce", authorization=token.authorization, wire=wire), token)


def test_beyond_the_polite_share_one_query_in_a_while_goes_out() -> None:
    client = answering("api-usage=81000/100000")
    client.query_all("SELECT Id FROM Account", 10)
    with pytest.raises(RetriableError, match="81000") as raised:
        client.query_all("SELECT Id FROM Account", 10)
    assert raised.value.retry_after_seconds == 900.0
    client.query_all("SELECT Id FROM Account", 10)


def test_below_the_polite_share_nothing_is_held_back() -> None:
    client = answering("api-usage=80000/100000; per-app-api-usage=17/250(appName=Demo)")
    for _ in range(3):
        client.query_all("SELECT Id FROM Account", 10)


def test_refused_client_credentials_say_what_to_check() -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            400, json={"error": "invalid_client_id", "error_description": "client identifier invalid"}
        )

    wire = Wire(transport=httpx.MockTransport(answer), sleep=lambda _seconds: None)
    token = SalesforceToken(VendorHttp("salesforce", wire=wire), "http://login.test", "id", "secret")
    with pytest.raises(FatalError, match=r"invalid_client_id.*VITALS_SALESFORCE_CLIENT_ID"):
        _ = token.instance_url


def test_soql_instants_keep_milliseconds() -> None:
    assert literal(datetime(2026, 11, 20, 10, 4, 11, 123_456, tzinfo=UTC)) == "2026-11-20T10:04:11.123Z"
