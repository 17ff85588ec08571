"""Quarantined events are driven again by their stream, each once, whatever is killed."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.identity.claims import Claim
from connectors.quarantine.records import read_topic
from connectors.quarantine.waiting import BATCH_RECORDS, batches, counts_after, waiting_entries, waiting_in
from connectors.stream_state import load_state
from connectors.writer import progress_record
from schemas.bootstrap import bootstrap
from schemas.topics import TOPICS
from tests.identity.redriving import EVENTS, NAMES, STREAM
from tests.runner.streams import START
from vitals.avro import AvroSerde, Registry
from vitals.errors import RetriableError
from vitals.events import account_id, event_id
from vitals.kafka import producer
from vitals.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
FOREVER = datetime(2030, 1, 1, tzinfo=UTC)
ACCOUNT = "crm:account:found"

places = st.lists(
    st.tuples(st.integers(1, 9), st.dictionaries(st.sampled_from("abc"), st.lists(st.integers(0, 5_000), min_size=1)))
)


@given(places)
def test_every_waiting_entry_is_in_one_batch_and_batches_are_short(transactions) -> None:
    state = {"cursor": 1}
    for position, found in transactions:
        state |= waiting_entries(position, {name: [(3, at) for at in offsets] for name, offsets in found.items()})
    cut = batches(waiting_in(state))
    assert sorted(one.entry for batch in cut for one in batch) == sorted(set(state) - {"cursor"})
    for batch in cut:
        records = {offset for one in batch for offset in range(one.first, one.last + 1)}
        assert len(batch) == 1 or len(records) <= BATCH_RECORDS


def test_counts_move_and_their_sum_stays() -> None:
    counts = {"support.ticket_opened": {"published": 4, "quarantined": 2}}
    assert counts_after(counts, ["support.ticket_opened"] * 2) == {
        "support.ticket_opened": {"published": 6, "quarantined": 0}
    }
    assert counts["support.ticket_opened"]["published"] == 4


@contextmanager
def running(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "VITALS_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "VITALS_REGISTRY_URL": settings.registry_url,
        "VITALS_POLL_INTERVAL_SECONDS": "0.2",
    }
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.identity.redriving"], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait(20)


def counts(settings: Settings, serde: AvroSerde) -> dict[str, int]:
    try:
        return dict(load_state(settings, serde, STREAM).get("counts", {}).get("product.event_tracked", {}))
    except RetriableError:
        return {}


def wait(done: Callable[[], bool], log: Path, seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, log.read_text()[-2_000:]
        time.sleep(0.1)


@pytest.mark.timeout(280)
def test_a_claim_drives_waiting_events_again_exactly_once_although_the_process_is_killed(
    settings: Settings, tmp_path: Path
) -> None:
    bootstrap(settings)
    serde, log = AvroSerde(Registry(settings.registry_url)), tmp_path / "log"
    client = producer(settings)
    spoken = serde.encode("identities", "Progress", progress_record("test", "test.source", FOREVER, START))
    for partition in range(TOPICS["identities"].partitions):
        client.produce("identities", spoken, b"progress|test.source", partition)
    known = {"identity": ACCOUNT, "account_id": account_id(ACCOUNT), "linked_at": START, "source": "test"}
    client.produce("identities", serde.encode("identities", "Identity", known), ACCOUNT.encode())
    client.flush(20)

    with running(settings, log):
        wait(lambda: counts(settings, serde) == {"quarantined": EVENTS}, log)
    for number in range(NAMES):
        claim = Claim(f"crm:account:lost-{number}", ACCOUNT, "manual", "manual", "manual", START)
        client.produce(
            "identities", serde.encode("identities", "IdentityClaim", claim.record(START)), claim.key.encode()
        )
    client.flush(20)
    kills = 0
    for share in (0.15, 0.4, 0.7):
        with running(settings, log):
            wait(lambda share=share: counts(settings, serde).get("published", 0) >= share * EVENTS, log)
        now = counts(settings, serde)
        assert now["published"] + now["quarantined"] == EVENTS
        kills += now["quarantined"] > 0
    assert kills >= 2, "the kills came too late to strike among the transactions"
    with running(settings, log):
        wait(lambda: counts(settings, serde) == {"published": EVENTS, "quarantined": 0}, log)
    state = load_state(settings, serde, STREAM)
    assert not list(waiting_in(state))
    ours = {
        event_id("collect", "thing", str(number), "product.event_tracked"): START.timestamp() + 60 * number
        for number in range(EVENTS)
    }
    published = [
        found.record
        for found in read_topic(settings, serde, "events.product")
        if found.name == "Event" and found.record and found.record["account_id"] == account_id(ACCOUNT)
    ]
    assert Counter(record["event_id"] for record in published) == Counter(ours.keys())
    assert {record["event_id"]: record["event_time"].timestamp() for record in published} == ours
    assert {record["event_id"]: record["value"] for record in published} == {
        identifier: number for number, identifier in enumerate(ours)
    }
    assert all(record["user_id"] for record in published)
