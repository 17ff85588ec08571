"""HubSpot: what its refusals mean, how long each is waited for, and credentials that several streams share."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest

from connectors.authorization import FixedAuthorization
from connectors.catalogue import connector_modules
from connectors.http import VendorHttp, Wire
from connectors.hubspot.accounts import primary_company
from connectors.hubspot.authorization import RefreshedTokens
from connectors.hubspot.client import HubSpotClient
from connectors.hubspot.limits import DAILY, TEN_SECONDLY, announced
from connectors.pace import Announced
from connectors.simulation.faults import Fault
from connectors.simulation.world import World
from tests.connectors.conftest import Stage
from tests.connectors.simulated import Followed, ManualSeconds
from vitals.errors import FatalError, RetriableError, UserError
from vitals.settings import Settings

StageOf = Callable[..., Stage]
COMPANIES = "hubspot.companies"
PATH = "/crm/objects/2026-09/companies"


@pytest.mark.parametrize(
    ("fault", "waited"),
    [
        ({"kind": "secondly"}, 1.1),
        ({"kind": "rate_limit"}, None),
        ({"kind": "rate_limit", "retry_after": 4}, 4.4),
        ({"kind": "migrating", "retry_after": 3}, 3.3),
        ({"kind": "locked"}, 1.0),
        ({"kind": "server_error", "status": 502}, 1.0),
    ],
)
def test_a_refusal_that_passes_is_waited_for(
    world: World, stage_of: StageOf, fault: dict[str, object], waited: float | None
) -> None:
    """Waits are drawn at their longest; one of more than ten seconds is the runner's."""
    stage = stage_of(world)
    stage.simulation.faults.order(Fault(vendor="hubspot", path=PATH, **fault))  # type: ignore[arg-type]
    stream = stage.streams("hubspot")[COMPANIES]
    if waited is None:
        with pytest.raises(RetriableError) as raised:
            stream.fetch({})
        assert raised.value.retry_after_seconds == 10.0
        assert not stage.waits
    else:
        assert stream.fetch({}).objects
        assert stage.waits == pytest.approx([waited])


@pytest.mark.parametrize(("zone", "hours"), [("UTC", 24.0), ("America/New_York", 4.0), ("Asia/Tokyo", 15.0)])
def test_a_used_up_day_is_waited_for_until_the_portals_midnight(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch, zone: str, hours: float
) -> None:
    monkeypatch.setenv("VITALS_HUBSPOT_TIME_ZONE", zone)
    midnight = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
    assert world.history_end == midnight
    stage = stage_of(world)
    stage.simulation.faults.order(Fault(vendor="hubspot", kind="daily", path=PATH))
    with pytest.raises(RetriableError) as raised:
        stage.streams("hubspot")[COMPANIES].fetch({})
    assert raised.value.retry_after_seconds == hours * 3600
    assert sum(one.url.path.endswith(PATH) for one in stage.transport.requests) == 1


