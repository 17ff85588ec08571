"""Failures in a row of one kind of call, and how long to wait after each."""

import random
import time

import structlog
from prometheus_client import Counter

from connectors.watch import Watch
from vitals.errors import FatalError, RetriableError

log = structlog.get_logger()

FAILURES = Counter("vitals_connector_failures_total", "Fetches or commits that failed.", ["stream", "error"])

FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 60.0
PARKED_SECONDS = 60.0


class Attempts:
    """`watch` tells whoever asks for the stream's condition; what is logged is named by `parked` and `backs_off`."""

    def __init__(
        self,
        stream: str,
        watch: Watch | None = None,
        *,
        parked: str = "stream_parked",
        backs_off: str = "stream_backs_off",
    ) -> None:
        self._stream, self._watch, self._parked, self._backs_off = stream, watch, parked, backs_off
        self._failures = 0
        self._again_at = 0.0

    def succeeded(self) -> None:
        """The next failure is the first again."""
        self._failures = 0

    def failed(self, error: RetriableError | FatalError) -> float:
        """Says and counts it; seconds to wait: the other side's hint, else full jitter below a growing bound."""
        self._failures += 1
        FAILURES.labels(self._stream, type(error).__name__).inc()
        if isinstance(error, FatalError):
            wait = PARKED_SECONDS
            log.error(self._parked, stream=self._stream, error=str(error), again_in_seconds=wait)
            if self._watch is not None:
                self._watch.parked(error, wait)
        else:
            ceiling = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** min(self._failures, 10))
            hint = error.retry_after_seconds
            wait = hint if hint is not None else random.uniform(0, ceiling)  # noqa: S311 - jitter
            log.warning(self._backs_off, stream=self._stream, error=str(error), wait_seconds=round(wait, 2))
            if self._watch is not None:
                self._watch.backs_off(error, wait)
        self._again_at = time.monotonic() + wait
        return wait

    def again_in(self) -> float:
        """Seconds until the wait after the last failure is over."""
        return self._again_at - time.monotonic()
