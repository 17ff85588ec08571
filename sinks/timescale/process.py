"""The process of `vitals sink timescale`."""

from sinks.process import run_sink
from sinks.timescale.store import NAME, TimescaleDestination


def run() -> None:
    """Runs until a signal ends it."""
    run_sink(NAME, lambda settings: TimescaleDestination(settings.postgres_dsn.get_secret_value()))
