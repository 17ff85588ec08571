"""Intercom: each conversation is told once, whenever it is asked for and however far the search is behind."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.intercom.conversation_versions import score
from connectors.intercom.simulator import INDEX_SECONDS
from connectors.intercom.stream import INDEX_LAG
from connectors.simulation.faults import Fault
from connectors.simulation.world import NEVER, Tickets, World, no_surveys
from tests.connectors.conftest import Stage
from tests.connectors.simulated import Followed, by_id, count

StageOf = Callable[..., Stage]
STREAM = "intercom.conversations"
HOUR = 3_600
START = 1_793_000_000
LAG = int(INDEX_LAG.total_seconds())
# After everything that the property's tickets do, their ratings too, and the time in which a search may miss them.
END = START + 70 * HOUR


def with_tickets(world: World, tickets: list[tuple[int, int]]) -> World:
    """The world with these tickets only: (opened at, seconds until solved), the latter negative or `NEVER` too."""
    opened = np.array([at for at, _ in tickets], dtype=np.int64)
    solved = np.array([NEVER if lasted == NEVER else at + lasted for at, lasted in tickets], dtype=np.int64)
    number_of = len(tickets)
    return replace(
        world,
        surveys=no_surveys(),
        tickets=Tickets(
            ticket_id=np.arange(1, number_of + 1, dtype=np.int64),
            account=np.arange(number_of, dtype=np.int64) % len(world.accounts),
            opened_at=opened,
            solved_at=solved,
            requester=np.arange(number_of, dtype=np.int64) % 3,
            priority=np.zeros(number_of, dtype=np.int64),
            requesters=("somebody", "somebody else", "a third"),
        ),
    )


opened_at = st.integers(START - 40 * HOUR, START + 10 * HOUR)
lasted = st.one_of(
    st.integers(0, 130), st.integers(-HOUR, -1), st.integers(0, 45 * HOUR), st.just(NEVER)
)  # many within the time that a search is behind
ticket_lists = st.lists(st.tuples(opened_at, lasted), min_size=1, max_size=25)
polls = st.lists(st.one_of(st.integers(1, 90), st.integers(1, 3 * HOUR)), min_size=1, max_size=14)
# The search is further behind than usual, by up to the time that the connector reckons with.
lags = st.lists(st.tuples(st.integers(0, 20), st.integers(1, LAG - INDEX_SECONDS - 1)), max_size=6)


@pytest.fixture
def stage_with(world: World) -> Callable[[list[tuple[int, int]]], Stage]:
    """Makes a stage with these tickets at `START`; the test finishes it."""
    return lambda tickets: Stage(with_tickets(world, tickets), START)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tickets=ticket_lists, gaps=polls, behind=lags, page=st.sampled_from((2, 3, 100)))
def test_each_conversation_is_told_once_whatever_the_polling_times(
    stage_with: Callable[[list[tuple[int, int]]], Stage],
    monkeypatch: pytest.MonkeyPatch,
    tickets: list[tuple[int, int]],
    gaps: list[int],
    behind: list[tuple[int, int]],
    page: int,
) -> None:
    monkeypatch.setattr("connectors.intercom.client.PER_PAGE", page)
    stage = stage_with(tickets)
    for after, seconds in behind:
        stage.simulation.faults.order(
            Fault("intercom", "search_lag", path="/conversations/search", after=after, seconds=seconds)
        )
    followed = Followed(stage.streams("intercom")[STREAM])
    try:
        at = START
        for gap in gaps:
            # The clock moves between pages too, so conversations change while a cycle is under way.
            while followed.page():
                at += gap % 7
                stage.advance_to(at)
            at += gap
            stage.advance_to(at)
        followed.catch_up()
        stage.simulation.faults.clear()
        stage.advance_to(END)
        followed.catch_up()
    finally:
        stage.transport.finish()
    solved = [number for number, (_, until_solved) in enumerate(tickets, start=1) if until_solved != NEVER]
    happened = {
        "support.ticket_opened": len(tickets),
        "support.ticket_solved": len(solved),
        "support.csat_answered": sum(score(number) is not None for number in solved),
    }
    told = by_id(followed.events)
    assert {kind: sum(event["kind"] == kind for event in told.values()) for kind in happened} == happened
    assert len(told) == len(followed.events), "the runner published an event twice"
    assert not followed.set_aside


def test_a_cycle_without_news_brings_nothing_and_promises_more(world: World, stage_of: StageOf) -> None:
    stage = stage_of(with_tickets(world, [(START - 2 * HOUR, 60)]), START)
    followed = Followed(stage.streams("intercom")[STREAM]).catch_up()
    asked, pages, objects = len(stage.transport.requests), followed.pages, len(followed.objects)
    stage.advance_to(START + 10)
    followed.catch_up()
    assert [request.url.path for request in stage.transport.requests[asked:]] == [
        "/intercom/contacts/search",
        "/intercom/conversations/search",
    ]
    assert (followed.pages, len(followed.objects)) == (pages + 1, objects)
    assert [promise.timestamp() for promise in followed.promises[-2:] if promise] == [START - LAG, START + 10 - LAG]


def test_the_overlap_is_read_again_and_told_once(world: World, stage_of: StageOf) -> None:
    """What was met in the last quarter of an hour comes with every search, and goes no further while it is the same."""
    stage = stage_of(with_tickets(world, [(START - 600, 900)]), START)
    followed = Followed(stage.streams("intercom")[STREAM]).catch_up()
    raw = [one for one in followed.objects if one.object_type == "conversation"]
    assert len(raw) == 1
    stage.advance_to(START + 30)
    followed.catch_up()
    assert [one for one in followed.objects if one.object_type == "conversation"] == raw
    stage.advance_to(START + 300 + INDEX_SECONDS)
    followed.catch_up()
    assert count(followed.events) == {"support.ticket_opened": 1, "support.ticket_solved": 1}
    assert len([one for one in followed.objects if one.object_type == "conversation"]) == 2


def test_a_conversation_that_the_index_shows_late_is_caught_by_the_overlap(world: World, stage_of: StageOf) -> None:
    stage = stage_of(with_tickets(world, [(START - 9 * HOUR, 60), (START + 100, NEVER)]), START)
    followed = Followed(stage.streams("intercom")[STREAM]).catch_up()
    stage.advance_to(START + 200)
    stage.simulation.faults.order(
        Fault("intercom", "search_lag", path="/conversations/search", count=3, seconds=LAG - 60)
    )
    for _ in range(3):
        followed.catch_up()
        stage.advance_to(stage.simulation.clock.now() + 60)
    assert count(followed.events)["support.ticket_opened"] == 1
    followed.catch_up()
    assert count(followed.events)["support.ticket_opened"] == 2
    promise = followed.promises[-2]
    assert promise is not None
    assert promise.timestamp() < START + 100, "nothing was promised that was not shown"


def test_a_conversation_closed_while_the_first_load_pages_is_told_in_full(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.intercom.client.PER_PAGE", 2)
    tickets = [(START - (30 - number) * HOUR, 7_200 if number != 20 else 10 * HOUR + 90) for number in range(25)]
    stage = stage_of(with_tickets(world, tickets), START)
    followed = Followed(stage.streams("intercom")[STREAM])
    while not any(one.object_type == "conversation" for one in followed.objects):
        followed.page()
    # It moves to the tail, beyond the bound of the walk, before the walk comes to it.
    stage.advance_to(START + 200)
    followed.catch_up()
    assert "21" not in {one.source_id for one in followed.objects if one.object_type == "conversation"}
    followed.catch_up()
    kinds = [event.kind for event in followed.mapped if event.source_id == "21"]
    assert kinds == ["support.ticket_opened", "support.ticket_solved"]


def test_what_was_met_stays_known_until_it_is_read_no_more(world: World, stage_of: StageOf) -> None:
    """Also in the second at which a search begins: an opening of two days ago is remembered nowhere else."""
    stage = stage_of(with_tickets(world, [(START - 40 * HOUR, 40 * HOUR - LAG + 50)]), START)
    followed = Followed(stage.streams("intercom")[STREAM]).catch_up()
    for at in (START + 49, START + 50, START + 51, START + 60):
        stage.advance_to(at)
        followed.catch_up()
    assert [event.kind for event in followed.mapped] == ["support.ticket_opened", "support.ticket_solved"]


def test_a_search_that_forgets_its_place_goes_on_from_the_last_change(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.intercom.client.PER_PAGE", 2)
    stage = stage_of(with_tickets(world, [(START - (30 - number) * HOUR, 60) for number in range(12)]), START)
    followed = Followed(stage.streams("intercom")[STREAM])
    while not followed.state.get("walk", {}).get("after"):
        followed.page()
    followed.page()
    followed.state["walk"] = {**followed.state["walk"], "after": "not a place"}
    objects = len(followed.objects)
    followed.catch_up()
    assert count(followed.events)["support.ticket_opened"] == 12
    again = len([one for one in followed.objects if one.object_type == "conversation"])
    assert objects < len(followed.objects)
    assert again <= 12 + 2, "the walk does not begin at the beginning"


def test_a_restart_that_knows_nothing_of_its_past_requests_continues(world: World, stage_of: StageOf) -> None:
    """A stop in the middle of the scroll: the next process goes on with it, and nobody else's is taken for its own."""
    stage = stage_of(with_tickets(world, [(START - HOUR, 60)]), START)
    followed = Followed(stage.streams("intercom")[STREAM])
    followed.page()
    assert followed.state["walk"]["scroll"]
    followed.restart(stage.streams("intercom")[STREAM])
    followed.catch_up()
    assert count(followed.events) == count(
        Followed(stage_of(with_tickets(world, [(START - HOUR, 60)]), START).streams("intercom")[STREAM])
        .catch_up()
        .events
    )
