"""HubSpot: walks by id meet every object, whatever changes under them and whatever the index hides."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from connectors.fields import iso
from connectors.hubspot import simulator
from connectors.hubspot.simulated_ids import company_id
from connectors.hubspot.stream import LAG, place_after, scan_again
from connectors.simulation.calendar import DAY
from connectors.simulation.faults import Fault
from connectors.simulation.injection import Injection
from connectors.simulation.world import NEVER, Tickets, World
from tests.connectors.conftest import Stage
from tests.connectors.simulated import Followed, by_id, count, followed_together
from vitals.events import account_id

StageOf = Callable[..., Stage]
COMPANIES, DEALS, TICKETS = "hubspot.companies", "hubspot.deals", "hubspot.tickets"
HOUR = 3_600
START = 1_793_000_000
END = START + 80 * HOUR


def with_tickets(world: World, tickets: list[tuple[int, int]]) -> World:
    """The world with these tickets only: (opened at, seconds until solved), the latter negative or `NEVER` too."""
    opened = np.array([at for at, _ in tickets], dtype=np.int64)
    solved = np.array([NEVER if lasted == NEVER else at + lasted for at, lasted in tickets], dtype=np.int64)
    return replace(
        world,
        tickets=Tickets(
            # Ids do not follow the opening: a walk by id meets young and old mixed.
            ticket_id=np.arange(1, len(tickets) + 1, dtype=np.int64),
            account=np.arange(len(tickets), dtype=np.int64) % len(world.accounts),
            opened_at=opened,
            solved_at=solved,
            requester=np.zeros(len(tickets), dtype=np.int64),
            priority=np.zeros(len(tickets), dtype=np.int64),
            requesters=("somebody",),
        ),
    )


opened_at = st.one_of(st.integers(START - 40 * HOUR, START), st.integers(START, START + 10 * HOUR))
lasted = st.one_of(st.integers(0, 130), st.integers(-HOUR, -1), st.integers(0, 15 * HOUR), st.just(NEVER))
gaps_between_pages = st.lists(
    st.one_of(st.integers(0, 90), st.integers(0, HOUR), st.integers(HOUR, 3 * HOUR)), min_size=10, max_size=40
)


@settings(
    max_examples=150,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    tickets=st.lists(st.tuples(opened_at, lasted), min_size=1, max_size=7),
    gaps=gaps_between_pages,
    page=st.sampled_from((1, 2, 100)),
    index_lag=st.integers(0, 120),
)
def test_each_ticket_is_told_once_whatever_happens_between_two_pages(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    tickets: list[tuple[int, int]],
    gaps: list[int],
    page: int,
    index_lag: int,
) -> None:
    monkeypatch.setattr("connectors.hubspot.client.LIST_OBJECTS", page)
    monkeypatch.setattr("connectors.hubspot.client.SEARCH_OBJECTS", page)
    monkeypatch.setattr(simulator, "INDEX_LAG_SECONDS", index_lag)
    stage = Stage(with_tickets(world, tickets), START)
    late = []
    try:
        followed = _with_companies(stage, TICKETS)
        at = START
        for gap in gaps:
            promise, before = followed.promises[-1] if followed.promises else None, len(followed.events)
            followed.page()
            # A ticket that is opened after it was solved shows at its opening: its solution is always late.
            late += [
                one
                for one in followed.events[before:]
                if promise and one.event_time < promise and "quality" not in one.properties
            ]
            at += gap
            stage.advance_to(at)
        stage.advance_to(max(at, END))
        followed.catch_up()
        # A search that was under way ends; the next sees all.
        followed.catch_up()
    finally:
        stage.transport.finish()
    told = sorted((event.kind, event.event_time.timestamp()) for event in followed.events)
    assert told == sorted(
        [("support.ticket_opened", float(at)) for at, _ in tickets]
        + [("support.ticket_solved", float(at + after)) for at, after in tickets if after != NEVER]
    )
    assert not late or index_lag > LAG.total_seconds()


def test_more_rows_of_one_modification_time_than_a_search_gives(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.hubspot.simulated_search.DEEPEST", 210)
    second, many = START + 100, 850
    stage = stage_of(with_tickets(world, [(second, NEVER)] * many), START)
    followed = _with_companies(stage, TICKETS).catch_up()
    assert not followed.events
    stage.advance_to(second + 60)
    followed.catch_up()
    assert count(followed.events) == {"support.ticket_opened": many}
    assert len(by_id(followed.events)) == many
    searches = [one for one in stage.transport.requests if one.url.path.endswith("/search")]
    assert len(searches) == -(-many // 200)
    assert all("after" not in orjson.loads(one.content) for one in searches)


def test_a_full_page_that_is_the_last_and_a_short_one_that_is_not(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.hubspot.client.LIST_OBJECTS", 4)
    stage = stage_of(with_tickets(world, [(START - 10, NEVER)] * 8), START)
    followed = _with_companies(stage, TICKETS).catch_up()
    assert len(followed.events) == 8
    # Two full pages, and the one of archived tickets.
    assert followed.pages == 3


def test_a_company_changed_while_paging_is_read_in_its_last_version(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.hubspot.client.LIST_OBJECTS", 7)
    stage = stage_of(world)
    followed = Followed(stage.streams("hubspot")[COMPANIES])
    followed.page()
    read = {one.source_id for one in followed.objects}
    changed = [
        next(one for one in world.accounts if (str(company_id(one.external_id)) in read) is already)
        for already in (True, False)
    ]
    for account in changed:
        stage.simulation.inject(Injection("account_changed", account=account.crm_id, plan="Changed"))
    followed.catch_up()
    stage.advance_to(stage.simulation.clock.now() + 60)
    followed.catch_up()
    for account in changed:
        versions = [one.body for one in followed.objects if one.source_id == str(company_id(account.external_id))]
        assert versions[-1]["properties"]["plan"] == "Changed"
    assert count(followed.events)["crm.account_created"] == len(world.accounts)
    assert len(by_id(followed.events)) == len(followed.events)


def test_what_the_index_shows_after_its_promise_is_caught_by_the_overlap(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    followed = _with_companies(stage, TICKETS).catch_up()
    stage.advance_to(world.history_end + 10)
    stage.simulation.inject(Injection("ticket_opened", account=world.accounts[0].crm_id))
    opened_at = stage.simulation.clock.now()
    before = len(followed.events)
    stage.simulation.faults.order(Fault("hubspot", "search_lag", path="/crm/objects", seconds=700, count=1))
    stage.advance_to(opened_at + 600)
    followed.catch_up()
    assert not [event for event in followed.events[before:] if event.event_time.timestamp() == opened_at]
    assert followed.promises[-1] is not None
    assert followed.promises[-1].timestamp() > opened_at
    stage.advance_to(opened_at + 610)
    followed.catch_up()
    assert [event.kind for event in followed.events if event.event_time.timestamp() == opened_at] == [
        "support.ticket_opened"
    ]


def test_a_cursor_that_hubspot_forgot_begins_the_list_again(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.hubspot.client.LIST_OBJECTS", 7)
    stage = stage_of(world)
    followed = Followed(stage.streams("hubspot")[COMPANIES])
    followed.page()
    followed.state["scan"] = {**followed.state["scan"], "after": "not a cursor"}
    followed.catch_up()
    assert {one.source_id for one in followed.objects} == {str(company_id(one.external_id)) for one in world.accounts}
    created = {event.event_id for event in followed.events if event.kind == "crm.account_created"}
    assert len(created) == len(world.accounts)


def test_a_deletion_and_its_undoing_are_told(world: World, stage_of: StageOf) -> None:
    stage, account = stage_of(world), world.accounts[3]
    followed = Followed(stage.streams("hubspot")[COMPANIES]).catch_up()
    told = len(followed.events)
    for deleted in (True, False):
        stage.advance_to(stage.simulation.clock.now() + 2 * HOUR)
        stage.simulation.inject(Injection("account_changed", account=account.crm_id, deleted=deleted))
        # The scan of archived objects comes once a day.
        stage.advance_to(stage.simulation.clock.now() + DAY)
        followed.catch_up()
    stage.advance_to(stage.simulation.clock.now() + 3 * DAY)
    followed.catch_up()
    mine = [event.kind for event in followed.events[told:] if event.account_id == _account(account.crm_id)]
    assert mine == ["crm.account_deleted", "crm.account_updated"]
    assert len(by_id(followed.events)) == len(followed.events)


def test_archived_companies_are_told_once_over_many_scans_and_read_raw_once(world: World, stage_of: StageOf) -> None:
    stage, account = stage_of(world), world.accounts[5]
    followed = Followed(stage.streams("hubspot")[COMPANIES]).catch_up()
    stage.simulation.inject(Injection("account_changed", account=account.crm_id, deleted=True))
    archived_at = stage.simulation.clock.now()
    for _ in range(8):
        stage.advance_to(stage.simulation.clock.now() + DAY // 2)
        followed.catch_up()
    deleted = [event for event in followed.events if event.kind == "crm.account_deleted"]
    assert [event.event_time.timestamp() for event in deleted] == [archived_at]
    assert sum(bool(one.body.get("archived")) for one in followed.objects) == 1


def test_how_often_archived_objects_are_read_is_a_setting(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITALS_HUBSPOT_ARCHIVED_EVERY_HOURS", "0.5")
    stage = stage_of(world)
    followed = _with_companies(stage, DEALS).catch_up()

    def scans() -> int:
        return sum(one.url.params.get("archived") == "true" for one in stage.transport.requests if one.method == "GET")

    before = scans()
    for minutes, expected in ((20, 0), (20, 1), (20, 1), (20, 2)):
        stage.advance_to(stage.simulation.clock.now() + minutes * 60)
        followed.catch_up()
        assert scans() - before == expected


def test_a_deletion_before_the_first_load_is_told_by_it(world: World, stage_of: StageOf) -> None:
    stage, account = stage_of(world), world.accounts[7]
    stage.simulation.inject(Injection("account_changed", account=account.crm_id, deleted=True))
    stage.advance_to(world.history_end + HOUR)
    loaded = followed_together(stage.streams("hubspot"))
    for one in loaded.values():
        one.catch_up()
    mine = [event.kind for event in loaded[COMPANIES].events if event.account_id == _account(account.crm_id)]
    assert mine == ["crm.account_created", "crm.account_deleted"]
    # Its deal is still its own.
    assert _account(account.crm_id) in {event.account_id for event in loaded[DEALS].events}


def test_a_merge_moves_the_losers_deals_and_tickets_to_the_winner(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    followed = followed_together(stage.streams("hubspot"))
    for one in followed.values():
        one.catch_up()
    winner, loser = world.accounts[1], world.accounts[2]
    stage.advance_to(world.history_end + 100)
    _merge(stage, company_id(winner.external_id), company_id(loser.external_id))
    merged_at = datetime.fromtimestamp(stage.simulation.clock.now(), UTC)
    _, ids = stage.simulation.inject(Injection("ticket_opened", account=loser.crm_id))
    stage.advance_to(world.history_end + 300)
    told = len(followed[COMPANIES].events)
    for one in followed.values():
        one.catch_up()
    news = {(event.kind, event.account_id) for event in followed[COMPANIES].events[told:]}
    assert ("crm.account_deleted", _account(loser.crm_id)) in news
    assert ("crm.account_updated", _account(winner.crm_id)) in news
    deleted = next(event for event in followed[COMPANIES].events[told:] if event.kind == "crm.account_deleted")
    assert iso(deleted.event_time) == iso(merged_at)
    # A ticket of the merged company is the winner's.
    newest = followed[TICKETS].events[-1]
    assert newest.account_id == _account(winner.crm_id)
    assert ids["ticket"]
    # Told once, although the winner comes again.
    stage.simulation.inject(Injection("account_changed", account=winner.crm_id, plan="Changed"))
    stage.advance_to(world.history_end + 600)
    followed[COMPANIES].catch_up()
    assert count(followed[COMPANIES].events)["crm.account_deleted"] == 1


@pytest.mark.parametrize("version", ["v3", "2026-03"])
def test_other_versions_of_the_api_bring_the_same(
    version: str, world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = followed_together(stage_of(world).streams("hubspot"))
    for one in usual.values():
        one.catch_up()
    monkeypatch.setenv("VITALS_HUBSPOT_API_VERSION", version)
    monkeypatch.setenv("VITALS_HUBSPOT_OAUTH_VERSION", "v1")
    stage = stage_of(world)
    for name, followed in followed_together(stage.streams("hubspot")).items():
        followed.catch_up()
        stage.advance_to(stage.simulation.clock.now() + HOUR)
        followed.catch_up()
        assert by_id(usual[name].events).items() <= by_id(followed.events).items()
    paths = {one.url.path for one in stage.transport.requests}
    assert not [path for path in paths if "2026-09" in path]


def _with_companies(stage: Stage, name: str) -> Followed:
    """A stream whose events' companies have been told by theirs; the requests for that are not kept."""
    followed = followed_together(stage.streams("hubspot"))
    followed[COMPANIES].catch_up()
    stage.transport.requests.clear()
    return followed[name]


