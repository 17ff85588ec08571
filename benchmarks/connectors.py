"""Records a second of a connector's first load, from the vendor's answer to the committed transaction, beside a floor.

    python -m benchmarks.connectors [--events 200000] [--only mixpanel,amplitude]

A stream's runner reads a simulator that has no limits, in a process of its own, until it has caught up: fetch, decode,
map, settle, and raw objects, events, state and counts in Kafka's transactions. The floor produces the same messages to
the same topics in transactions of the same size, from bytes that are ready. Both run on the embedded Kafka. Required:
5,000 records/s.
"""

import argparse
import multiprocessing
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import uvicorn
from confluent_kafka import Consumer, TopicPartition

from connectors.catalogue import connector_modules
from connectors.contract import Page, State, Stream
from connectors.identities import IDENTITIES, IdentityIndex
from connectors.runner import StreamRunner
from connectors.simulation import generated
from connectors.simulation.clock import SourceClock
from connectors.simulation.server import create_app
from connectors.simulation.stage import Simulation
from connectors.simulation.world import World
from connectors.stream_state import load_state
from embedded.stack import Stack
from schemas.bootstrap import bootstrap, prepare_topics
from schemas.topics import raw_topic
from schemas.topics import topic as topic_of
from vitals.avro import AvroSerde, Registry
from vitals.clock import WallClock
from vitals.events import account_id
from vitals.kafka import consumer_options, producer
from vitals.process import tune_collector
from vitals.settings import Settings

REQUIRED = 5_000.0
"""Records a second of the raw and canonical path, in one process."""

ENVIRONMENT = {
    "VITALS_MIXPANEL_START_DATE": "2025-01-01",
    "VITALS_AMPLITUDE_START_DATE": "2025-10-31",
    "VITALS_AMPLITUDE_WINDOW_HOURS": "720",
}
FLOOR_RECORDS = 50_000
START_SECONDS = 60.0

Message = tuple[str, bytes | None, bytes | None]
"""Topic, key and value."""


@dataclass(frozen=True)
class Loaded:
    """What one first load did."""

    records: int
    transactions: int
    seconds: float
    cpu_seconds: float


