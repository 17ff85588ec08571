"""A call that comes again is one event, in the order of first arrival, over any grouping and any restart."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.collect import recent_ids
from connectors.collect.calls import read_call
from connectors.collect.committer import CollectStream
from connectors.collect.inbox import Inbox, Received
from connectors.collect.recent_ids import RecentIds
from connectors.collect.source_time import SourceTime
from connectors.contract import Json
from connectors.fates import mapped_id
from connectors.stream_state import merge_updates

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NAMESPACE = UUID(int=0)


def received(stream: CollectStream, number: int, at: datetime) -> Received:
    """Call `number`, received at a time of its own with each try."""
    call = {"userId": "u", "event": "e", "messageId": f"m{number}"}
    raw = read_call("track", call, at, {}, lambda: "never")
    return Received(raw, mapped_id("collect", stream.map(raw, {}).events[0]))


PAGES = st.lists(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4), max_size=4), max_size=6)


@given(PAGES, st.sets(st.integers(0, 5)))
def test_each_call_once_in_the_order_of_first_arrival(pages: list[list[list[int]]], restarts: set[int]) -> None:
    inbox = Inbox(SourceTime())
    stream = CollectStream(inbox, b"key", correct_skew=True)
    state: dict[str, Json] = {}
    stream.known = RecentIds(state)
    published: list[str] = []
    for turn, page in enumerate(pages):
        if turn in restarts:
            stream.known = RecentIds(state)
        stream.committing = submissions = []
        for numbers in page:
            submission = inbox.admit(1)
            submission.calls = [received(stream, number, submission.received_at) for number in numbers]
            submissions.append(submission)
        fetched = stream.fetch(state)
        ids = {call.raw.source_id: call.event_id for submission in submissions for call in submission.calls}
        merge_updates(state, stream.known.remember([ids[raw.source_id] for raw in fetched.objects], NOON))
        published += [raw.source_id for raw in fetched.objects]
    arrived = [f"m{number}" for page in pages for numbers in page for number in numbers]
    assert published == list(dict.fromkeys(arrived))


def test_ids_are_forgotten_after_a_day_and_their_entries_removed() -> None:
    state: dict[str, Json] = {}
    recent = RecentIds(state)
    old, new = ([str(uuid5(NAMESPACE, f"{age}{n}")) for n in range(300)] for age in ("old", "new"))
    merge_updates(state, recent.remember(old, NOON))
    merge_updates(state, recent.remember(new, NOON + timedelta(hours=24)))
    assert all(one in recent for one in old + new)
    merge_updates(state, recent.remember([], NOON + timedelta(hours=25)))
    for known in (recent, RecentIds(state)):
        assert not any(one in known for one in old)
        assert all(one in known for one in new)
    merge_updates(state, recent.remember([], NOON + timedelta(hours=50)))
    assert state == {}


def test_the_oldest_ids_go_first_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_ids, "MOST_IDS", 300)
    recent = RecentIds({})
    ids = [str(uuid5(NAMESPACE, str(n))) for n in range(1000)]
    for n in range(0, 1000, 10):
        recent.remember(ids[n : n + 10], NOON)
    assert len(recent) <= 300 + recent_ids.CHUNK_IDS
    assert all(one in recent for one in ids[-150:])
