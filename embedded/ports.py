"""Chooses a TCP port on the loopback address for every part, and remembers the choice in the state folder."""

import json
import random
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from embedded.files import write_atomically
from vitals.errors import UserError

LOOPBACK = "127.0.0.1"

DEFAULT_PORTS = {
    "kafka": 9092,
    "kafka-controller": 9093,
    "registry": 8081,
    "registry-management": 8082,
    "postgres": 5432,
    "valkey": 6379,
    "api": 8080,
    "collect": 8090,
    "simulators": 8070,
}
"""The port a part gets when it is free; names that are not here get any free port."""

# Below the range from which Linux takes ports for outgoing connections (32768 and up): a client that keeps trying to
# reach a stopped server on a port in that range can end up connected to itself, and then the server cannot come back.
FREE_PORTS = range(20000, 32000)


@dataclass(frozen=True)
class PortChoice:
    """The port of one name, and the usual one where another program has it."""

    name: str
    port: int
    taken: int | None = None


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as candidate:
        # As servers do: connections that linger after a restart do not count as in use.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((LOOPBACK, port))
            candidate.listen(1)
        except OSError:
            return False
    return True


def parse_forced_ports(values: Iterable[str]) -> dict[str, int]:
    """Reads `NAME=N` options. Raises UserError on anything else."""
    forced: dict[str, int] = {}
    for value in values:
        name, _, number = value.partition("=")
        if not name or not number.isdecimal() or not 0 < int(number) < 65536:
            raise UserError(f"--port {value} is not NAME=NUMBER with a number from 1 to 65535, such as api=8080.")
        forced[name] = int(number)
    return forced


def choose_ports(
    names: Iterable[str],
    *,
    forced: Mapping[str, int] | None = None,
    remembered: Mapping[str, int] | None = None,
    prefer_defaults: bool = True,
) -> dict[str, PortChoice]:
    """A port for every name: the forced one, else the remembered, else the default, else any free one.

    Raises UserError when a forced port is in use, is given twice, or has a name that nothing asks for.
    """
    names, forced, remembered = list(dict.fromkeys(names)), forced or {}, remembered or {}
    unknown = sorted(set(forced) - set(names))
    if unknown:
        raise UserError(f"--port {unknown[0]}=… names no part: the names are {', '.join(sorted(names))}.")
    choices: dict[str, PortChoice] = {}
    taken: set[int] = set()
    for name, port in forced.items():
        if port in taken or not is_free(port):
            raise UserError(
                f"Port {port}, asked for {name}, is in use: stop what uses it, or choose another with --port {name}=N."
            )
        taken.add(port)
        choices[name] = PortChoice(name, port)
    for name in (name for name in names if name not in forced):
        default = DEFAULT_PORTS.get(name) if prefer_defaults else None
        wanted = [port for port in (remembered.get(name), default) if port is not None]
        port = next((port for port in wanted if port not in taken and is_free(port)), 0) or _any_free_port(taken)
        taken.add(port)
        choices[name] = PortChoice(name, port, None if port in wanted or not wanted else wanted[0])
    return choices


def _any_free_port(taken: set[int]) -> int:
    candidates = random.SystemRandom().sample(FREE_PORTS, k=len(FREE_PORTS))
    reserved = taken | set(DEFAULT_PORTS.values())
    port = next((port for port in candidates if port not in reserved and is_free(port)), None)
    if port is None:
        raise UserError(
            f"No port from {FREE_PORTS.start} to {FREE_PORTS.stop} is free on {LOOPBACK}: close some programs."
        )
    return port


def read_ports(path: Path) -> dict[str, int]:
    """The remembered ports, or none where there is no readable memory of them."""
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return {str(name): int(port) for name, port in document.items()}


def write_ports(path: Path, ports: Mapping[str, int]) -> None:
    """Remembers the ports for the next start."""
    write_atomically(path, json.dumps(dict(sorted(ports.items())), indent=1) + "\n")
