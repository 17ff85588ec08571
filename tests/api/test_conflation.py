"""The law of the websocket: whatever is dropped, trimmed, flushed or slow, a client ends with the latest scores."""

from dataclasses import dataclass, field

import orjson
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from api.conflation import ConflatingBuffer
from api.portfolio import Listing, LiveScore, Portfolio, parse
from api.resume import (
    START,
    InvalidResumeTokenError,
    ResumeToken,
    StreamExtent,
    decode,
    missed_accounts,
    order,
)
from vitals.errors import BadRecordError

ACCOUNT_IDS = [f"account-{number}" for number in range(6)]
PARTITIONS = 2
KEPT = 4


def score(account_id: str, position: int, value: int = 0, model: str = "m1") -> LiveScore:
    fields = {"account_id": account_id, "model": model, "position": position, "score": value}
    return LiveScore(account_id, model, position, fields)


def partition_of(account_id: str) -> int:
    return ACCOUNT_IDS.index(account_id) % PARTITIONS


@dataclass
class Stream:
    """A stream that keeps its newest `KEPT` entries."""

    entries: list[tuple[str, str]] = field(default_factory=list)
    lost: bool = False

    def add(self, stream_id: str, account_id: str) -> None:
        self.entries.append((stream_id, account_id))
        self.lost = self.lost or len(self.entries) > KEPT
        del self.entries[:-KEPT]

    def extent(self) -> StreamExtent:
        return StreamExtent(self.entries[0][0] if self.entries else None, whole=not self.lost)

    @property
    def last(self) -> str:
        return self.entries[-1][0] if self.entries else START


@dataclass
class Client:
    """What a page does with what it is sent."""

    known: dict[str, int] = field(default_factory=dict)
    token: str | None = None
    buffer: ConflatingBuffer | None = None


