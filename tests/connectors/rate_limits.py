"""Connectors against the limits of their simulators, on a clock of their own: hours pass in milliseconds."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from connectors.catalogue import connector_modules
from connectors.http import Wire
from connectors.simulation.limits import RequestWindow
from connectors.simulation.server import create_app
from connectors.simulation.stage import Simulation
from connectors.simulation.world import World
from tests.connectors.simulated import SIMULATOR_URL, Followed, InProcess, ManualSeconds, most_in_window
from vitals.errors import RetriableError
from vitals.settings import Settings

WORTH = 1.3
"""Total time over the ideal, at most."""


@dataclass(frozen=True)
class Paced:
    """How a vendor's limit is made to bind: small pages, and its counts times `scale` where they take too many."""

    pages: dict[str, int]
    environment: dict[str, str] = field(default_factory=dict)
    scale: float = 1.0


VENDORS = {
    "salesforce": Paced(
        {"connectors.salesforce.stream.PAGE_OBJECTS": 5},
        # All of the organisation's day is this connector's, but for the share that is left to others.
        {"VITALS_SALESFORCE_REQUESTS_PER_DAY": "300", "VITALS_SALESFORCE_CASES": "true"},
        scale=0.003,
    ),
    "hubspot": Paced(
        {
            "connectors.hubspot.client.LIST_OBJECTS": 1,
            "connectors.hubspot.client.SEARCH_OBJECTS": 5,
            "connectors.hubspot.client.BATCH_OBJECTS": 1,
        }
    ),
    "zendesk": Paced({"connectors.zendesk.client.PAGE_OBJECTS": 10}),
    # The plan of 1,000 requests a minute.
    "intercom": Paced({"connectors.intercom.client.PER_PAGE": 3}, scale=0.1),
    "mixpanel": Paced({}, {"VITALS_MIXPANEL_WINDOW_DAYS": "1", "VITALS_MIXPANEL_START_DATE": "2025-11-01"}),
    "stripe": Paced({"connectors.stripe.client.PER_REQUEST": 1}),
}
"""Amplitude documents no limit of exports, and its simulator has none."""


@dataclass
class Window:
    """What one of the simulator's windows saw: the times of requests that it granted and that it refused."""

    count: int
    seconds: float
    granted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    def most_after_first_refusal(self) -> int:
        """The most requests in any window, granted or not, that came after the first refusal."""
        first = min(self.refused, default=float("-inf"))
        return most_in_window([at for at in (*self.granted, *self.refused) if at > first], self.seconds)

    def ideal_seconds(self) -> float:
        """The time that the limit takes for as many requests as were granted; none where one window holds them all."""
        fills = len(self.granted) / self.count
        return fills * self.seconds if fills > 1.0 else 0.0


@dataclass
class Course:
    """How it went: `seconds` in all, of the clock that connector and simulator share."""

    windows: list[Window]
    seconds: float

    def worth(self) -> float:
        """Seconds over those of the limit that binds."""
        return self.seconds / max(window.ideal_seconds() for window in self.windows)

    def fills(self) -> float:
        """How many windows of the limit that binds were filled."""
        return max((len(window.granted) / window.count for window in self.windows), default=0.0)

    def figure(self) -> str:
        """For the report."""
        binding = max(self.windows, key=Window.ideal_seconds)
        return (
            f"{len(binding.granted):,} requests under {binding.count:,} in {binding.seconds:g} s took "
            f"{self.seconds:,.0f} s, {self.worth():.2f} of the ideal; "
            f"{sum(len(one.refused) for one in self.windows)} refused"
        )


def run(world: World, vendor: str, *, scale: float = 1.0, fills: float = 10.0, polls: bool = False) -> Course:
    """First loads of a connector, one after the other, until the binding limit's window has been filled so often.

    `scale` is what the simulator allows of what is documented. With `polls`, polls after the first load instead.
    """
    clock = ManualSeconds()
    with pytest.MonkeyPatch.context() as patch, _watched(patch, clock, VENDORS[vendor].scale * scale) as windows:
        for name, value in VENDORS[vendor].pages.items():
            patch.setattr(name, value)
        for name, text in VENDORS[vendor].environment.items():
            patch.setenv(name, text)
        simulation = Simulation(world, rate_limits=True, wall=clock)
        transport = InProcess(create_app(simulation, [vendor]))
        wire = Wire(transport, clock.sleep, lambda _low, high: high, monotonic=clock)
        streams = connector_modules()[vendor].create(Settings(simulator_url=SIMULATOR_URL, vendor_pacing=True), wire)
        walks, began = [Followed(stream) for stream in streams], 0.0
        if polls:
            _walk(walks, clock)
            began = clock()
            for window in windows:
                window.granted.clear()
                window.refused.clear()
        while (course := Course(windows, clock() - began)).fills() < fills:
            _walk(walks if polls else [Followed(stream) for stream in streams], clock)
        transport.finish()
        return course


def _walk(walks: list[Followed], clock: ManualSeconds) -> None:
    """Pages until no stream has more; they take turns, and one that must wait lets the others go on."""
    due = dict.fromkeys(range(len(walks)), clock())
    while due:
        number = min(due, key=lambda one: (due[one], one))
        clock.sleep(max(0.0, due[number] - clock()))
        try:
            if walks[number].page():
                due[number] = clock()
            else:
                del due[number]
        except RetriableError as error:
            due[number] = clock() + (error.retry_after_seconds or 0.0)


@contextmanager
def _watched(patch: pytest.MonkeyPatch, clock: ManualSeconds, scale: float) -> Iterator[list[Window]]:
    """Every window that a simulator opens within, with its count scaled, and what it saw."""
    windows: list[Window] = []
    seen: dict[int, Window] = {}
    begin, take = RequestWindow.__init__, RequestWindow.take

    def watched_begin(self: RequestWindow, count: int, seconds: float, wall: object) -> None:
        begin(self, max(1, int(count * scale)), seconds, wall)  # type: ignore[arg-type]
        windows.append(Window(self.count, seconds))
        seen[id(self)] = windows[-1]

    def watched_take(self: RequestWindow) -> float:
        wait = take(self)
        (seen[id(self)].refused if wait else seen[id(self)].granted).append(clock())
        return wait

    patch.setattr(RequestWindow, "__init__", watched_begin)
    patch.setattr(RequestWindow, "take", watched_take)
    yield windows
