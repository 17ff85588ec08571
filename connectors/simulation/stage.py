"""What the simulated vendors share: one world, one clock, the faults ordered."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from connectors.simulation.calendar import DAY
from connectors.simulation.clock import SourceClock
from connectors.simulation.faults import Faults
from connectors.simulation.injection import Ids, Injection, InjectionLog, inject
from connectors.simulation.tokens import TokenStore
from connectors.simulation.world import World

# A world that can go on does so before source time comes within this of its end, and then by as much again: what
# connectors read ahead of source time, such as the rest of a day, is there.
_AHEAD_SECONDS = 30 * DAY


class Simulation:
    """The stage on which the vendors' simulators play; `state` is where it survives a restart, None in tests.

    `further(until)` gives the same world made up to a later instant, for worlds that are made as they are needed.
    """

    def __init__(
        self,
        world: World,
        *,
        clock: SourceClock | None = None,
        rate_limits: bool = False,
        state: Path | None = None,
        wall: Callable[[], float] = time.monotonic,
        further: Callable[[int], World] | None = None,
    ) -> None:
        self.injections = InjectionLog(state / "injections.jsonl" if state else None)
        self.clock = clock or SourceClock(world.history_end, paused=True, wall=wall)
        self._further = further
        # What was injected may concern what only happens after the world's first end.
        self._world = self._with_injections(world if further is None else further(self._needed()))
        self.rate_limits = rate_limits
        self.faults = Faults()
        self.wall = wall
        self.state = state
        self.tokens = TokenStore(wall, state / "refresh_tokens.json" if state else None)

    @property
    def world(self) -> World:
        """The world with all that was injected, made far enough for the present source time."""
        if self._further is not None and self.clock.now() + _AHEAD_SECONDS > self._world.known_until:
            self._world = self._with_injections(self._further(self._needed()))
        return self._world

    @world.setter
    def world(self, world: World) -> None:
        self._world = world

    def inject(self, item: Injection) -> tuple[int, Ids]:
        """Put an item into the world at the current source time; answers that time and the vendors' ids."""
        dated = replace(item, at=self.clock.now_seconds(), number=len(self.injections.items))
        self.world, ids = inject(self.world, dated)
        self.injections.append(dated)
        return dated.at, ids

    def _needed(self) -> int:
        return self.clock.now_seconds() + 2 * _AHEAD_SECONDS

    def _with_injections(self, world: World) -> World:
        for item in self.injections.items:
            world, _ = inject(world, item)
        return world
