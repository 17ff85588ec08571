"""The websocket: snapshots, deltas, resuming, flushes and outages of Redis, slow clients, and who may listen."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from embedded.stack import Stack
from tests.api.conftest import EMAIL, PASSWORD, RunningApi
from tests.api.portfolio_rows import MODEL, Account, LiveWriter, store, store_account
from vitals.clock import ManualClock

ACCOUNTS = [Account(number, f"Account {number}", 10_000_000 * (number + 1)) for number in range(8)]
GONE = Account(8, "Gone", 1_000_000, deleted=True)

Message = dict[str, Any]


@pytest.fixture
def filled(database: psycopg.Connection[Any], live_writer: LiveWriter) -> LiveWriter:
    """PostgreSQL and Redis hold the accounts, in epoch `first`. Before the API starts."""
    store(database, [*ACCOUNTS, GONE])
    live_writer.fill([*ACCOUNTS, GONE], "first")
    return live_writer


@pytest.fixture
def live_api(filled: LiveWriter, api: RunningApi) -> RunningApi:
    return api


def cookie(api: RunningApi) -> dict[str, str]:
    with api.signed_in() as client:
        return {"Cookie": f"vitals_session={client.cookies['vitals_session']}", "Origin": api.url}


@contextmanager
def listening(api: RunningApi, **options: Any) -> Iterator[ClientConnection]:
    """A signed-in socket, not subscribed yet."""
    with connect(api.websocket_url, additional_headers=cookie(api), max_size=2**26, **options) as connection:
        yield connection


def subscribe(connection: ClientConnection, **more: Any) -> None:
    connection.send(json.dumps({"type": "subscribe", "channel": "portfolio", **more}))


def receive(connection: ClientConnection, *kinds: str) -> Message:
    """The next message of these kinds."""
    deadline = time.monotonic() + 20
    while True:
        message: Message = json.loads(connection.recv(timeout=deadline - time.monotonic()))
        if message["type"] in kinds:
            return message


def scores(message: Message) -> dict[str, int]:
    return {item["account_id"]: item["score"] for item in message["items"]}


def snapshot_of_epoch(connection: ClientConnection) -> Message:
    """A snapshot that can be resumed: the first one may come before Redis was read."""
    while True:
        message = receive(connection, "snapshot")
        if message["resume"] is not None:
            return message


def test_snapshot_then_numbered_deltas(live_api: RunningApi, filled: LiveWriter) -> None:
    with listening(live_api) as connection:
        subscribe(connection)
        snapshot = snapshot_of_epoch(connection)
        assert scores(snapshot) == {str(account.account_id): account.score for account in ACCOUNTS}
        item = next(item for item in snapshot["items"] if item["account_id"] == str(ACCOUNTS[2].account_id))
        assert (item["name"], item["segment"], item["owner"]) == ("Account 2", "Enterprise", "Ada")
        assert item["position"] == 100
        assert snapshot["receipt"]["model"] == MODEL
        assert snapshot["receipt"]["watermark"] == "2026-06-01T12:00:00Z"
        for number, score in enumerate((1, 2), start=1):
            filled.change(ACCOUNTS[0], score, 100 + number)
            delta = receive(connection, "delta")
            assert delta["sequence"] == number
            assert scores(delta) == {str(ACCOUNTS[0].account_id): score}
            assert delta["items"][0]["name"] == "Account 0"


def test_resume_brings_exactly_what_was_missed(live_api: RunningApi, filled: LiveWriter) -> None:
    with listening(live_api) as connection:
        subscribe(connection)
        snapshot_of_epoch(connection)
        filled.change(ACCOUNTS[1], 11, 101)
        token = receive(connection, "delta")["resume"]
    for position, account in enumerate((ACCOUNTS[2], ACCOUNTS[3], ACCOUNTS[2]), start=102):
        filled.change(account, position, position)
    with listening(live_api) as connection:
        subscribe(connection, resume=token)
        missed: dict[str, int] = {}
        while missed.get(str(ACCOUNTS[2].account_id)) != 104:
            message = receive(connection, "delta", "snapshot")
            assert message["type"] == "delta"
            missed |= scores(message)
        assert missed == {str(ACCOUNTS[2].account_id): 104, str(ACCOUNTS[3].account_id): 103}


def test_resume_with_nothing_missed_answers_at_once(live_api: RunningApi) -> None:
    with listening(live_api) as connection:
        subscribe(connection)
        token = snapshot_of_epoch(connection)["resume"]
    with listening(live_api) as connection:
        subscribe(connection, resume=token)
        message = receive(connection, "delta", "snapshot")
        assert (message["type"], message["items"], message["sequence"]) == ("delta", [], 1)


@pytest.mark.parametrize("token", ["", "nonsense", "eyJlIjoieCIsInAiOltdfQ", "8J+YgA"])
def test_foreign_token_gets_a_snapshot(live_api: RunningApi, token: str) -> None:
    with listening(live_api) as connection:
        subscribe(connection, resume=token)
        assert receive(connection, "delta", "snapshot")["type"] == "snapshot"


def test_resume_beyond_what_the_stream_keeps_gets_a_snapshot(live_api: RunningApi, filled: LiveWriter) -> None:
    with listening(live_api) as connection:
        subscribe(connection)
        snapshot_of_epoch(connection)
        filled.change(ACCOUNTS[1], 1, 101)
        token = receive(connection, "delta")["resume"]
    for position in range(102, 110):
        filled.change(ACCOUNTS[1], position, position, keep=3)
    with listening(live_api) as connection:
        subscribe(connection, resume=token)
        message = receive(connection, "delta", "snapshot")
        assert message["type"] == "snapshot"


def test_fan_out_that_fell_behind_the_stream_loses_nothing(live_api: RunningApi, filled: LiveWriter) -> None:
    same_partition = [Account(8 * number, f"Account {number}") for number in range(2, 41)]
    with listening(live_api) as connection:
        subscribe(connection)
        known = scores(snapshot_of_epoch(connection))
        filled.change_at_once({account: number for number, account in enumerate(same_partition, start=101)}, keep=5)
        while len(known) < len(ACCOUNTS) + len(same_partition):
            known |= scores(receive(connection, "delta"))
        assert {known[str(account.account_id)] for account in same_partition} == set(range(101, 140))


def test_flush_of_redis_changes_no_answer_and_brings_a_snapshot(
    live_api: RunningApi, filled: LiveWriter, client: Any
) -> None:
    before = client.get("/v1/accounts").json()["items"]
    with listening(live_api) as connection:
        subscribe(connection)
        token = snapshot_of_epoch(connection)["resume"]
        filled.redis.flushall()
        assert "Redis" in receive(connection, "degraded")["detail"]
        assert client.get("/v1/accounts").json()["items"] == before
        # Without Redis, a new client gets what PostgreSQL has.
        with listening(live_api) as other:
            subscribe(other)
            assert scores(receive(other, "snapshot")) == {
                str(account.account_id): account.score for account in ACCOUNTS
            }
        filled.fill(ACCOUNTS, "second", position=100)
        filled.change(ACCOUNTS[0], 7, 101)
        snapshot = snapshot_of_epoch(connection)
        known = scores(snapshot)
        while known[str(ACCOUNTS[0].account_id)] != 7:
            known |= scores(receive(connection, "delta"))
        assert known == {str(account.account_id): account.score for account in ACCOUNTS} | {
            str(ACCOUNTS[0].account_id): 7
        }
    with listening(live_api) as connection:
        subscribe(connection, resume=token)
        assert receive(connection, "delta", "snapshot")["type"] == "snapshot"


def test_outage_of_redis_keeps_clients_and_ends_with_a_snapshot(
    live_api: RunningApi, filled: LiveWriter, stores_stack: Stack
) -> None:
    with listening(live_api) as connection:
        subscribe(connection)
        snapshot_of_epoch(connection)
        stores_stack.stop_part("valkey")
        try:
            assert "Redis" in receive(connection, "degraded")["detail"]
        finally:
            stores_stack.start_part("valkey")
        filled.change(ACCOUNTS[0], 7, 101)
        known = scores(snapshot_of_epoch(connection))
        while known[str(ACCOUNTS[0].account_id)] != 7:
            known |= scores(receive(connection, "delta"))


def test_slow_client_is_conflated_and_slows_nobody(
    database: psycopg.Connection[Any], live_writer: LiveWriter, serve: Callable[..., Any]
) -> None:
    many = [Account(number, f"Account {number}") for number in range(2000)]
    store(database, many[:1])
    live_writer.fill(many, "first")
    rounds = 12
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with serve() as api, listening(api) as fast:
        small.connect(("127.0.0.1", int(api.host.rpartition(":")[2])))
        with listening(api, sock=small, max_queue=1) as slow:
            subscribe(fast)
            snapshot_of_epoch(fast)
            subscribe(slow)
            fast_deltas = 0
            for number in range(1, rounds + 1):
                live_writer.change_at_once(dict.fromkeys(many, number), 100 + number)
                sentinel = 0
                while sentinel != number:
                    delta = receive(fast, "delta")
                    fast_deltas += 1
                    sentinel = scores(delta).get(str(many[-1].account_id), sentinel)
            known: dict[str, int] = {}
            slow_deltas = 0
            while len(known) < len(many) or set(known.values()) != {rounds}:
                message = receive(slow, "snapshot", "delta")
                slow_deltas += message["type"] == "delta"
                known |= scores(message)
            assert slow_deltas < fast_deltas


def test_account_channel(live_api: RunningApi, filled: LiveWriter) -> None:
    wanted = str(ACCOUNTS[3].account_id)
    with listening(live_api) as connection:
        subscribe(connection, channel="account", account_id=wanted)
        snapshot = snapshot_of_epoch(connection)
        assert list(scores(snapshot)) == [wanted]
        filled.change(ACCOUNTS[4], 1, 101)
        filled.change(ACCOUNTS[3], 2, 101)
        delta = receive(connection, "delta")
        assert scores(delta) == {wanted: 2}
        # A later subscription takes the place of the first.
        subscribe(connection)
        assert len(snapshot_of_epoch(connection)["items"]) == len(ACCOUNTS)


def test_new_account_is_named_once_its_profile_is_there(
    live_api: RunningApi, filled: LiveWriter, database: psycopg.Connection[Any]
) -> None:
    newcomer = Account(50, "Newcomer", 5)
    with listening(live_api) as connection:
        subscribe(connection)
        snapshot_of_epoch(connection)
        filled.change(newcomer, 5, 101)
        assert receive(connection, "delta")["items"][0]["name"] is None
        store_account(database, newcomer)
        position = 102
        while True:
            filled.change(newcomer, position, position)
            if receive(connection, "delta")["items"][0]["name"] == "Newcomer":
                break
            position += 1


def closed_with(connection: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as caught:
        receive(connection, "never")
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code


def test_access_token_as_first_message(live_api: RunningApi) -> None:
    with live_api.client() as client:
        token = client.post("/v1/auth/login", json={"email": EMAIL, "password": PASSWORD}).json()["access_token"]
    with connect(live_api.websocket_url) as connection:
        connection.send(json.dumps({"type": "auth", "access_token": token}))
        subscribe(connection)
        assert receive(connection, "snapshot")["items"]


@pytest.mark.parametrize(
    "first", ['{"type":"auth","access_token":"x"}', '{"type":"subscribe","channel":"portfolio"}', "nonsense"]
)
def test_without_proof_the_socket_closes(live_api: RunningApi, first: str) -> None:
    with connect(live_api.websocket_url) as connection:
        connection.send(first)
        assert closed_with(connection) == 4401


def test_cookie_is_worth_nothing_on_a_foreign_page(live_api: RunningApi) -> None:
    headers = cookie(live_api) | {"Origin": "https://evil.example"}
    with connect(live_api.websocket_url, additional_headers=headers) as connection:
        subscribe(connection)
        assert closed_with(connection) == 4401


@pytest.mark.parametrize(
    "message",
    [
        "nonsense",
        '{"type":"subscribe","channel":"everything"}',
        '{"type":"subscribe","channel":"account"}',
        '{"type":"subscribe","channel":"portfolio","account_id":"7d2a4a53-5d8a-5b7e-9c5b-0c6f0a0a1b11"}',
        b"bytes",
    ],
)
def test_what_is_no_message_closes_the_socket(live_api: RunningApi, message: str | bytes) -> None:
    with listening(live_api) as connection:
        connection.send(message)
        assert closed_with(connection) == 4400


def test_expiry_of_the_session_closes_the_socket(filled: LiveWriter, serve: Callable[..., Any]) -> None:
    clock = ManualClock(datetime.fromisoformat("2026-06-01T12:00:00+00:00"))
    with serve(options={"clock": clock}) as api, listening(api) as connection:
        subscribe(connection)
        snapshot_of_epoch(connection)
        clock.advance(timedelta(hours=12, seconds=1))
        filled.change(ACCOUNTS[0], 1, 101)  # wakes the writer
        assert closed_with(connection) == 4401


def test_clients_are_counted(live_api: RunningApi) -> None:
    from prometheus_client import REGISTRY

    before = REGISTRY.get_sample_value("vitals_ws_clients")
    assert before is not None
    with listening(live_api) as connection:
        subscribe(connection)
        receive(connection, "snapshot")
        assert REGISTRY.get_sample_value("vitals_ws_clients") == before + 1


def test_heartbeats_carry_the_sequence(live_api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.live.HEARTBEAT_SECONDS", 0.05)
    with listening(live_api) as connection:
        subscribe(connection)
        heartbeat = receive(connection, "heartbeat")
        assert heartbeat["sequence"] == 0
        assert set(heartbeat["receipt"]) >= {"watermark", "freshness_seconds"}
