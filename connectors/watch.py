"""What a stream's runner asks and tells while it works: whether it may fetch, and what it is doing."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from connectors.conditions import (
    BACKING_OFF,
    CATCHING_UP,
    FIRST_LOAD,
    FOLLOWING,
    PARKED,
    PAUSED,
    STARTING,
    Condition,
    Estimate,
)
from connectors.contract import LoadProgress, Page, State, Stream
from connectors.orders import Orders
from vitals.clock import Clock
from vitals.errors import VitalsError

log = structlog.get_logger()

PROGRESS_EVERY = timedelta(seconds=5)


class Watch:
    """One stream's condition, told to `tell`; by default nobody listens and nothing is paused."""

    def __init__(
        self,
        stream: Stream,
        clock: Clock,
        tell: Callable[[Condition], None] | None = None,
        orders: Orders | None = None,
    ) -> None:
        self._stream, self._clock = stream, clock
        self._tell, self._orders = tell, orders
        self._estimate = Estimate()
        self._progress: LoadProgress | None = None
        self._asked_at: datetime | None = None

    def starting(self) -> None:
        """The runner opens its writer."""
        self._say(STARTING)

    def paused(self) -> bool:
        """Whether the stream is paused by order; if so, that is its condition."""
        paused = self._orders is not None and self._orders.paused(self._stream.name)
        if paused:
            self._say(PAUSED, reason="by order: `vitals connectors resume` ends it")
        return paused

    def repairs_end(self) -> int:
        """The offset behind the last repair that was sent to the stream."""
        return 0 if self._orders is None else self._orders.repairs_end(self._stream.name)

    def backs_off(self, error: Exception, seconds: float) -> None:
        """A passing fault; the runner goes on after so many seconds."""
        self._say(BACKING_OFF, reason=str(error), until=self._clock.now() + timedelta(seconds=seconds))

    def parked(self, error: Exception, seconds: float) -> None:
        """A fault that only a person ends; the runner tries again after so many seconds."""
        self._say(PARKED, reason=str(error), until=self._clock.now() + timedelta(seconds=seconds))

    def committed(self, page: Page, state: State, complete_through: datetime | None) -> bool:
        """A page is durable. Whether the runner is to end with it."""
        if complete_through is None:
            now = self._clock.now()
            if self._tell is not None and (self._asked_at is None or now - self._asked_at >= PROGRESS_EVERY):
                self._asked_at = now
                self._progress = self._asked(state)
            self._load(self._progress, now)
        else:
            self._say(CATCHING_UP if page.more else FOLLOWING)
        return False

    def _asked(self, state: State) -> LoadProgress | None:
        try:
            return self._stream.progress(state)
        except VitalsError as error:
            log.info("progress_unknown", stream=self._stream.name, error=str(error))
            return None

    def _load(self, progress: LoadProgress | None, now: datetime) -> None:
        if progress is None:
            self._say(FIRST_LOAD)
            return
        remaining = self._estimate.remaining(progress, now)
        self._say(FIRST_LOAD, done=progress.done, total=progress.total, unit=progress.unit, remaining_seconds=remaining)

    def _say(
        self,
        condition: str,
        *,
        reason: str | None = None,
        until: datetime | None = None,
        done: float | None = None,
        total: float | None = None,
        unit: str | None = None,
        remaining_seconds: float | None = None,
    ) -> None:
        if self._tell is None:
            return
        self._tell(
            Condition(
                self._stream.source, self._stream.name, condition, self._clock.now(), reason, until, done, total, unit,
                remaining_seconds,
            )
        )  # fmt: skip


class ForegroundWatch(Watch):
    """Ends its runner when the stream has caught up, after one page with `once`, or at a fault that will not pass."""

    def __init__(
        self,
        stream: Stream,
        clock: Clock,
        tell: Callable[[Condition], None],
        stopping: threading.Event,
        *,
        once: bool = False,
    ) -> None:
        super().__init__(stream, clock, tell)
        self._stopping, self._once = stopping, once
        self.pages = self.objects = 0
        self.error: Exception | None = None

    def parked(self, error: Exception, seconds: float) -> None:
        """Nobody waits in the foreground for what only a person can end."""
        super().parked(error, seconds)
        self.error = error
        self._stopping.set()

    def committed(self, page: Page, state: State, complete_through: datetime | None) -> bool:
        """Whether this was the last page."""
        self.pages += 1
        self.objects += len(page.objects)
        super().committed(page, state, complete_through)
        return self._once or not page.more
