"""Every mapped event has exactly one fate, and the counts add up whatever comes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import Page, RawObject
from connectors.fates import SeenIds, map_page, mapped_id, new_counts, settle
from connectors.stream_state import merge_updates
from tests.runner.streams import START, NumberedStream
from vitals.events import account_id

NOW = datetime(2026, 11, 23, tzinfo=UTC)
THINGS = st.lists(st.tuples(st.integers(0, 60), st.sampled_from(["alpha", "beta", "stranger", "bad"])), max_size=80)


def known(identity: str | None, event_time: datetime) -> str | None:
    return account_id(identity) if identity in ("crm:account:alpha", "crm:account:beta") else None


def run_to_end(stream: NumberedStream) -> tuple[dict[str, Any], list[str], int, int]:
    """State, ids on the topics in order, records set aside, and objects read again."""
    state: dict[str, Any] = {}
    published: list[str] = []
    aside = again = 0
    seen = SeenIds(stream.overlap, state)
    sequence = 0
    more = True
    while more:
        page = stream.fetch(state)
        outcome, unresolved, _ = map_page(stream, page, state)
        settle(stream, outcome, unresolved, seen.ids, known, str.upper, NOW)
        sequence += 1
        seen.remember(outcome, sequence)
        outcome.updates["counts"] = new_counts(state.get("counts", {}), outcome)
        merge_updates(state, outcome.updates)
        published += [event.event_id for event in outcome.events]
        aside += len(outcome.set_aside)
        again += outcome.refetched
        more = page.more
    return state, published, aside, again


@given(THINGS)
def test_counts_equal_what_was_published_and_set_aside(things) -> None:
    state, published, aside, again = run_to_end(NumberedStream("test.things", things))
    counts: dict[str, int] = {}
    for fates in state["counts"].values():
        for fate, count in fates.items():
            counts[fate] = counts.get(fate, 0) + count
    assert counts.get("published", 0) == len(published)
    assert counts.get("quarantined", 0) + counts.get("dead_lettered", 0) == aside
    assert len(published) + aside + again == len(things)


@given(THINGS, st.integers(1, 30))
def test_what_an_overlap_reads_again_is_published_once(things, reread) -> None:
    things = list(dict(things).items())
    things = [(number, account) for number, account in things if account != "bad"]
    once = run_to_end(NumberedStream("test.things", things))
    again = run_to_end(NumberedStream("test.things", things, reread=reread))
    assert again[1] == once[1]
    assert again[0].get("counts") == once[0].get("counts")


def test_ids_are_forgotten_once_their_day_leaves_the_overlap() -> None:
    stream = NumberedStream(
        "test.things", [(0, "alpha"), (60 * 24 * 3, "alpha"), (60 * 24 * 6, "alpha")], page_size=1, reread=1
    )
    stream.overlap = timedelta(days=2)
    state, published, _, _ = run_to_end(stream)
    assert len(published) == 3
    days = {entry.split("/")[1] for entry in state if entry.startswith("seen/")}
    assert START.date().isoformat() not in days


def test_users_become_pseudonyms_and_ids_do_not_depend_on_the_fetch() -> None:
    stream = NumberedStream("test.things", [(1, "alpha")])
    page = stream.fetch({})
    outcome, unresolved, _ = map_page(stream, page, {})
    settle(stream, outcome, unresolved, set(), known, lambda user: f"<{user}>", NOW)
    assert outcome.events[0].user_id == "<test.things-1>"
    assert outcome.events[0].event_id == mapped_id("collect", unresolved[0].event)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_page_that_begins_with_the_last_row_of_the_page_before_publishes_it_once(restarted: bool) -> None:
    """However long ago that happened: the row's day lies far before the overlap."""
    stream = NumberedStream("test.things", [])
    stream.overlap = timedelta(days=2)
    state: dict[str, Any] = {}
    seen = SeenIds(stream.overlap, state)
    published: list[str] = []
    pages = [[(1, "alpha"), (60 * 24 * 40, "alpha"), (2, "beta")], [(2, "beta"), (3, "alpha")], [(3, "alpha")]]
    for sequence, things in enumerate(pages):
        page = Page(
            [RawObject("thing", str(number), {"account": account}) for number, account in things], {}, None, more=True
        )
        outcome, unresolved, _ = map_page(stream, page, state)
        settle(stream, outcome, unresolved, seen.ids, known, str.upper, NOW)
        seen.remember(outcome, sequence)
        merge_updates(state, outcome.updates)
        published += [event.event_id for event in outcome.events]
        if restarted:
            seen = SeenIds(stream.overlap, state)
    assert len(published) == len(set(published)) == 4