class Conversation(RuleBasedStateMachine):
    """A sink, a fan-out and a client, with drops, resumes, trimmed streams and flushes at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.latest: dict[str, int] = {}
        self.epoch = 0
        self.streams = [Stream() for _ in range(PARTITIONS)]
        self.portfolio = Portfolio()
        self.positions = [START] * PARTITIONS
        self.clock = 0
        self.client = Client()

    @rule(account_id=st.sampled_from(ACCOUNT_IDS))
    def score_changes(self, account_id: str) -> None:
        self.clock += 1
        self.latest[account_id] = self.clock
        self.streams[partition_of(account_id)].add(f"{self.clock}-0", account_id)

    @rule()
    def fan_out_reads(self) -> None:
        """As `Fanout._follow`: what follows the positions, or the whole hash where that was trimmed."""
        for number, stream in enumerate(self.streams):
            seen = self.positions[number]
            if stream.extent().lacks_after(seen):
                changed = [account_id for account_id in self.latest if partition_of(account_id) == number]
            else:
                changed = [account_id for stream_id, account_id in stream.entries if order(stream_id) > order(seen)]
            self.positions[number] = stream.last
            told = self.portfolio.take(score(name, self.latest[name], self.latest[name]) for name in changed)
            if self.client.buffer is not None:
                self.client.buffer.changed(told)

    @rule()
    def client_is_sent_what_it_lacks(self) -> None:
        client = self.client
        if not client.buffer:
            return
        pending = client.buffer.take()
        items = map(orjson.loads, self.portfolio.encoded(None if pending.snapshot else pending.accounts))
        received = {item["account_id"]: item["score"] for item in items}
        client.known = received if pending.snapshot else client.known | received
        client.token = ResumeToken(str(self.epoch), tuple(self.positions)).encode()
        event("snapshot" if pending.snapshot else "delta")

    @rule()
    def client_drops(self) -> None:
        self.client.buffer = None

    @rule(limit=st.integers(0, 5))
    def client_comes_back(self, limit: int) -> None:
        """As `LiveClient._subscribe` and `Fanout.missed`."""
        if self.client.buffer is not None:
            return
        self.client.buffer = ConflatingBuffer(limit)
        missed = self._missed()
        if missed is None:
            self.client.buffer.needs_snapshot()
        else:
            self.client.buffer.changed(missed)
            self.client.buffer.needs_answer()

    def _missed(self) -> set[str] | None:
        if self.client.token is None:
            return None
        token = decode(self.client.token, PARTITIONS)
        if token.epoch != str(self.epoch):
            return None
        missed: set[str] = set()
        for seen, stream in zip(token.positions, self.streams, strict=True):
            after = [entry for entry in stream.entries if order(entry[0]) > order(seen)]
            found = missed_accounts(seen, after, stream.extent())
            if found is None:
                return None
            missed |= found
        return missed

    @rule()
    def redis_is_flushed(self) -> None:
        self.epoch += 1
        self.streams = [Stream() for _ in range(PARTITIONS)]
        self.portfolio = Portfolio()
        self.portfolio.take(score(name, position, position) for name, position in self.latest.items())
        self.positions = [START] * PARTITIONS
        if self.client.buffer is not None:
            self.client.buffer.needs_snapshot()

    @invariant()
    def nothing_is_ever_newer_than_the_latest(self) -> None:
        assert all(position <= self.latest[name] for name, position in self.client.known.items())

    @invariant()
    def buffer_is_bounded(self) -> None:
        assert self.client.buffer is None or len(self.client.buffer) <= 5

    def teardown(self) -> None:
        """In the end, a client that is connected and up to date has the latest scores."""
        self.client_comes_back(limit=3)
        self.fan_out_reads()
        self.client_is_sent_what_it_lacks()
        assert self.client.known == self.latest


TestConversation = Conversation.TestCase


@given(st.lists(st.tuples(st.sampled_from(ACCOUNT_IDS), st.integers(0, 20), st.sampled_from(["m1"])), max_size=30))
def test_order_and_repetition_of_scores_do_not_matter(taken: list[tuple[str, int, str]]) -> None:
    portfolio, reverse = Portfolio(), Portfolio()
    scores = [score(account_id, position, position, model) for account_id, position, model in taken]
    portfolio.take(scores)
    reverse.take([*reversed(scores), *scores])
    assert set(portfolio.encoded()) == set(reverse.encoded())


def test_another_model_takes_over_unless_it_is_behind() -> None:
    portfolio = Portfolio()
    portfolio.take([score("a", 5)])
    assert not portfolio.take([score("a", 4, model="m2")])
    assert portfolio.take([score("a", 5, model="m2")]) == {"a"}
    assert portfolio.newest_model() == "m2"


def test_deleted_accounts_are_not_shown_and_names_follow() -> None:
    portfolio = Portfolio()
    portfolio.take([score("a", 1), score("b", 1)])
    portfolio.list({"a": Listing("A", None, None, False), "b": Listing("B", None, None, True)})
    assert [orjson.loads(item)["name"] for item in portfolio.encoded()] == ["A"]
    portfolio.list({"a": Listing("New name", None, None, False)})
    assert {orjson.loads(item)["name"] for item in portfolio.encoded()} == {"New name", None}
    assert portfolio.unlisted(["b"])


@pytest.mark.parametrize("encoded", [b"", b"[]", b"{}", b"null", b'{"account_id":"a","model":"m","position":"x"}'])
def test_what_is_no_score_is_refused(encoded: bytes) -> None:
    with pytest.raises(BadRecordError):
        parse(encoded)


stream_ids = st.builds(lambda ms, sequence: f"{ms}-{sequence}", st.integers(0, 2**63), st.integers(0, 2**63))


@given(st.text(max_size=40), st.lists(stream_ids, min_size=PARTITIONS, max_size=PARTITIONS))
def test_token_comes_back_as_it_was(epoch: str, positions: list[str]) -> None:
    token = ResumeToken(epoch, tuple(positions))
    assert decode(token.encode(), PARTITIONS) == token
    with pytest.raises(InvalidResumeTokenError):
        decode(token.encode(), PARTITIONS + 1)


@given(st.text(max_size=100) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_no_text_breaks_the_token(text: str) -> None:
    with pytest.raises(InvalidResumeTokenError):
        decode(text, PARTITIONS)


def test_buffer_keeps_one_account_where_only_one_is_wanted() -> None:
    buffer = ConflatingBuffer(only="a")
    buffer.changed(["b", "c"])
    assert not buffer
    buffer.changed(["a", "b", "a"])
    assert buffer.take().accounts == ("a",)
    assert not buffer
