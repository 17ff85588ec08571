"""The runner on the real broker: once only, under aborted transactions, zombies and unknown accounts."""

import threading
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from connectors.bootstrap import register
from connectors.contract import Page, State, Stream
from connectors.fates import PageOutcome
from connectors.identities import IdentityIndex, follow_identities
from connectors.runner import StreamRunner
from connectors.stream_state import load_state
from connectors.writer import StreamWriter
from schemas.bootstrap import bootstrap, prepare_topics
from schemas.topics import TOPICS, raw_topic
from tests.collect.topics import Topic
from tests.runner.streams import AccountsStream, NumberedStream
from vitals.avro import AvroSerde, Registry
from vitals.clock import WallClock
from vitals.errors import RetriableError
from vitals.events import user_pseudonym
from vitals.settings import Settings


@pytest.fixture(scope="module")
def serde(settings: Settings) -> AvroSerde:
    bootstrap(settings)
    prepare_topics(settings, [raw_topic(AccountsStream.source)])
    return AvroSerde(Registry(settings.registry_url))


def committed(settings: Settings, topic: str) -> list[tuple[str, dict[str, Any]]]:
    """Every committed record of a topic."""
    return [(name, record) for name, record, _ in Topic(settings, topic, whole=True).messages()]


def run_until(settings: Settings, serde: AvroSerde, streams: list[Stream], done: Any) -> None:
    """Runs streams as `vitals connect` does until `done()`."""
    stopping = threading.Event()
    index = IdentityIndex(has_identity_source=any(stream.identity_source for stream in streams))
    threads = [threading.Thread(target=follow_identities, args=(settings, serde, index, stopping))]
    threads += [
        threading.Thread(target=StreamRunner(stream, settings, serde, WallClock(), index, stopping).run)
        for stream in streams
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in range(600):
            if done():
                return
            stopping.wait(0.1)
        raise AssertionError("the streams did not finish")
    finally:
        stopping.set()
        for thread in threads:
            thread.join(20)


def complete(settings: Settings, serde: AvroSerde, stream: str) -> bool:
    try:
        return "complete_through" in load_state(settings, serde, stream)
    except RetriableError:
        return False  # the broker has only just made the topic


def test_unknown_accounts_wait_for_the_identity_source_and_then_only_strangers_are_quarantined(settings, serde) -> None:
    things = [(number, ["alpha", "beta", "stranger"][number % 3]) for number in range(30)] + [(99, "bad")]
    stream = NumberedStream("test.quarantine", things, faults=[2])
    run_until(
        settings, serde, [stream, AccountsStream(["alpha", "beta"])], lambda: complete(settings, serde, stream.name)
    )
    # The topics are shared with other tests of this run.
    events = [record for name, record in committed(settings, "events.product") if name == "Event"]
    key = settings.pseudonym_key.get_secret_value().encode()
    users = {user_pseudonym(key, f"{stream.name}-{number}") for number in range(3)}
    ours = Counter(record["value"] for record in events if record["user_id"] in users)
    assert ours == Counter(number for number, account in things if account in ("alpha", "beta"))
    quarantined = [record for _, record in committed(settings, "quarantine")]
    assert sum(record["account_ref"] == "crm:account:stranger" for record in quarantined) == 10
    dead = [record for _, record in committed(settings, "dead_letters") if record["origin"].startswith(stream.name)]
    assert [record["message"] for record in dead] == ["this thing is broken"]
    assert dead[0]["original"] == b'{"account":"bad"}'
    counts = load_state(settings, serde, stream.name)["counts"]
    assert counts == {
        "product.event_tracked": {"published": 20, "quarantined": 10},
        "unreadable": {"dead_lettered": 1},
    }


def test_a_new_field_is_reported_once_and_stands_in_the_committed_state(settings, serde) -> None:
    class WiderStream(NumberedStream):
        """The same things, and each has a colour now."""

        def fetch(self, state: State) -> Page:
            page = super().fetch(state)
            wider = [replace(raw, body={**raw.body, "colour": "red"}) for raw in page.objects]
            return replace(page, objects=wider)

    things = [(number, "alpha") for number in range(9)]
    for stream in (
        NumberedStream("test.widened", things[:3]),
        WiderStream("test.widened", things[:6]),
        WiderStream("test.widened", things),
    ):
        read = len(stream._things)
        run_until(
            settings,
            serde,
            [stream, AccountsStream(["alpha"])],
            lambda read=read: load_state(settings, serde, "test.widened").get("cursor") == read,
        )
    known = load_state(settings, serde, "test.widened")["fields/thing"]
    assert known["account"] == {"types": ["string"]}
    assert known["colour"]["types"] == ["string"]
    assert known["colour"]["reported_at"]
    assert REGISTRY.get_sample_value("vitals_connector_schema_drift_total", {"stream": "test.widened"}) == 1


def test_a_zombie_is_fenced_and_what_it_had_open_is_never_seen(settings, serde) -> None:
    first = StreamWriter(settings, serde, WallClock(), "collect", "test.zombie", ("events.product",))
    first.open()
    first.commit(PageOutcome([], None, updates={"cursor": 1}), {})
    second = StreamWriter(settings, serde, WallClock(), "collect", "test.zombie", ("events.product",))
    second.open()
    assert second.state["cursor"] == 1
    with pytest.raises(RetriableError):
        first.commit(PageOutcome([], None, updates={"cursor": 666}), {})
    second.commit(PageOutcome([], None, updates={"cursor": 2}), {})
    assert load_state(settings, serde, "test.zombie")["cursor"] == 2


def test_state_entries_are_removed_by_tombstones_and_streams_do_not_see_each_other(settings, serde) -> None:
    writer = StreamWriter(settings, serde, WallClock(), "collect", "test.entries", ("events.product",))
    writer.open()
    writer.commit(PageOutcome([], None, updates={"a": [1], "b": {"x": None}}), {})
    writer.commit(PageOutcome([], None, updates={"a": None}), {})
    state = load_state(settings, serde, "test.entries")
    assert "a" not in state
    assert state["b"] == {"x": None}
    assert state["position"] == 2
    assert load_state(settings, serde, "test.entrie") == {}


def test_every_partition_of_every_topic_gets_the_registration(settings, serde) -> None:
    register(settings, serde, WallClock(), [("collect", "test.registered", ("events.crm", "events.product"))])
    for topic in ("events.crm", "events.product"):
        ours = [r for name, r in committed(settings, topic) if name == "Progress" and r["stream"] == "test.registered"]
        assert len(ours) == TOPICS[topic].partitions
        assert {record["complete_through"] for record in ours} == {None}
