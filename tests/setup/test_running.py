"""The commands and a running connector on the real broker: conditions, pauses, dead letters driven again, sync."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from click.testing import CliRunner

from connectors.conditions import Condition, ConditionBoard, read_conditions
from connectors.dead_letters.cli import group as letters_group
from connectors.dead_letters.letters import newest_first
from connectors.dead_letters.reading import read_letters, read_repaired
from connectors.identities import IdentityIndex
from connectors.orders import Orders, follow_orders, order
from connectors.runner import StreamRunner
from connectors.setup.cli import group
from connectors.setup.retiring import retire
from connectors.simulation import generated
from connectors.simulation.clock import SourceClock
from connectors.simulation.faults import Fault
from connectors.simulation.server import create_app
from connectors.simulation.stage import Simulation
from connectors.stream_state import load_state
from connectors.watch import Watch
from embedded.stack import Stack
from schemas.topics import TOPICS
from tests.collect.topics import Topic
from tests.conftest import settings_for
from tests.runner.streams import NumberedStream
from vitals.avro import AvroSerde, Registry
from vitals.clock import WallClock
from vitals.errors import FatalError, UserError
from vitals.settings import Settings


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A Kafka and a registry of their own: these are the real connectors' streams, which have one state each."""
    with Stack(tmp_path_factory.mktemp("stack")).infrastructure(("kafka", "registry")) as endpoints:
        yield settings_for(endpoints, tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def serde(settings: Settings) -> AvroSerde:
    from connectors.bootstrap import bootstrap as connectors_bootstrap
    from schemas.bootstrap import bootstrap as schemas_bootstrap

    schemas_bootstrap(settings)
    connectors_bootstrap(settings.model_copy(update={"simulator_url": "http://127.0.0.1"}))
    return AvroSerde(Registry(settings.registry_url))


class Things(NumberedStream):
    """Numbered things of a vendor that is polled; `refused` makes the vendor refuse."""

    source = "zendesk"
    refused = False

    def fetch(self, state: Any) -> Any:
        if self.refused:
            raise FatalError("the vendor refuses the credentials")
        return super().fetch(state)


class Running:
    """A stream as `vitals connect` runs it, until the block ends."""

    def __init__(self, stream: NumberedStream, settings: Settings, serde: AvroSerde) -> None:
        self._stopping, clock = threading.Event(), WallClock()
        self.board, orders = ConditionBoard(settings, serde, clock), Orders()
        index = IdentityIndex(has_identity_source=False, followed=False)
        quick = settings.model_copy(update={"poll_interval_seconds": 0.1})
        watch = Watch(stream, clock, self.board.tell, orders)
        self._threads = [
            threading.Thread(target=follow_orders, args=(settings, serde, orders, self._stopping)),
            threading.Thread(target=StreamRunner(stream, quick, serde, clock, index, self._stopping, watch).run),
        ]
        self._threads[0].start()
        assert orders.wait_read(30)

    def __enter__(self) -> "Running":
        self._threads[1].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(20)
        self.board.close()


def eventually(found: Callable[[], Any], what: str) -> Any:
    for _ in range(200):
        value = found()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError(f"{what} did not come about")


def test_a_pause_lasts_over_restarts_and_what_a_stream_does_is_told(settings: Settings, serde: AvroSerde) -> None:
    stream = Things("test.paused", [(number, "alpha") for number in range(5)])

    def told() -> str | None:
        found = read_conditions(settings, serde).get(stream.name)
        return None if found is None else found.condition

    order(settings, serde, WallClock(), {stream.name: "zendesk"}, paused=True)
    with Running(stream, settings, serde):
        eventually(lambda: told() == "paused", "the pause")
        assert stream.fetches == 0
    assert told() == "stopped"
    with Running(stream, settings, serde):
        eventually(lambda: told() == "paused", "the pause after a restart")
        assert stream.fetches == 0
        order(settings, serde, WallClock(), {stream.name: "zendesk"}, paused=False)
        eventually(lambda: told() == "following", "the end of the pause")
        stream.refused = True
        eventually(lambda: told() == "parked", "parking")
        found = read_conditions(settings, serde)[stream.name]
        assert found.reason == "the vendor refuses the credentials"
        assert found.until is not None
        assert found.until > found.since


def test_a_mended_dead_letter_is_mapped_once_by_its_stream_and_the_counts_add_up(
    settings: Settings, serde: AvroSerde, environment: None, tmp_path: Any
) -> None:
    stream = Things("test.mended", [(1, "alpha"), (2, "bad"), (3, "bad"), (4, "bad")])
    events, raw_objects = Topic(settings, "events.product"), Topic(settings, "raw.zendesk")

    def counts() -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = load_state(settings, serde, stream.name).get("counts", {})
        return found

    def open_letters() -> list[Any]:
        done = read_repaired(settings)
        mine = [one for one in read_letters(settings, serde) if one.place == stream.name]
        return newest_first(mine, lambda one: str(one.position) not in done, 9)

    def invoke(*arguments: str, answers: str | None = None) -> str:
        result = CliRunner().invoke(letters_group, list(arguments), input=answers, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    with Running(stream, settings, serde):
        eventually(lambda: counts().get("unreadable") == {"dead_lettered": 3}, "three dead letters")
        listed = json.loads(invoke("list", "--topic", stream.name, "--json"))
        by_id = {one["origin"].rpartition("/")[2]: one["position"] for one in listed}
        assert set(by_id) == {"2", "3", "4"}
        assert '"account": "bad"' in invoke("show", by_id["2"])
        # Corrected, twice before the stream comes to it; again as it was; and one that stays.
        corrected = tmp_path / "corrected.json"
        corrected.write_text('{"account": "alpha"}\n')
        order(settings, serde, WallClock(), {stream.name: "zendesk"}, paused=True)
        eventually(lambda: read_conditions(settings, serde)[stream.name].condition == "paused", "the pause")
        for _ in range(2):
            said = invoke("fix", by_id["2"], "--file", str(corrected))
        assert "once it is resumed" in said
        invoke("replay", by_id["3"])
        order(settings, serde, WallClock(), {stream.name: "zendesk"}, paused=False)
        wanted = {"product.event_tracked": {"published": 2}, "unreadable": {"dead_lettered": 2}}
        eventually(lambda: counts() == wanted, "the repair")
    assert sorted(str(one.position) for one in open_letters() if one.record["attempt"] == 1) == [by_id["4"]]
    (again,) = [one for one in open_letters() if one.record["attempt"] == 2]
    assert again.record["origin"].endswith("/3")
    published = [record for record in events.records("Event") if record["source"] == "zendesk"]
    assert sorted(int(record["value"]) for record in published) == [1, 2]
    assert "It was repaired" in invoke("show", by_id["2"])
    with pytest.raises(UserError, match="once only"):
        invoke("fix", by_id["2"], "--file", str(corrected))
    with pytest.raises(UserError, match="once only"):
        invoke("replay", by_id["2"])
    said = invoke("replay", "--all", "--topic", stream.name)
    assert "2 letters sent to test.mended, which maps them once `vitals connect` runs it" in said
    raw = [one for one in raw_objects.records() if one["source_id"] == "2"]
    assert raw[-1]["body"] == '{"account":"alpha"}', "what was corrected is on the raw topic, as what was fetched"


@pytest.fixture
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITALS_KAFKA_BOOTSTRAP", settings.kafka_bootstrap)
    monkeypatch.setenv("VITALS_REGISTRY_URL", settings.registry_url)
    monkeypatch.setenv("VITALS_VENDOR_PACING", "false")
    monkeypatch.setenv("VITALS_CONNECTORS", "stripe")


@pytest.fixture(scope="module")
def simulated() -> Iterator[tuple[Simulation, str]]:
    """Simulated vendors over HTTP, in a thread."""
    world = generated.generate(seed=7, accounts=8)
    simulation = Simulation(world, clock=SourceClock(world.history_end, paused=True, wall=lambda: 0.0))
    server = uvicorn.Server(uvicorn.Config(create_app(simulation), port=0, date_header=False, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield simulation, f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


def test_sync_loads_in_the_foreground_goes_on_where_it_stopped_and_says_what_is_wrong(
    settings: Settings,
    serde: AvroSerde,
    environment: None,
    simulated: tuple[Simulation, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulation, url = simulated
    monkeypatch.setenv("VITALS_SIMULATOR_URL", url)
    monkeypatch.setenv("VITALS_SOURCE_CLOCK_URL", f"{url}/_sim/clock")

    def invoke(*arguments: str) -> str:
        result = CliRunner().invoke(group, list(arguments), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    assert "stripe.billing: 1 pages" in invoke("sync", "stripe", "--once")
    (shown,) = json.loads(invoke("status", "stripe", "--json"))
    assert (shown["position"], shown["complete_through"], shown["state"]) == (1, None, "not running")
    invoke("sync", "stripe", "billing")
    (shown,) = json.loads(invoke("status", "stripe", "--json"))
    assert shown["position"] > 1
    assert shown["published"] + shown["quarantined"] > 0
    assert shown["lag_seconds"] == 2.0, "what the stream stays behind Stripe's time"
    listed = {one["connector"]: one for one in json.loads(invoke("list", "--json"))}
    assert (listed["stripe"]["enabled"], listed["zendesk"]["enabled"]) == (True, False)
    assert "ok    customers: may be read" in invoke("check", "stripe")
    with pytest.raises(UserError, match=r"has no stream stripe\.refunds"):
        invoke("sync", "stripe", "refunds")
    simulation.faults.order(Fault(vendor="stripe", kind="expire_token", path="/", count=99))
    with pytest.raises(FatalError, match="rejects the credentials"):
        invoke("sync", "stripe")
    simulation.faults.clear()


def test_the_process_tells_what_its_streams_do_and_heeds_a_pause(
    settings: Settings,
    serde: AvroSerde,
    environment: None,
    simulated: tuple[Simulation, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, url = simulated
    monkeypatch.setenv("VITALS_SIMULATOR_URL", url)
    monkeypatch.setenv("VITALS_SOURCE_CLOCK_URL", f"{url}/_sim/clock")
    monkeypatch.setenv("VITALS_CONNECTORS", "mixpanel")

    def shown() -> dict[str, Any]:
        result = CliRunner().invoke(group, ["status", "mixpanel", "--json"], catch_exceptions=False)
        (stream,) = json.loads(result.output)
        return dict(stream)

    def until_state(state: str) -> None:
        eventually(lambda: shown()["state"] == state, state)

    assert shown()["state"] == "never run"
    process = subprocess.Popen([sys.executable, "-m", "vitals", "connect"], stderr=subprocess.DEVNULL)
    try:
        until_state("running")
        refused = CliRunner().invoke(group, ["sync", "mixpanel"])
        assert isinstance(refused.exception, UserError)
        assert "one runner" in str(refused.exception)
        assert CliRunner().invoke(group, ["pause", "mixpanel", "export"]).exit_code == 0
        eventually(lambda: read_conditions(settings, serde)["mixpanel.export"].condition == "paused", "the pause")
        position = shown()["position"]
        # A paused stream may be run by hand, while the process looks on.
        assert CliRunner().invoke(group, ["sync", "mixpanel"]).exit_code == 0
        assert shown()["position"] > position
        assert shown()["state"] == "paused"
        assert CliRunner().invoke(group, ["resume", "mixpanel"]).exit_code == 0
        until_state("running")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert shown()["state"] == "not running"
    finally:
        process.kill()
        process.wait(10)


def test_a_retired_connector_holds_no_watermark(
    settings: Settings, serde: AvroSerde, environment: None, simulated: tuple[Simulation, str]
) -> None:
    topic = Topic(settings, "events.support")
    assert retire("zendesk", settings) == ["zendesk.tickets"]
    told = [record for record in topic.records("Progress") if record["stream"] == "zendesk.tickets"]
    assert {record["mode"] for record in told} == {"retired"}
    assert len(told) == TOPICS["events.support"].partitions
    clock = WallClock()
    board = ConditionBoard(settings, serde, clock)
    board.tell(Condition("zendesk", "zendesk.tickets", "following", clock.now()))
    eventually(lambda: "zendesk.tickets" in read_conditions(settings, serde), "the condition")
    with pytest.raises(UserError, match=r"zendesk\.tickets is running"):
        retire("zendesk", settings)
    board.close()


def test_a_sync_that_is_interrupted_goes_on_where_it_stopped_and_brings_nothing_twice(
    settings: Settings,
    serde: AvroSerde,
    environment: None,
    simulated: tuple[Simulation, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulation, url = simulated
    monkeypatch.setenv("VITALS_SIMULATOR_URL", url)
    monkeypatch.setenv("VITALS_CONNECTORS", "salesforce")
    raw_objects, before = Topic(settings, "raw.salesforce"), len(simulation.faults.waiting())
    command = [sys.executable, "-m", "vitals", "connectors", "sync", "salesforce", "accounts"]
    simulation.faults.order(Fault(vendor="salesforce", kind="slow", path="/services/data/v67.0/queryAll", seconds=4.0))
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    eventually(lambda: len(simulation.faults.waiting()) == before, "the slow request")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "the same command goes on from there" in said
    assert "Traceback" not in said
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "salesforce.accounts: " in done.stdout
    assert "nothing yet" not in done.stdout
    accounts = [record["source_id"] for record in raw_objects.records()]
    assert len(accounts) == len(set(accounts)) == len(simulation.world.accounts)
