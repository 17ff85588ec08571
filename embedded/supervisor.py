"""Runs parts in the order of their dependencies, restarts those that die, and stops them in reverse order."""

import time
from collections.abc import Callable, Iterable, Sequence

from embedded.part_run import PartRun
from embedded.parts import Part

STARTING_TICK_SECONDS = 0.03
STEADY_TICK_SECONDS = 0.2


class Supervisor:
    """Parts under supervision, all driven from the calling thread.

    restart: whether parts that die are started again. on_change is told of every part that changes its state.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        *,
        restart: bool = True,
        on_change: Callable[[PartRun], None] = lambda _run: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        names = {part.name for part in parts}
        for part in parts:
            unknown = set(part.depends_on) - names
            if unknown:
                raise ValueError(f"{part.name} depends on {sorted(unknown)}, which are not supervised")
        self.runs = {part.name: PartRun(part, restart=restart, on_change=on_change, clock=clock) for part in parts}
        self._clock = clock
        self._sleep = sleep

    def tick(self) -> None:
        """Starts what may start now and moves every part on."""
        for run in self.runs.values():
            if run.state == "waiting":
                needed = [self.runs[name] for name in run.part.depends_on]
                if all(other.settled for other in needed):
                    run.start()
                elif any(other.state == "failed" for other in needed):
                    run.give_up("a part that it needs failed")
            run.tick()

    @property
    def settled(self) -> bool:
        """Whether every part is ready or done."""
        return all(run.settled for run in self.runs.values())

    @property
    def decided(self) -> bool:
        """Whether every part is ready, done or was given up: no more is to be expected for now."""
        return all(run.settled or run.state == "failed" for run in self.runs.values())

    @property
    def failed(self) -> list[PartRun]:
        """Parts that were given up."""
        return [run for run in self.runs.values() if run.state == "failed"]

    def start(self, timeout_seconds: float = 120.0, *, give_up: Callable[[], bool] = lambda: False) -> bool:
        """Ticks until every part is ready; False when one failed, time is up or `give_up` says so."""
        deadline = self._clock() + timeout_seconds
        while True:
            self.tick()
            if self.settled:
                return True
            if self.failed or give_up() or self._clock() >= deadline:
                return False
            self._sleep(STARTING_TICK_SECONDS)

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Keeps the parts running until `should_stop`."""
        while not should_stop():
            self.tick()
            self._sleep(STEADY_TICK_SECONDS if self.settled else STARTING_TICK_SECONDS)

    def stop(self, names: Iterable[str] | None = None) -> None:
        """Stops the named parts, or all: each one after those that depend on it. Returns when all have ended."""
        wanted = set(self.runs if names is None else names)
        while True:
            pending = [
                run for name, run in self.runs.items() if name in wanted and run.state not in ("stopped", "done")
            ]
            if not pending:
                return
            for run in pending:
                if run.state == "stopping":
                    run.tick()
                    run.enforce_stop()
                elif not any(run.part.name in other.part.depends_on for other in pending):
                    run.request_stop()
            self._sleep(STARTING_TICK_SECONDS)

    def kill(self, name: str) -> None:
        """Kills a part at once (SIGKILL), as a fault would; it stays down until it is started or restarted."""
        self.runs[name].kill()
        self.stop([name])

    def start_again(self, name: str) -> bool:
        """Starts a part that is down and waits until it is ready; False when it failed or time is up."""
        run = self.runs[name]
        if run.pid is None:
            run.start()
        deadline = self._clock() + run.part.ready_timeout_seconds
        while not run.settled and run.state != "failed" and self._clock() < deadline:
            run.tick()
            self._sleep(STARTING_TICK_SECONDS)
        return run.settled
