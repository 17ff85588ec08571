"""The runner and the topic of deliveries on the real broker: each is taken once, whatever happens meanwhile."""

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from connectors.contract import Delivery
from connectors.stream_state import load_state
from connectors.webhooks import deliveries as topic
from connectors.webhooks.deliveries import DeliveryWriter
from schemas.bootstrap import bootstrap
from tests.collect.conftest import environment
from tests.collect.topics import Topic
from tests.webhooks.running import eventually, running
from tests.webhooks.streams import NoticedStream
from vitals.avro import AvroSerde, Registry
from vitals.errors import FatalError, RetriableError
from vitals.events import user_pseudonym
from vitals.settings import Settings

Send = Callable[..., None]


@pytest.fixture(scope="module")
def prepared(settings: Settings) -> Settings:
    bootstrap(settings)
    return settings


@pytest.fixture(scope="module")
def send(prepared: Settings) -> Iterator[Send]:
    """Writes verified deliveries: (body, id) each."""
    stopping = threading.Event()
    writer = DeliveryWriter(prepared, AvroSerde(Registry(prepared.registry_url)))
    thread = threading.Thread(target=writer.run, args=(stopping,))
    thread.start()

    def write(*sent: tuple[str, str], source: str = "collect") -> None:
        async def all_of_them() -> None:
            for body, delivery_id in sent:
                at = datetime.now(UTC)
                await writer.append(Delivery(source, "POST", "http://hook", {}, body.encode(), at), delivery_id)

        asyncio.run(all_of_them())

    yield write
    stopping.set()
    thread.join(20)


def told(settings: Settings, events: Topic, stream: str) -> list[int]:
    """The numbers that a stream has published since the mark, with repetitions."""
    user = user_pseudonym(settings.pseudonym_key.get_secret_value().encode(), stream)
    return sorted(int(event["value"]) for event in events.records("Event") if event["user_id"] == user)


def test_each_delivery_is_taken_once_while_no_poll_is_due(prepared: Settings, send: Send) -> None:
    events, dead = Topic(prepared, "events.product"), Topic(prepared, "dead_letters")
    name = "test.noticed"
    send(("1", "noticed-1"), ("1", "noticed-1"), source="collect")
    send(("99", "noticed-99"), source="zendesk")
    with running(prepared, NoticedStream(name)):
        eventually(lambda: told(prepared, events, name) == [1])
        send(("2", "noticed-2"), ("no number", "noticed-3"), ("1", "noticed-1"), ("4", "noticed-4"))
        eventually(lambda: told(prepared, events, name) == [1, 2, 4])
    state = load_state(prepared, AvroSerde(Registry(prepared.registry_url)), name)
    (letter,) = [one for one in dead.records() if one["origin"].startswith(name)]
    assert (letter["message"], letter["original"]) == ("The delivery's body is no number.", b"no number")
    assert state["counts"]["unreadable"] == {"dead_lettered": 1}
    send(("2", "noticed-2"), ("5", "noticed-5"))
    with running(prepared, NoticedStream(name)):
        eventually(lambda: 5 in told(prepared, events, name))
    assert told(prepared, events, name) == [1, 2, 4, 5]


@pytest.mark.parametrize("fault", [RetriableError("busy", 0.01), FatalError("not allowed")], ids=["busy", "refused"])
def test_a_stream_that_cannot_take_deliveries_goes_on_polling_and_takes_them_later(
    prepared: Settings, send: Send, fault: RetriableError | FatalError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.attempts.PARKED_SECONDS", 0.5)
    events = Topic(prepared, "events.product")
    stream = NoticedStream(f"test.late-{type(fault).__name__}", [fault, fault])
    send(("7", f"late-{stream.name}"))
    with running(prepared, stream, poll_seconds=0.05):
        eventually(lambda: 7 in told(prepared, events, stream.name))
    assert told(prepared, events, stream.name).count(7) == 1
    assert stream.fetches > 1


def test_a_runner_killed_between_producing_and_commit_loses_and_doubles_nothing(prepared: Settings, send: Send) -> None:
    events = Topic(prepared, "events.product")
    name = "test.killed"
    send(("11", "killed-11"), ("12", "killed-12"))
    died = subprocess.run(
        [sys.executable, "-m", "tests.webhooks.dying_runner", name],
        env=environment(prepared),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    with running(prepared, NoticedStream(name)):
        eventually(lambda: 12 in told(prepared, events, name))
        send(("11", "killed-11"), ("13", "killed-13"))
        eventually(lambda: 13 in told(prepared, events, name))
    own = [one for one in told(prepared, events, name) if one in (11, 12, 13)]
    assert own == [11, 12, 13]


def test_without_brokers_a_delivery_is_not_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Encoding(AvroSerde):
        def __init__(self) -> None:
            pass

        def encode(self, *_: object) -> bytes:
            return b"encoded"

    monkeypatch.setattr(topic, "ACKNOWLEDGED_SECONDS", 0.5)
    writer = DeliveryWriter(Settings(kafka_bootstrap="127.0.0.1:9"), Encoding())
    delivery = Delivery("stripe", "POST", "http://hook", {}, b"{}", datetime.now(UTC))
    with pytest.raises(RetriableError, match="could not be kept"):
        asyncio.run(writer.append(delivery, "evt_1"))
