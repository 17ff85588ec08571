"""Dead letters that are driven again: what a stream takes, what becomes of counts, each of them once. No Kafka."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connectors.fates import map_page, new_counts, settle
from connectors.repairs import NEXT, Repair, Repairs, select, untold
from connectors.stream_state import merge_updates
from tests.runner.streams import NumberedStream
from vitals.events import account_id

NOW = datetime(2026, 11, 23, tzinfo=UTC)
STREAM = "test.things"


def known(identity: str | None, _at: datetime) -> str | None:
    return account_id(identity) if identity == "crm:account:alpha" else None


class Taking:
    """A stream's state and what it published, as its runner would have it."""

    def __init__(self, letters: int) -> None:
        self.stream = NumberedStream(STREAM, [])
        self.state: dict[str, Any] = {"counts": {"unreadable": {"dead_lettered": letters}}} if letters else {}
        self.published: list[str] = []
        self.attempts: list[int] = []

    def take(self, sent: list[tuple[int, Repair]]) -> None:
        start = self.state.get(NEXT, 0)
        repairs = select([pair for pair in sent if pair[0] >= start], STREAM, self.state)
        outcome, unresolved, _ = map_page(self.stream, repairs.page(), untold(self.state))
        settle(self.stream, outcome, unresolved, set(), known, str, NOW)
        counts = repairs.settle_letters(STREAM, outcome, self.state.get("counts", {}))
        merge_updates(self.state, {**outcome.updates, "counts": new_counts(counts, outcome)})
        self.published += [event.event_id for event in outcome.events]
        self.attempts += [record.attempt for record in outcome.set_aside if record.record_name == "DeadLetter"]

    def total(self, fate: str) -> int:
        return sum(fates.get(fate, 0) for fates in self.state["counts"].values())


REPAIRS = st.builds(
    lambda number, account, mine: Repair(
        STREAM if mine else "test.others", f"0/{number}", "thing", str(number), f'{{"account":"{account}"}}', 2
    ),
    st.integers(0, 15),
    st.sampled_from(["alpha", "stranger", "bad"]),
    st.booleans(),
)


@given(st.lists(REPAIRS, max_size=40), st.integers(0, 40))
def test_each_letter_is_taken_once_and_every_one_keeps_exactly_one_fate(repairs: list[Repair], cut: int) -> None:
    """However they were cut into pages, sent again, or mixed with those of other streams."""
    letters = 16
    taking = Taking(letters)
    sent = list(enumerate(repairs))
    taking.take(sent[:cut])
    taking.take(sent)
    taking.take(sent)
    mine = {repair.letter for repair in repairs if repair.stream == STREAM}
    assert len(taking.published) == len(set(taking.published))
    assert taking.total("published") == len(taking.published)
    fates = sum(taking.total(fate) for fate in ("published", "quarantined", "dead_lettered"))
    assert fates == letters, "a repaired letter changes its fate; none comes, none goes"
    first = {}
    for repair in repairs:
        if repair.stream == STREAM:
            first.setdefault(repair.letter, repair)
    again = [repair for repair in first.values() if '"bad"' in repair.body]
    assert taking.total("dead_lettered") == letters - len(mine) + len(again)
    assert taking.attempts == [2] * len(again)


def test_a_count_that_falls_to_nothing_is_published_as_nothing() -> None:
    taking = Taking(1)
    taking.take([(0, Repair(STREAM, "3/17", "thing", "1", '{"account":"alpha"}', 2))])
    assert taking.state["counts"]["unreadable"] == {"dead_lettered": 0}


def test_a_repair_is_mapped_as_if_nothing_were_promised_and_moves_no_promise() -> None:
    state = {"since": "2026-11-20T00:00:00Z", "walked": {}, "org/7": {"external_id": "x"}}
    assert untold(state) == {"org/7": {"external_id": "x"}}
    page = Repairs((Repair(STREAM, "3/17", "thing", "1", "not json", 2),), 5).page()
    assert page.complete_through is None
    assert page.state == {"repaired/3/17": 2, NEXT: 5}
    assert page.objects[0].body == "not json"
