"""The collect process dies in mid-load: clients that send again lose nothing and double nothing."""

import threading
from collections import Counter
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from connectors.collect.connector import STREAM
from connectors.quarantine.records import read_topic
from tests.collect.conftest import CollectProcess
from tests.collect.topics import Topic
from vitals.avro import AvroSerde, Registry
from vitals.events import event_id
from vitals.settings import Settings

CLIENTS = 8
CALLS = 60
KILLS = 3


class RetryingClient(threading.Thread):
    """Sends its calls one after another, each until it is accepted, as Segment's libraries do."""

    def __init__(self, url: str, accepted: threading.Semaphore) -> None:
        super().__init__(daemon=True)
        self.message_ids = [str(uuid4()) for _ in range(CALLS)]
        self.retries = 0
        self._accepted = accepted
        self._http = httpx.Client(base_url=f"{url}/v1/", auth=("dev-write-key", ""), timeout=20.0)

    def run(self) -> None:
        for number, message_id in enumerate(self.message_ids):
            call = {
                "type": "track",
                "messageId": message_id,
                "userId": "u",
                "event": "Load",
                "context": {"groupId": "acme"},
            }
            while not self._sent("batch" if number % 5 == 0 else "track", call):
                self.retries += 1
            self._accepted.release()

    def _sent(self, path: str, call: dict[str, object]) -> bool:
        body = {"batch": [call]} if path == "batch" else call
        try:
            answer = self._http.post(path, json=body)
        except httpx.TransportError:
            return False
        assert answer.status_code in (200, 503), answer.text
        return answer.status_code == 200


@pytest.mark.timeout(200)
def test_each_call_is_published_once_although_the_process_is_killed(prepared: Settings, tmp_path: Path) -> None:
    events = Topic(prepared, "events.product")
    accepted = threading.Semaphore(0)
    with CollectProcess(prepared, tmp_path / "log") as process:
        clients = [RetryingClient(process.url, accepted) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        for _ in range(KILLS):
            for _ in range(CLIENTS * CALLS // (KILLS + 1)):
                assert accepted.acquire(timeout=120)
            process.kill()
            process.start()
        for client in clients:
            client.join(120)
            assert not client.is_alive()
    assert sum(client.retries for client in clients) >= KILLS, "no client met a dead process"
    sent = {
        event_id("collect", "track", one, "product.event_tracked") for client in clients for one in client.message_ids
    }
    # What other tests left in quarantine is driven again here, where no identity source is enabled.
    serde = AvroSerde(Registry(prepared.registry_url))
    waited = {found.record["event_id"] for found in read_topic(prepared, serde, "quarantine") if found.record}
    published = Counter(event["event_id"] for event in events.records("Event"))
    assert set(published) - waited == sent
    assert set(published.values()) == {1}


def test_the_counts_are_those_of_the_topic(prepared: Settings, tmp_path: Path) -> None:
    events, counts = Topic(prepared, "events.product"), Topic(prepared, "pipeline.counts")
    with CollectProcess(prepared, tmp_path / "log") as process:
        batch = [
            {"type": "page", "userId": "u", "messageId": str(uuid4()), "context": {"groupId": "acme"}} for _ in range(7)
        ]
        process.post("batch", {"batch": batch[:2]}).raise_for_status()
        (first,) = [record for record in counts.records() if record["name"] == STREAM]
        process.kill()
        process.start()
        process.post("batch", {"batch": batch}).raise_for_status()
    *_, last = [record for record in counts.records() if record["name"] == STREAM]
    assert _published(last) - _published(first) == 5
    assert len(events.records("Event")) == 7


def _published(record: dict[str, list[dict[str, int]]]) -> int:
    return sum(count["count"] for count in record["counts"] if count["fate"] == "published")
