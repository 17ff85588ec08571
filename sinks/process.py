"""Starts a sink's process."""

from collections.abc import Callable

from sinks.consumption import Consumption
from sinks.dead_letters import DeadLetters
from sinks.destination import Destination
from vitals.avro import AvroSerde, Registry
from vitals.clock import WallClock
from vitals.process import start_process, tune_collector
from vitals.settings import Settings


def run_sink(name: str, make_destination: Callable[[Settings], Destination]) -> None:
    """Runs a sink until a signal ends the process.

    Raises:
        UserError: a setting is wrong.
        FatalError: what no retry mends.
    """
    settings, health, stopping = start_process(f"sink {name}")
    tune_collector()
    destination = make_destination(settings)
    serde = AvroSerde(Registry(settings.registry_url))
    dead_letters = DeadLetters(settings, serde, WallClock(), destination.name)
    Consumption(settings, serde, destination, dead_letters, stopping, health.ready).run()
