"""The process behind `vitals simulate`."""

import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import uvicorn

from connectors.simulation import generated, git_usage
from connectors.simulation.calendar import epoch, iso
from connectors.simulation.clock import SourceClock
from connectors.simulation.server import create_app
from connectors.simulation.stage import Simulation
from connectors.simulation.vendors import simulators
from connectors.simulation.webhooks import WebhookSender, subscribe_all
from connectors.simulation.world import World
from vitals.errors import UserError
from vitals.settings import Settings, load_settings
from vitals.telemetry import Health, configure_logging, serve_telemetry


@dataclass(frozen=True)
class Serving:
    """What `vitals simulate` was asked for. `speed`: source seconds for each wall second; `start`: ISO 8601.

    `webhooks`: address of a collect endpoint that the webhooks of the vendors served, or else enabled, are sent to.
    """

    data: Path | None
    generated_world: bool
    seed: int
    host: str
    port: int
    start: str | None
    speed: float
    rate_limits: bool
    state: Path | None
    vendors: tuple[str, ...]
    webhooks: str = ""
    accounts: int = generated.ACCOUNTS
    history_days: int = generated.HISTORY_DAYS


def serve(asked: Serving) -> None:
    """Serves until a signal ends the process.

    Raises:
        UserError: no such vendor, a wrong option, data that cannot be read, or a port that is taken.
    """
    if unknown := [name for name in asked.vendors if name not in simulators()]:
        raise UserError(f"{unknown[0]} is not one of the vendors {', '.join(simulators())}.")
    if asked.speed < 0:
        raise UserError("--speed must not be negative.")
    settings = load_settings()
    configure_logging(settings)
    world, further = _world(asked, settings)
    folder = (asked.state or settings.state_dir / "simulation") / world.name
    try:
        begin = epoch(asked.start) if asked.start else world.history_end
    except ValueError as error:
        raise UserError(f"--start {asked.start} is not an instant in ISO 8601.") from error
    clock = SourceClock(begin, asked.speed, path=folder / "clock.json")
    simulation = Simulation(world, clock=clock, rate_limits=asked.rate_limits, state=folder, further=further)
    listening = _listening(asked.host, asked.port)
    health = Health()
    serve_telemetry(settings.host, settings.metrics_port, health)
    address = f"http://{asked.host}:{listening.getsockname()[1]}"
    click.echo(
        f"{world.name}: {', '.join(asked.vendors or simulators())} at {address}, "
        f"source time {iso(clock.now())} x {asked.speed:g}"
    )
    # Without uvicorn's own Date header: a vendor's Date is the source time.
    sender = WebhookSender(simulation)
    if asked.webhooks:
        # A vendor whose connector is not enabled would be told 404 again and again.
        subscribe_all(sender, asked.vendors or settings.enabled_connectors, asked.webhooks)
    config = uvicorn.Config(
        create_app(simulation, asked.vendors, sender), date_header=False, server_header=False, log_level="warning"
    )
    # uvicorn raises the signal that stopped it again once it has stopped; by then all is done.
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, signal.SIG_IGN)
    health.ready()
    uvicorn.Server(config).run(sockets=[listening])


def _world(asked: Serving, settings: Settings) -> tuple[World, Callable[[int], World] | None]:
    """The data that is asked for, else the data that is there, else the generated world, which can go on."""
    if asked.data is not None and asked.generated_world:
        raise UserError("give --data or --world, not both.")
    folder = asked.data or settings.data_dir
    absent = asked.data is None and "VITALS_DATA_DIR" not in os.environ and not folder.is_dir()
    if asked.generated_world or absent:
        generator = generated.Generator(asked.seed, asked.accounts, history_days=asked.history_days, arrivals=True)
        return generator.world(), generator.world
    if (asked.accounts, asked.history_days) != (generated.ACCOUNTS, generated.HISTORY_DAYS):
        raise UserError("--accounts and --history-days are of the generated world: add --world, without --data.")
    return git_usage.load(folder), None


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=128)
    except OSError as error:
        raise UserError(f"cannot listen on {host}:{port}: {error.strerror}.") from error
