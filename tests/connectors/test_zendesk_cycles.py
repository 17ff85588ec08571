"""Zendesk: each ticket is told once whenever it is asked for, whatever its organization and its last minute hide."""

from collections.abc import Callable
from dataclasses import replace

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.http import VendorHttp, Wire
from connectors.simulation.injection import Injection
from connectors.simulation.world import NEVER, Tickets, World
from connectors.zendesk.client import CursorRefusedError, ZendeskClient
from connectors.zendesk.stream import TicketStream
from tests.connectors.conftest import Stage
from tests.connectors.simulated import Followed, by_id, count
from vitals.errors import FatalError
from vitals.events import account_id

StageOf = Callable[..., Stage]
STREAM = "zendesk.tickets"
HOUR = 3_600
START = 1_793_000_000
# After everything that the property's tickets do, and the minute in which Zendesk hides it.
END = START + 60 * HOUR


def with_tickets(world: World, tickets: list[tuple[int, int]]) -> World:
    """The world with these tickets only: (opened at, seconds until solved), the latter negative or `NEVER` too."""
    opened = np.array([at for at, _ in tickets], dtype=np.int64)
    solved = np.array([NEVER if lasted == NEVER else at + lasted for at, lasted in tickets], dtype=np.int64)
    order = np.argsort(opened, kind="stable")
    count_of = len(tickets)
    return replace(
        world,
        tickets=Tickets(
            ticket_id=np.arange(1, count_of + 1, dtype=np.int64),
            account=np.arange(count_of, dtype=np.int64) % len(world.accounts),
            opened_at=opened[order],
            solved_at=solved[order],
            requester=np.zeros(count_of, dtype=np.int64),
            priority=np.zeros(count_of, dtype=np.int64),
            requesters=("somebody",),
        ),
    )


opened_at = st.integers(START - 40 * HOUR, START + 10 * HOUR)
lasted = st.one_of(
    st.integers(0, 130), st.integers(-HOUR, -1), st.integers(0, 45 * HOUR), st.just(NEVER)
)  # many within Zendesk's hidden minute
ticket_lists = st.lists(st.tuples(opened_at, lasted), min_size=1, max_size=25)
polls = st.lists(
    st.one_of(st.integers(1, 90), st.integers(1, 3 * HOUR)), min_size=1, max_size=14
)  # seconds between two cycles


@pytest.fixture
def stage_with(world: World) -> Callable[[list[tuple[int, int]]], Stage]:
    """Makes a stage with these tickets at `START`; the test finishes it."""
    return lambda tickets: Stage(with_tickets(world, tickets), START)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tickets=st.lists(st.tuples(opened_at, lasted), min_size=1, max_size=25), gaps=polls, page=st.sampled_from((3, 100))
)
def test_each_ticket_is_told_once_whatever_the_polling_times(
    stage_with: Callable[[list[tuple[int, int]]], Stage],
    monkeypatch: pytest.MonkeyPatch,
    tickets: list[tuple[int, int]],
    gaps: list[int],
    page: int,
) -> None:
    monkeypatch.setattr("connectors.zendesk.client.PAGE_OBJECTS", page)
    stage = stage_with(tickets)
    followed = Followed(stage.streams("zendesk")[STREAM])
    try:
        at = START
        for gap in gaps:
            # The clock moves between pages too, so tickets change while a cycle is under way.
            while followed.page():
                at += gap % 7
                stage.advance_to(at)
            at += gap
            stage.advance_to(at)
        followed.catch_up()
        stage.advance_to(END)
        followed.catch_up()
    finally:
        stage.transport.finish()
    happened = {
        "support.ticket_opened": len(tickets),
        "support.ticket_solved": sum(until_solved != NEVER for _, until_solved in tickets),
    }
    told = by_id(followed.events)
    counted = {kind: sum(event["kind"] == kind for event in told.values()) for kind in happened}
    assert counted == happened
    assert all(event.value is None or event.value >= 0 for event in followed.events)


def test_a_ticket_solved_before_it_was_opened_is_flagged_and_lasts_no_time(world: World, stage_of: StageOf) -> None:
    followed = Followed(stage_of(with_tickets(world, [(START, -500)]), START + HOUR).streams("zendesk")[STREAM])
    opened, solved = followed.catch_up().events
    assert (opened.kind, solved.kind) == ("support.ticket_opened", "support.ticket_solved")
    assert solved.value == 0
    assert solved.properties["quality"] == "opened_after_solved"
    assert solved.event_time < opened.event_time


def test_an_idle_cycle_asks_twice_and_promises_more(world: World, stage_of: StageOf) -> None:
    stage = stage_of(with_tickets(world, [(START, 60)]), START + HOUR)
    followed = Followed(stage.streams("zendesk")[STREAM]).catch_up()
    asked, pages = len(stage.transport.requests), followed.pages
    stage.advance_to(START + HOUR + 10)
    followed.catch_up()
    assert len(stage.transport.requests) - asked == 2
    assert followed.pages == pages + 1
    assert [promise.timestamp() for promise in followed.promises[-2:] if promise] == [
        START + HOUR - 60,
        START + HOUR - 50,
    ]


