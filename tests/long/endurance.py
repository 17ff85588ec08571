"""Connectors as a process against simulators as a process: all faults at once, and kills in mid-load."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
from confluent_kafka import Consumer, TopicPartition

from connectors.amplitude.mapping import occurrence_of
from connectors.bootstrap import bootstrap as register_streams
from connectors.catalogue import connector_modules
from connectors.contract import MappedEvent
from connectors.simulation import generated
from connectors.simulation.faults import KINDS, kinds_of
from connectors.stream_state import load_state
from embedded.stack import Stack
from schemas.bootstrap import bootstrap
from schemas.topics import TOPICS, raw_topic
from tests.conftest import settings_for
from tests.connectors.conftest import Stage
from tests.connectors.simulated import Followed
from vitals.avro import AvroSerde, Registry
from vitals.errors import RetriableError
from vitals.events import event_id
from vitals.kafka import consumer_options
from vitals.settings import Settings

SEED = 11
STORM_SECONDS = 0.1
WAITING_MOST = 3
"""Orders that wait for requests at a time: more would only keep every request from its answer."""

# Strikes for longer than a test can wait, so that it comes right before a kill: the wait dies with the process.
WAITS_LONG = {
    ("mixpanel", "rate_limit"),
    ("amplitude", "rate_limit"),
    ("salesforce", "rate_limit"),
    ("hubspot", "rate_limit"),
    ("hubspot", "daily"),
}
# A walk begins again after it: ordered without end, it would never arrive.
BEGINS_AGAIN = {("hubspot", "cursor_expired"), ("intercom", "scroll_expired"), ("intercom", "scroll_broken")}
BEGINS_AGAIN_MOST = 2
FAULTS_MOST = 300
NOT_ORDERED = {
    ("hubspot", "edge_dns"): "means a malformed token and parks the stream",
    ("amplitude", "late_upload"): "changes what the vendor holds, and a simulator with a clock that stands still too",
    ("salesforce", "cdc_gap"): "the change feed's",
    ("salesforce", "cdc_expired"): "the change feed's",
    ("salesforce", "cdc_dropped"): "the change feed's",
}


@dataclass(frozen=True)
class Load:
    """A vendor's world, and settings that make its load long enough to be disturbed.

    `identities` names the connector whose accounts the vendor's records belong to, None where it is its own.
    """

    accounts: int
    history_days: int = 365
    identities: str | None = "salesforce"
    environment: dict[str, str] = field(default_factory=dict)


@dataclass
class Brought:
    """What is on the topics: distinct raw objects, the kind of each event by its id, and how often each was published.

    Events of an account that was not known yet are set aside first, and published when it is.
    """

    raw: set[tuple[str, str]] = field(default_factory=set)
    kinds: dict[str, str] = field(default_factory=dict)
    published: Counter[str] = field(default_factory=Counter)
    raw_records: int = 0


@dataclass
class Endured:
    """A disturbed load by vendor, and the same load without any disturbance. `struck`: faults by vendor and kind."""

    brought: dict[str, Brought]
    expected: dict[str, Brought]
    kills: int
    struck: Counter[tuple[str, str]]
    seconds: float


def endure(
    vendors: Sequence[str], load: Load, folder: Path, *, kills: int, stop_after_seconds: float = 1500.0
) -> Endured:
    """Loads vendors together through faults and kills, on a broker of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    stack = Stack(folder / "stack")
    with stack.infrastructure(("kafka", "registry")) as endpoints:
        port = _free_port()
        names = list(vendors) if load.identities in (None, *vendors) else [str(load.identities), *vendors]
        settings = settings_for(
            endpoints, folder / "state", simulator_url=f"http://127.0.0.1:{port}", connectors=",".join(names)
        )
        environment = _environment(settings, load)
        os.environ.update(load.environment)
        bootstrap(settings)
        register_streams(settings)
        world = generated.Generator(SEED, load.accounts, history_days=load.history_days, arrivals=True).world()
        with _process(
            [
                *("simulate", "--world", "--seed", str(SEED), "--accounts", str(load.accounts)),
                *("--history-days", str(load.history_days), "--port", str(port), "--speed", "0"),
                *("--vendors", ",".join(names), "--state", str(folder / "simulation")),
            ],
            environment,
            folder / "simulate.log",
        ) as simulator:
            _wait_for(f"http://127.0.0.1:{port}/healthz", simulator)
            began = time.monotonic()
            struck, killed = _disturbed(vendors, names, settings, environment, folder, kills, stop_after_seconds)
            seconds = time.monotonic() - began
        return Endured(
            {vendor: brought(settings, vendor) for vendor in vendors},
            {vendor: expected(vendor, world, names) for vendor in vendors},
            killed,
            struck,
            seconds,
        )


