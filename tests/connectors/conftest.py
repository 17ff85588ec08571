"""A small generated world, simulators over it in process, and the discovered connectors."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

import pytest

from connectors.catalogue import connector_modules
from connectors.contract import Stream
from connectors.http import Wire
from connectors.simulation import generated
from connectors.simulation.clock import SourceClock
from connectors.simulation.server import create_app
from connectors.simulation.stage import Simulation
from connectors.simulation.world import World
from tests.connectors.simulated import SIMULATOR_URL, InProcess, conformance, set_environment
from vitals.settings import Settings


@pytest.fixture(scope="session")
def world() -> World:
    """Forty accounts and their year, with a few thousand of their feature events and hundreds of their tickets."""
    world = generated.generate(seed=7, accounts=40)
    events, tickets = world.events, world.tickets
    columns = ("row", "event_time", "company", "user", "feature", "lines_changed", "files")
    return replace(
        world,
        events=replace(events, **{name: getattr(events, name)[::30] for name in columns}),
        tickets=replace(
            tickets,
            **{
                name: getattr(tickets, name)[:: max(1, len(tickets.ticket_id) // 900)]
                for name in ("ticket_id", "account", "opened_at", "solved_at", "requester", "priority")
            },
        ),
    )


class Stage:
    """A simulation whose clock stands still until it is moved, and connectors wired to it."""

    def __init__(self, world: World, at: int | None = None) -> None:
        self.simulation = Simulation(
            world, clock=SourceClock(world.history_end if at is None else at, paused=True, wall=lambda: 0.0)
        )
        self.transport = InProcess(create_app(self.simulation))
        self.waits: list[float] = []
        self.sleep: Callable[[float], None] = self.waits.append
        # Time flies: whatever the runner would wait for between two requests has passed.
        self.monotonic: Callable[[], float] = count(0.0, 100_000.0).__next__
        self.settings = Settings(simulator_url=SIMULATOR_URL, vendor_pacing=False)

    def advance_to(self, at: float) -> None:
        """Moves source time."""
        self.simulation.clock.change(advance_to=at)

    def streams(self, connector: str) -> dict[str, Stream]:
        """A connector's streams by name, as a new process would make them."""
        wire = Wire(self.transport, self.sleep, lambda _low, high: high, monotonic=self.monotonic)
        return {stream.name: stream for stream in connector_modules()[connector].create(self.settings, wire)}


@pytest.fixture
def stage_of() -> Iterator[Callable[..., Stage]]:
    """Makes stages, and finishes them after the test."""
    stages: list[Stage] = []

    def make(world: World, at: int | None = None) -> Stage:
        stages.append(Stage(world, at))
        return stages[-1]

    yield make
    for stage in stages:
        stage.transport.finish()


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages so small that a small world takes many."""
    set_environment(monkeypatch)
    for module in conformance().values():
        for name, value in module.small_pages.items():
            monkeypatch.setattr(name, value)