def test_a_ticket_waits_for_the_link_of_its_new_organization(world: World, stage_of: StageOf) -> None:
    at = START + 10 * HOUR
    young = replace(world.accounts[0], created_at=at, changes=())
    changed = with_tickets(replace(world, accounts=(young, *world.accounts[1:])), [(START, NEVER), (at + 5, NEVER)])
    changed = replace(changed, tickets=replace(changed.tickets, account=np.array([1, 0], dtype=np.int64)))
    stage = stage_of(changed, START + HOUR)
    stream = stage.streams("zendesk")[STREAM]
    followed = Followed(stream).catch_up()
    # A page of organizations is read just before the new one shows, the tickets long after.
    stage.advance_to(at + 59)
    client = stream._client  # type: ignore[attr-defined]
    tickets = client.tickets

    def later(**place: object) -> object:
        if stage.simulation.clock.now() < at + 300:
            stage.advance_to(at + 300)
        return tickets(**place)

    client.tickets = later
    followed.catch_up()
    assert [event.kind for event in followed.events] == ["support.ticket_opened"] * 2
    assert not followed.set_aside


def test_an_organization_without_a_link_leaves_its_tickets_unknown(world: World, stage_of: StageOf) -> None:
    account = replace(world.accounts[0], crm_id="")
    changed = with_tickets(replace(world, accounts=(account, *world.accounts[1:])), [(START, NEVER)])
    followed = Followed(stage_of(changed, START + HOUR).streams("zendesk")[STREAM]).catch_up()
    assert not followed.events
    assert [record.account_ref for record in followed.set_aside] == ["zendesk:organization:500001"]


def test_a_refused_cursor_begins_again_shortly_before_the_promise(world: World, stage_of: StageOf) -> None:
    stage = stage_of(with_tickets(world, [(START, 60), (START + 3 * HOUR, 60)]), START + 2 * HOUR)
    followed = Followed(stage.streams("zendesk")[STREAM]).catch_up()
    followed.state["walk"] = {**followed.state["walk"], "cursor": "not a cursor"}
    stage.advance_to(START + 4 * HOUR)
    followed.catch_up()
    assert count(followed.events) == {"support.ticket_opened": 2, "support.ticket_solved": 2}
    assert len(followed.objects) < 2 + 2 + len(world.accounts)


def answering(status: int, text: str) -> ZendeskClient:
    transport = httpx.MockTransport(lambda _request: httpx.Response(status, text=text))
    return ZendeskClient(VendorHttp("zendesk", wire=Wire(transport=transport)), "http://zendesk.test")


def test_a_start_that_is_too_recent_means_nothing_new() -> None:
    client = answering(422, '{"error":"InvalidValue","description":"Too recent start_time. Use an older one"}')
    page = client.organizations(1_700_000_000)
    assert (page.organizations, page.end_time, page.end_of_stream) == ((), 1_700_000_000, True)


def test_other_refusals_are_not_swallowed() -> None:
    client = answering(422, '{"error":"RecordInvalid"}')
    with pytest.raises(FatalError, match="RecordInvalid"):
        client.organizations(1_700_000_000)
    with pytest.raises(FatalError):
        client.tickets(cursor=None, start_time=0)
    with pytest.raises(CursorRefusedError):
        client.tickets(cursor="x", start_time=0)


def test_a_full_second_does_not_hold_the_export(world: World) -> None:
    """An export that gives the same second again and again is stepped over it."""
    second = 1_700_000_000

    def answer(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params.get("start_time", "0"))
        done = start > second
        organizations = [] if done else [{"id": 1, "external_id": "x", "updated_at": "2023-11-14T22:13:20Z"}]
        body = {"organizations": organizations, "end_time": max(start, second), "end_of_stream": done}
        if "tickets" in request.url.path:
            body = {"tickets": [], "after_cursor": "a", "end_of_stream": True}
        return httpx.Response(200, json=body, headers={"Date": "Mon, 23 Nov 2026 12:00:00 GMT"})

    http = VendorHttp("zendesk", wire=Wire(transport=httpx.MockTransport(answer)))
    followed = Followed(TicketStream(ZendeskClient(http, "http://zendesk.test"))).catch_up()
    assert followed.state["org/1"]["external_id"] == "x"
    assert followed.promises[-1] is not None


def test_a_deleted_ticket_is_told_once(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    followed = Followed(stage.streams("zendesk")[STREAM]).catch_up()
    ticket_id = int(world.tickets.ticket_id[np.flatnonzero(world.tickets.opened_at < world.history_end)[3]])
    told = len(followed.events)
    stage.advance_to(world.history_end + 600)
    stage.simulation.inject(Injection("ticket_deleted", ticket=ticket_id))
    for _ in range(3):
        stage.advance_to(stage.simulation.clock.now() + 90)
        followed.catch_up()
    gone = [event for event in followed.events[told:] if event.kind == "support.ticket_deleted"]
    assert [int(event.event_time.timestamp()) for event in gone] == [int(world.history_end) + 601]
    at_once = Followed(stage.streams("zendesk")[STREAM]).catch_up()
    assert gone[0].event_id in by_id(at_once.events)


def test_an_organization_that_goes_and_comes_back_keeps_its_account(world: World, stage_of: StageOf) -> None:
    stage, account = stage_of(world), world.accounts[3]
    followed = Followed(stage.streams("zendesk")[STREAM]).catch_up()
    told = len(followed.events)
    for deleted in (True, False):
        stage.advance_to(stage.simulation.clock.now() + 600)
        stage.simulation.inject(Injection("account_changed", account=account.crm_id, deleted=deleted))
        for _ in range(2):
            stage.advance_to(stage.simulation.clock.now() + 400)
            followed.catch_up()
    told_of = [event for event in followed.events[told:] if event.kind.startswith("support.organization_")]
    assert [event.kind for event in told_of] == ["support.organization_deleted", "support.organization_restored"]
    assert {event.account_id for event in told_of} == {account_id(f"crm:account:{account.crm_id}")}
