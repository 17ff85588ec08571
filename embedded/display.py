"""What `vitals up` and `vitals status` show: one line for each part that comes up, a summary, a table of states."""

import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from embedded.endpoints import Endpoints
from embedded.ports import PortChoice

SIGN_IN_FILE = "sign-in"
"""Left in the state folder by `vitals bootstrap`."""

DETACHED = "VITALS_UP_DETACHED"
"""Set for a supervisor in the background, whose output is a log: secrets are for the terminal that started it."""

_STYLES = {"ready": "green", "done": "green", "failed": "red", "restarting": "yellow", "stopped": "dim"}


class StartProgress:
    """Reports each part as it becomes ready, with the seconds it took; repeated observations are ignored."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._states: dict[str, str] = {}
        self._started: dict[str, float] = {}

    def observe(self, name: str, state: str) -> None:
        """Takes note of a part's state now."""
        if self._states.get(name) == state:
            return
        self._states[name] = state
        if state == "starting":
            self._started.setdefault(name, time.monotonic())
        elif state in ("ready", "done"):
            now = time.monotonic()
            seconds = now - self._started.pop(name, now)
            self._console.print(f"  [green]✓[/] {name:<14} {state} after {seconds:.1f} s", highlight=False)
        elif state in ("restarting", "failed"):
            remark = "ended, starting it again" if state == "restarting" else "failed, given up"
            self._console.print(f"  [red]✗[/] {name:<14} {remark} (`vitals logs {name}`)", highlight=False)
        elif state == "stopped":
            self._console.print(f"  [dim]·[/] {name:<14} stopped", highlight=False)


def show_taken_ports(console: Console, choices: Mapping[str, PortChoice]) -> None:
    """Says which parts did not get their usual port."""
    for choice in choices.values():
        if choice.taken is not None:
            console.print(f"  Port {choice.taken} is in use, so {choice.name} is on {choice.port}.", highlight=False)


def show_summary(console: Console, endpoints: Endpoints, services: Sequence[Mapping[str, Any]], seconds: float) -> None:
    """Addresses of the stack; the password of PostgreSQL stays in the state folder."""
    ports = endpoints.ports
    rows = [
        ("Kafka", endpoints.kafka_bootstrap),
        ("Schema registry", endpoints.registry_url),
        ("PostgreSQL", f"postgresql://vitals@127.0.0.1:{ports['postgres']}/vitals"),
        ("Valkey", endpoints.redis_url),
        ("State", str(endpoints.state_dir)),
    ]
    if any(service["name"] == "api" for service in services) and "api" in ports:
        rows.insert(0, ("Dashboard", f"http://127.0.0.1:{ports['api']}/"))
    console.print(f"Vitals is up after {seconds:.1f} s.", highlight=False)
    for label, address in rows:
        console.print(f"  {label:<16} {address}", highlight=False, soft_wrap=True)
    sign_in = endpoints.state_dir / SIGN_IN_FILE
    if sign_in.exists() and os.environ.get(DETACHED) is None:
        first, *others = sign_in.read_text().splitlines()
        console.print(f"  Sign in once at  [bold]{first}[/]", highlight=False, soft_wrap=True)
        for other in others:
            console.print(f"  {'':<16} {other}", highlight=False, soft_wrap=True)
        sign_in.unlink()  # shown once and kept nowhere: `vitals users one-time-link` makes another


def status_table(services: Sequence[Mapping[str, Any]]) -> Table:
    """Name, state, process id, port, restarts and time in the state for every part."""
    table = Table("part", "state", "pid", "port", "restarts", "since", box=None, pad_edge=False)
    for service in services:
        style = _STYLES.get(service["state"], "")
        table.add_row(
            service["name"],
            f"[{style}]{service['state']}[/]" if style else service["state"],
            str(service["pid"] or ""),
            str(service["port"] or ""),
            str(service["restarts"]),
            _ago(service["since"]),
        )
    return table


def _ago(moment: str) -> str:
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{max(seconds, 0)} s"


def figures_table(figures: Mapping[str, object]) -> Table:
    """What the pipeline says of itself, one figure a line."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim")
    table.add_column(justify="left")
    for name, value in figures.items():
        table.add_row(name.replace("_", " "), _said(value))
    return table


def kinds_table(rows: Sequence[Mapping[str, object]]) -> Table:
    """What became of the events of each kind: one row a kind, one column a fate."""
    table = Table(box=None, pad_edge=False)
    for name in rows[0]:
        words = name.replace("_", " ")
        table.add_column(words, justify="left" if name == "kind" else "right", no_wrap=name == "kind")
    for row in rows:
        table.add_row(*(_said(value) for value in row.values()))
    return table


def _said(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_said(part)}" for name, part in value.items())
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