def _account(crm_id: str) -> str:
    return account_id(f"crm:account:{crm_id}")


def _merge(stage: Stage, winner: int, loser: int) -> None:
    answer = stage.transport.handle_request(
        httpx.Request(
            "POST",
            "http://simulator/hubspot/crm/v3/objects/companies/merge",
            headers={"Authorization": "Bearer pat-na1-demo"},
            json={"primaryObjectId": str(winner), "objectIdToMerge": str(loser)},
        )
    )
    assert answer.status_code == 200


def listed(*ids: object) -> list[dict[str, object]]:
    return [{"id": one} for one in ids]


def test_a_list_that_begins_again_passes_over_what_it_told_as_long_as_ids_only_rose() -> None:
    scan: dict[str, Any] = {"archived": False, "began": "x", "read": 5}
    scan |= place_after(scan, listed("3", "1", "7"))
    scan |= place_after(scan, listed("7", "9", "8"))
    assert scan_again(scan) == {"archived": False, "began": "x", "told": 9, "highest": 0}
    again = scan_again(scan) | place_after(scan_again(scan), listed("1", "3"))
    assert scan_again(again)["told"] == 9, "and once more, before it came so far again"
    fallen = scan | place_after(scan, listed("4"))
    fallen |= place_after(fallen, listed("20"))
    assert scan_again(fallen)["told"] == 0, "an order that nobody promised was not kept: all is told again"
    assert place_after({}, listed("x"))["highest"] is None