def _disturbed(
    vendors: Sequence[str],
    names: list[str],
    settings: Settings,
    environment: dict[str, str],
    folder: Path,
    kills: int,
    stop_after_seconds: float,
) -> tuple[Counter[tuple[str, str]], int]:
    """Runs the connectors until every stream of the vendors has promised something; faults struck, processes killed."""
    draw, struck, killed = random.Random(",".join(vendors)), Counter[tuple[str, str]](), 0
    serde = AvroSerde(Registry(settings.registry_url))
    streams = [stream.name for vendor in vendors for stream in connector_modules()[vendor].create(settings)]
    ordered = [(vendor, kind) for vendor in vendors for kind in kinds_of(vendor) if (vendor, kind) not in NOT_ORDERED]
    usual = [each for each in ordered if each not in WAITS_LONG and each[1] != "expire_token"]
    long = [each for each in ordered if each in WAITS_LONG]
    deadline = time.monotonic() + stop_after_seconds
    with httpx.Client(base_url=settings.simulator_url, timeout=120.0) as simulator:
        while True:
            process = _start(["connect", *names], environment, folder / "connect.log")
            kill_at = time.monotonic() + draw.uniform(4.0, 12.0) if killed < kills else None
            try:
                turn = 0
                while not _complete(settings, serde, streams):
                    now = time.monotonic()
                    assert now < deadline, f"{', '.join(vendors)} did not come to an end"
                    assert process.poll() is None, f"connect ended by itself with {process.returncode}"
                    if kill_at is not None and now > kill_at:
                        break
                    turn += 1
                    waiting = simulator.get("/_sim/faults").json()["items"]
                    if len(waiting) < WAITING_MOST * len(vendors) and struck.total() < FAULTS_MOST * len(vendors):
                        # Two rejected tokens in a row would mean wrong credentials.
                        chosen = draw.choice(usual) if turn % 40 != 20 else (draw.choice(vendors), "expire_token")
                        if chosen not in BEGINS_AGAIN or struck[chosen] < BEGINS_AGAIN_MOST:
                            struck.update(_order(simulator, *chosen, draw))
                    time.sleep(STORM_SECONDS)
                else:
                    process.send_signal(signal.SIGTERM)
                    process.wait(60)
                    struck.subtract(_not_met(simulator))
                    return struck, killed
                for chosen in long:
                    struck.update(_order(simulator, *chosen, draw))
                time.sleep(draw.uniform(0.1, 1.0))
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait(30)
            # An order that was not met would make the next process wait.
            struck.subtract(_not_met(simulator))
            simulator.delete("/_sim/faults")
            killed += 1


def _not_met(simulator: httpx.Client) -> Counter[tuple[str, str]]:
    waiting = simulator.get("/_sim/faults").json()["items"]
    return Counter({(one["vendor"], one["kind"]): one["count"] for one in waiting})


def _order(simulator: httpx.Client, vendor: str, kind: str, draw: random.Random) -> dict[tuple[str, str], int]:
    count = 1 if kind == "expire_token" else draw.randint(1, 2)
    order: dict[str, Any] = {"vendor": vendor, "kind": kind, "count": count, "after": draw.randint(0, 8)}
    if kind == "slow":
        order["seconds"] = 0.1
    if kind == "server_error":
        order |= {"status": draw.choice([500, 502, 503, 504, 406]), "retry_after": draw.choice([None, 0.2])}
    if kind == "rate_limit" and (vendor, kind) not in WAITS_LONG:
        order["retry_after"] = 1.0
    simulator.post("/_sim/faults", json=order).raise_for_status()
    return {(vendor, kind): count}


def _complete(settings: Settings, serde: AvroSerde, streams: list[str]) -> bool:
    try:
        return all("complete_through" in load_state(settings, serde, stream) for stream in streams)
    except RetriableError:
        return False


