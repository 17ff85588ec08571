"""How ports are chosen."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded import ports
from embedded.ports import FREE_PORTS, choose_ports, is_free, parse_forced_ports, read_ports, write_ports
from vitals.errors import UserError


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_default_is_used_when_free(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(ports, "DEFAULT_PORTS", {"api": free})
    choice = choose_ports(["api"])["api"]
    assert (choice.port, choice.taken) == (free, None)


def test_taken_default_gives_way_to_a_free_port_and_is_named(monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    monkeypatch.setattr(ports, "DEFAULT_PORTS", {"api": taken})
    choice = choose_ports(["api"])["api"]
    assert choice.port in FREE_PORTS
    assert is_free(choice.port)
    assert choice.taken == taken


def test_remembered_port_is_reused_while_free(taken: int, free: int) -> None:
    assert choose_ports(["x"], remembered={"x": free})["x"].port == free
    assert choose_ports(["x"], remembered={"x": taken})["x"].port != taken


def test_forced_port_in_use_is_refused(taken: int) -> None:
    with pytest.raises(UserError, match=f"Port {taken}, asked for api, is in use"):
        choose_ports(["api"], forced={"api": taken})


def test_forced_port_wins_over_the_remembered_one(free: int) -> None:
    assert choose_ports(["api"], forced={"api": free}, remembered={"api": free + 1})["api"].port == free


def test_forced_port_of_an_unknown_part_is_refused() -> None:
    with pytest.raises(UserError, match="names no part: the names are kafka"):
        choose_ports(["kafka"], forced={"kafak": 9092})


def test_same_port_is_never_given_twice() -> None:
    names = [f"part-{number}" for number in range(50)]
    choices = choose_ports(names)
    assert len({choice.port for choice in choices.values()}) == 50


@pytest.mark.parametrize("text", ["api", "api=", "api=x", "=80", "api=0", "api=70000", "api=-1"])
def test_malformed_port_option_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="NAME=NUMBER"):
        parse_forced_ports([text])


def test_ports_are_remembered(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    assert read_ports(path) == {}
    write_ports(path, {"kafka": 9092})
    assert read_ports(path) == {"kafka": 9092}
    path.write_text("{ not json")
    assert read_ports(path) == {}
