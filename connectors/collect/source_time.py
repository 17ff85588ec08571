"""The deployment's source time: the wall clock, or the clock of the simulator that owns it."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import structlog

from connectors.fields import iso_instant
from vitals.clock import Clock, WallClock
from vitals.errors import BadRecordError, RetriableError

log = structlog.get_logger()

REFRESH_SECONDS = 1.0
LONGEST_SILENCE_SECONDS = 3.0
"""How long the simulator's clock is extrapolated without an answer. After that source time stands still: an outage
must not let a promise run ahead of what the source will tell later."""


class SourceTime:
    """Now, by the source's clock. It never goes back, not even over a restart (`not_before`). Safe to share."""

    def __init__(
        self, url: str = "", wall: Clock | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._wall = wall or WallClock()
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._latest: datetime | None = None
        self._observed: tuple[datetime, float, float] | None = None

    @property
    def simulated(self) -> bool:
        """Whether a simulator owns source time, which then has nothing to do with the clients' clocks."""
        return bool(self._url)

    @property
    def known(self) -> bool:
        """Whether `now` has an answer."""
        return not self.simulated or self._observed is not None

    @property
    def slack(self) -> timedelta:
        """A second of wall time, in source time."""
        speed = self._observed[1] if self._observed is not None else 1.0
        return timedelta(seconds=max(1.0, speed))

    def now(self) -> datetime:
        """The current source time, aware, in UTC.

        Raises:
            RetriableError: the simulator has not told its time yet.
        """
        with self._lock:
            current = self._current()
            self._latest = current if self._latest is None else max(self._latest, current)
            return self._latest

    def not_before(self, moment: datetime) -> None:
        """From here on `now` is at least this: what was promised in an earlier life stays true."""
        with self._lock:
            self._latest = moment if self._latest is None else max(self._latest, moment)

    def observe(self, source_time: datetime, speed: float) -> None:
        """Takes the simulator's answer. `speed` is in source seconds a wall second, 0 while it is paused."""
        with self._lock:
            self._observed = (source_time, speed, self._monotonic())

    def refresh(self, client: httpx.Client) -> None:
        """Asks the simulator once.

        Raises:
            RetriableError: it does not answer, or not with a clock.
        """
        try:
            answer = client.get(self._url)
            answer.raise_for_status()
            told = answer.json()
            speed = 0.0 if told.get("paused") else float(told["speed"])
            self.observe(iso_instant(told["source_time"], "source_time"), speed)
        except (httpx.HTTPError, ValueError, TypeError, KeyError, AttributeError, BadRecordError) as error:
            raise RetriableError(f"The source clock at {self._url} does not tell its time: {error}") from error

    def follow(self, stopping: threading.Event) -> None:
        """Asks the simulator every second until stopping (run it in a thread of its own). Nothing to do without one."""
        if not self.simulated:
            return
        silent = False
        with httpx.Client(timeout=2.0) as client:
            while not stopping.is_set():
                try:
                    self.refresh(client)
                    silent = False
                except RetriableError as error:
                    if not silent:
                        log.warning("source_clock_silent", error=str(error))
                    silent = True
                stopping.wait(REFRESH_SECONDS)

    def _current(self) -> datetime:
        if not self.simulated:
            return self._wall.now().astimezone(UTC)
        if self._observed is None:
            raise RetriableError(f"The source clock at {self._url} has not told its time yet.")
        source_time, speed, observed_at = self._observed
        elapsed = min(self._monotonic() - observed_at, LONGEST_SILENCE_SECONDS)
        return source_time + timedelta(seconds=elapsed * speed)