def world_of(events: int) -> World:
    """The generated world with at least so many events in its history: each of its own comes several times."""
    world = generated.generate()
    columns = ("row", "event_time", "company", "user", "feature", "lines_changed", "files")
    times = -(-events // int(np.searchsorted(world.events.event_time, world.history_end)))
    repeated = {name: np.repeat(getattr(world.events, name), times) for name in columns}
    repeated["row"] = np.arange(1, len(repeated["row"]) + 1, dtype=np.int64)
    return replace(world, events=replace(world.events, **repeated))


def serve(events: int, port: int) -> None:
    """The simulators without limits, in the process that runs this; source time stands at the end of the history."""
    world = world_of(events)
    app = create_app(Simulation(world, clock=SourceClock(world.history_end, paused=True)))
    uvicorn.run(app, port=port, date_header=False, server_header=False, log_level="warning")


@contextmanager
def simulator(events: int) -> Iterator[str]:
    """The address of the simulators' process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(events, port), daemon=True)
    process.start()
    address, give_up = f"http://127.0.0.1:{port}", time.monotonic() + START_SECONDS
    try:
        while True:
            try:
                httpx.get(f"{address}/healthz").raise_for_status()
                break
            except httpx.TransportError:
                if time.monotonic() > give_up or not process.is_alive():
                    raise
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.join()


def known_accounts() -> IdentityIndex:
    """An index that knows every account of the world, as an identity source gives it."""
    index = IdentityIndex(has_identity_source=True, followed=False)
    for account in generated.generate().accounts:
        identity = f"crm:account:{account.crm_id}"
        index.apply(0, "Identity", {"identity": identity, "account_id": account_id(identity)})
    for partition in range(topic_of(IDENTITIES).partitions):
        index.apply(partition, "Progress", {"complete_through": datetime(2100, 1, 1, tzinfo=UTC)})
    return index


def until_caught_up(stream: Stream, stopping: threading.Event) -> list[int]:
    """Makes the stream's runner stop after the page that catches up; the list gets the size of every page."""
    fetch: Callable[[State], Page] = stream.fetch
    sizes: list[int] = []

    def fetched(state: State) -> Page:
        page = fetch(state)
        sizes.append(len(page.objects))
        if not page.more:
            stopping.set()
        return page

    stream.fetch = fetched  # type: ignore[method-assign]
    return sizes


def load(connector: str, settings: Settings, serde: AvroSerde, index: IdentityIndex) -> Loaded:
    """Runs the connector's one stream until it has caught up."""
    (stream,) = connector_modules()[connector].create(settings)
    stopping = threading.Event()
    sizes = until_caught_up(stream, stopping)
    runner = StreamRunner(stream, settings, serde, WallClock(), index, stopping)
    started, cpu = time.perf_counter(), time.process_time()
    runner.run()
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    counts = load_state(settings, serde, stream.name)["counts"]
    told = sum(count for fates in counts.values() for count in fates.values())
    if told != sum(sizes):
        raise SystemExit(f"{connector}: {sum(sizes)} records were fetched and {told} counted.")
    return Loaded(told, len(sizes), seconds, cpu)


def written(settings: Settings, topic: str, most: int) -> list[Message]:
    """Up to `most` messages of a topic, as they lie there."""
    consumer = Consumer(consumer_options(settings, "benchmark") | {"enable.partition.eof": True})
    partitions = topic_of(topic).partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    found: list[Message] = []
    ended: set[int | None] = set()
    while len(ended) < partitions and len(found) < most:
        for message in consumer.consume(1_000, timeout=10.0):
            if message.error() is not None:
                ended.add(message.partition())
            else:
                found.append((topic, message.key(), message.value()))
    consumer.close()
    return found[:most]


def floor(settings: Settings, connector: str, loaded: Loaded) -> tuple[float, int]:
    """Records a second when messages that are ready are produced in transactions of the same size; bytes a record."""
    records = min(FLOOR_RECORDS, loaded.records)
    # A record is a raw object, and an event or one in quarantine.
    messages = [
        message
        for pair in zip(
            written(settings, f"raw.{connector}", records), written(settings, "events.product", records), strict=False
        )
        for message in pair
    ]
    client = producer(settings, f"floor-{connector}")
    client.init_transactions(30.0)
    size = 2 * max(1, loaded.records // loaded.transactions)
    started = time.perf_counter()
    for first in range(0, len(messages), size):
        client.begin_transaction()
        for topic, key, value in messages[first : first + size]:
            while True:
                try:
                    client.produce(topic, value, key)
                    break
                except BufferError:
                    client.poll(0.1)
        client.commit_transaction(10.0)
    seconds = time.perf_counter() - started
    total = sum(len(key or b"") + len(value or b"") for _, key, value in messages)
    return len(messages) / 2 / seconds, total * 2 // len(messages)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints, and fails below the required figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--only", default="mixpanel,amplitude")
    asked = parser.parse_args(arguments)
    os.environ.update(ENVIRONMENT)
    tune_collector()
    slow: list[str] = []
    with (
        tempfile.TemporaryDirectory(prefix="vitals-benchmark-") as folder,
        simulator(asked.events) as address,
        Stack(Path(folder) / "state").infrastructure(("kafka", "registry")) as endpoints,
    ):
        settings = Settings(
            kafka_bootstrap=endpoints.kafka_bootstrap,
            registry_url=endpoints.registry_url,
            state_dir=Path(folder),
            simulator_url=address,
            vendor_pacing=False,
        )
        bootstrap(settings)
        prepare_topics(settings, [raw_topic(name) for name in ("mixpanel", "amplitude")])
        serde, index = AvroSerde(Registry(settings.registry_url)), known_accounts()
        for connector in asked.only.split(","):
            loaded = load(connector, settings, serde, index)
            rate = loaded.records / loaded.seconds
            least, size = floor(settings, connector, loaded)
            cpu = loaded.cpu_seconds / loaded.records * 1e6
            print(
                f"{connector:10} {rate:,.0f} records/s ({cpu:.0f} s of CPU a million): "
                f"{loaded.records:,} records of {size:,} B in {loaded.transactions:,} transactions\n"
                f"{'floor':10} {least:,.0f} records/s, {least / rate:.1f} times as fast",
                flush=True,
            )
            if rate < REQUIRED:
                slow.append(connector)
    if slow:
        raise SystemExit(f"Below the required {REQUIRED:,.0f} records/s: {', '.join(slow)}.")


if __name__ == "__main__":
    main()