def test_statuses_that_pass_are_a_setting(world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITALS_HUBSPOT_PASSING_STATUSES", "[477]")
    stage = stage_of(world)
    stage.simulation.faults.order(Fault(vendor="hubspot", kind="locked", path=PATH))
    with pytest.raises(FatalError, match="423"):
        stage.streams("hubspot")[COMPANIES].fetch({})


def test_the_edges_530_is_fatal_at_once(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    stage.simulation.faults.order(Fault(vendor="hubspot", kind="edge_dns", path=PATH, count=9))
    with pytest.raises(FatalError, match="530"):
        stage.streams("hubspot")[COMPANIES].fetch({})
    assert sum(one.url.path.endswith(PATH) for one in stage.transport.requests) == 1
    assert not stage.waits


def test_a_missing_scope_is_fatal() -> None:
    body = {"status": "error", "category": "MISSING_SCOPES", "message": "This app hasn't been granted all scopes"}
    with pytest.raises(FatalError, match="MISSING_SCOPES"):
        _answering(403, body).page("deals", (), after=None, archived=False)


def test_a_part_of_a_batch_is_asked_for_again_but_what_does_not_exist_is_not() -> None:
    found = {"results": [{"id": "1", "properties": {}}]}
    gone = {**found, "errors": [{"category": "OBJECT_NOT_FOUND", "message": "2"}], "numErrors": 1}
    assert [one["id"] for one in _answering(207, gone).read("companies", ["1", "2"], ())] == ["1"]
    broken = {**found, "errors": [{"category": "INTERNAL_ERROR", "message": "try again"}], "numErrors": 1}
    with pytest.raises(RetriableError, match="try again"):
        _answering(207, broken).read("companies", ["1", "2"], ())


def test_associations_give_ids_as_numbers_or_text() -> None:
    for company in (77, "77"):
        row = {"from": {"id": "5"}, "to": [{"toObjectId": company, "associationTypes": []}]}
        associated = _answering(200, {"results": [row]}).companies_of("deals", ["5"])["5"]
        assert primary_company({"associations": {"companies": {"results": associated}}}) == "77"


def test_a_token_that_expires_within_a_walk_is_refreshed_once(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.hubspot.client.LIST_OBJECTS", 7)
    stage = stage_of(world)
    stage.simulation.faults.order(Fault(vendor="hubspot", kind="expire_token", path=PATH, after=2))
    followed = Followed(stage.streams("hubspot")[COMPANIES]).catch_up()
    assert len({one.source_id for one in followed.objects}) == len(followed.objects) == len(world.accounts)
    assert _token_calls(stage) == 2
    sent = next(one for one in stage.transport.requests if one.url.path.endswith("/token"))
    assert not sent.url.query
    assert b"refresh_token=hs-refresh-demo" in sent.content


def test_all_streams_share_one_token(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    for stream in stage.streams("hubspot").values():
        Followed(stream).catch_up()
    assert _token_calls(stage) == 1


def test_two_that_refresh_at_once_send_one_call() -> None:
    calls, entered, go_on = [], threading.Event(), threading.Event()

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        if len(calls) == 2:
            entered.set()
            assert go_on.wait(10)
        return httpx.Response(200, json={"access_token": f"t{len(calls)}", "refresh_token": "r"})

    tokens = _tokens(answer)
    first = tokens.authorization.header()
    threads = [threading.Thread(target=tokens.authorization.renew, args=(first,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert entered.wait(10)
    go_on.set()
    for thread in threads:
        thread.join()
    assert len(calls) == 2
    assert tokens.authorization.header() == "Bearer t2"


def test_another_refresh_token_is_used_from_then_on() -> None:
    used = []

    def answer(request: httpx.Request) -> httpx.Response:
        used.append(dict(httpx.QueryParams(request.content.decode()))["refresh_token"])
        return httpx.Response(200, json={"access_token": f"t{len(used)}", "refresh_token": f"r{len(used)}"})

    tokens = _tokens(answer)
    for expected in ("Bearer t1", "Bearer t2"):
        header = tokens.authorization.header()
        assert header == expected
        tokens.authorization.renew(header)
    assert used == ["r", "r1", "r2"]


def test_a_refused_refresh_token_says_what_to_do_and_is_not_asked_for_again() -> None:
    calls = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return httpx.Response(400, json={"error": "invalid_grant", "status": "BAD_REFRESH_TOKEN"})

    with pytest.raises(FatalError, match=r"BAD_REFRESH_TOKEN.*authorise the app again.*VITALS_HUBSPOT_REFRESH_TOKEN"):
        _tokens(answer).authorization.header()
    assert len(calls) == 1


def test_a_private_apps_token_is_sent_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITALS_HUBSPOT_ACCESS_TOKEN", "pat-na1-xyz")
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"results": []}, headers={"Date": "Mon, 23 Nov 2026 12:00:00 GMT"})

    wire = Wire(transport=httpx.MockTransport(answer))
    for stream in connector_modules()["hubspot"].create(Settings(simulator_url=""), wire):
        Followed(stream).catch_up()
    assert {one.headers["authorization"] for one in seen} == {"Bearer pat-na1-xyz"}
    assert {one.url.host for one in seen} == {"api.hubapi.com"}


def test_settings_that_are_wrong_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITALS_HUBSPOT_ACCESS_TOKEN", "pat-na1-xyz")
    monkeypatch.setenv("VITALS_HUBSPOT_TIME_ZONE", "Mars/Olympus")
    with pytest.raises(UserError, match=r"VITALS_HUBSPOT_TIME_ZONE.*Mars/Olympus"):
        connector_modules()["hubspot"].create(Settings(simulator_url=""))


def test_every_stream_counts_against_the_same_paces(world: World, stage_of: StageOf) -> None:
    """Searches of all streams together keep below four a second, whichever stream sends them."""
    stage, clock = stage_of(world), ManualSeconds()
    stage.settings = Settings(simulator_url=stage.settings.simulator_url, vendor_pacing=True)
    stage.sleep, stage.monotonic = clock.sleep, clock
    state = {"since": "2026-10-31T23:00:00Z", "archived_since": "2026-10-31T23:00:00Z"}
    for stream in stage.streams("hubspot").values():
        stream.fetch(dict(state))
    searches = sum(one.url.path.endswith("/search") for one in stage.transport.requests)
    # The first search is free, and no request takes any time.
    assert searches >= 3
    assert clock() == pytest.approx((searches - 1) / 4)


def test_limits_are_read_from_headers_and_searches_tell_none() -> None:
    headers = {
        "x-hubspot-ratelimit-max": "190",
        "x-hubspot-ratelimit-interval-milliseconds": "10000",
        "x-hubspot-ratelimit-daily": "650000",
    }
    assert list(announced(headers)) == [Announced(TEN_SECONDLY, 190), Announced(DAILY, 650_000)]
    assert list(announced({**headers, "x-hubspot-ratelimit-max": "many", "x-hubspot-ratelimit-daily": "0"})) == []
    assert list(announced({})) == []


def _token_calls(stage: Stage) -> int:
    return sum(one.url.path.endswith("/token") for one in stage.transport.requests)


def _tokens(answer: Callable[[httpx.Request], httpx.Response]) -> RefreshedTokens:
    http = VendorHttp("hubspot", wire=Wire(transport=httpx.MockTransport(answer), sleep=lambda _seconds: None))
    return RefreshedTokens(http, "http://hubspot.test", "2026-03", "id", "secret", "r")


def _answering(status: int, body: object) -> HubSpotClient:
    transport = httpx.MockTransport(lambda _request: httpx.Response(status, json=body))
    wire = Wire(transport=transport, sleep=lambda _seconds: None)
    http = VendorHttp("hubspot", authorization=FixedAuthorization("Bearer t"), wire=wire)
    return HubSpotClient(http, "http://hubspot.test", "2026-09")
