"""What the simulated vendors share: one world, one clock, the faults ordered, and the credentials they accept."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from connectors.simulation.clock import SourceClock
from connectors.simulation.credentials import Credentials
from connectors.simulation.faults import Faults
from connectors.simulation.injection import Ids, Injection, InjectionLog, inject
from connectors.simulation.tokens import TokenStore
from connectors.simulation.world import World


class Simulation:
    """The stage on which the vendors' simulators play; `state` is where it survives a restart, None in tests."""

    def __init__(
        self,
        world: World,
        *,
        clock: SourceClock | None = None,
        rate_limits: bool = False,
        credentials: Credentials | None = None,
        state: Path | None = None,
        wall: Callable[[], float] = time.monotonic,
    ) -> None:
        self.injections = InjectionLog(state / "injections.jsonl" if state else None)
        for item in self.injections.items:
            world, _ = inject(world, item)
        self.world = world
        self.clock = clock or SourceClock(world.history_end, paused=True, wall=wall)
        self.rate_limits = rate_limits
        self.credentials = credentials or Credentials()
        self.faults = Faults()
        self.wall = wall
        self.state = state
        self.tokens = TokenStore(wall, state / "refresh_tokens.json" if state else None)

    def inject(self, item: Injection) -> tuple[int, Ids]:
        """Put an item into the world at the current source time; answers that time and the vendors' ids."""
        dated = replace(item, at=self.clock.now_seconds(), number=len(self.injections.items))
        self.world, ids = inject(self.world, dated)
        self.injections.append(dated)
        return dated.at, ids