def brought(settings: Settings, vendor: str) -> Brought:
    """Every committed raw object and event of a source."""
    serde = AvroSerde(Registry(settings.registry_url))
    found = Brought()
    for _, record in _committed(settings, serde, raw_topic(vendor).name, raw_topic(vendor).partitions):
        found.raw.add((record["object"], recorded_id(vendor, record["source_id"], orjson.loads(record["body"]))))
        found.raw_records += 1
    for topic in connector_modules()[vendor].topics:
        for name, record in _committed(settings, serde, topic, TOPICS[topic].partitions):
            if name == "Event" and record["source"] == vendor:
                found.kinds[record["event_id"]] = record["kind"]
                found.published[record["event_id"]] += 1
    for _, record in _committed(settings, serde, "quarantine", TOPICS["quarantine"].partitions):
        if record["source"] == vendor:
            found.kinds[record["event_id"]] = record["kind"]
    return found


def recorded_id(vendor: str, source_id: str, body: Any) -> str:
    """What one record is known by. Amplitude stores an event that was uploaded twice under two ids: the sender's key is
    the same.
    """
    if vendor != "amplitude":
        return source_id
    return "|".join(occurrence_of(body, str(body.get("event_type"))))


def _named(event: MappedEvent) -> tuple[str, str, str, str]:
    return event.object_type, event.source_id, event.kind, event.occurrence


def expected(vendor: str, world: Any, names: Sequence[str]) -> Brought:
    """The same load in process, without faults and kills. `names`: the connectors that run."""
    stage, found = Stage(world), Brought()
    stage.settings = stage.settings.model_copy(update={"connectors": ",".join(names)})
    for stream in stage.streams(vendor).values():
        followed = Followed(stream).catch_up()
        found.raw.update((raw.object_type, recorded_id(vendor, raw.source_id, raw.body)) for raw in followed.objects)
        # Whatever account an event belongs to: that is decided by the identities, which are not compared here.
        found.kinds.update({event_id(stream.source, *_named(one)): one.kind for one in followed.mapped})
    stage.transport.finish()
    return found


def assert_same(brought: Brought, expected: Brought) -> None:
    """Every record of the undisturbed load, and each event once."""
    # Figures only: sets of a hundred thousand would be written out.
    assert len(brought.raw ^ expected.raw) == 0, "records are missing, or nobody has them"
    assert len(brought.kinds.items() ^ expected.kinds.items()) == 0, "events are missing, or are others"
    repeated = [event for event, count in brought.published.items() if count > 1]
    assert len(repeated) == 0, f"published more than once, such as {repeated[:3]}"


def every_kind(vendor: str) -> set[str]:
    """Kinds of fault that are ordered."""
    assert set(KINDS) <= set(kinds_of(vendor))
    return {kind for kind in kinds_of(vendor) if (vendor, kind) not in NOT_ORDERED}


def _committed(
    settings: Settings, serde: AvroSerde, topic: str, partitions: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    consumer = Consumer(
        consumer_options(settings, "endurance")
        | {"enable.partition.eof": True, "partition.assignment.strategy": "range"}
    )
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    ended: set[int] = set()
    while len(ended) < partitions:
        for message in consumer.consume(10_000, 10.0):
            if message.error() is not None:
                ended.add(message.partition())
            else:
                yield serde.decode(message.value())
    consumer.close()


def _environment(settings: Settings, load: Load) -> dict[str, str]:
    return os.environ | {
        "VITALS_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "VITALS_REGISTRY_URL": settings.registry_url,
        "VITALS_SIMULATOR_URL": settings.simulator_url,
        "VITALS_CONNECTORS": settings.connectors,
        "VITALS_STATE_DIR": str(settings.state_dir),
        "VITALS_VENDOR_PACING": "false",
        **load.environment,
    }


def _start(arguments: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "vitals", *arguments], env=environment, stdout=output, stderr=output
        )


@contextmanager
def _process(arguments: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = _start(arguments, environment, log)
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


def _wait_for(address: str, process: subprocess.Popen[bytes], timeout_seconds: float = 180.0) -> None:
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, "the simulator ended by itself"
        try:
            if httpx.get(address, timeout=2.0).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.3)
    raise AssertionError(f"{address} does not answer")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
