"""How a connector keeps below a vendor's request rate: token buckets, and waits where the vendor gives no hint."""

import threading
import time
from collections.abc import Callable


class Pace:
    """At most `requests` requests in any `seconds`, at most `burst` of them at once.

    A bucket of `burst` tokens that refills at `(requests - burst) / seconds` never gives more than `requests` in any
    window of that length: 10 a minute with a burst of 1 is a request every 6.7 seconds. Safe to share between threads.
    """

    def __init__(
        self, requests: int, seconds: float, burst: int = 1, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        if not 0 < burst < requests or seconds <= 0:
            raise ValueError("a pace has 0 < burst < requests and a positive time")
        self._seconds = seconds
        self._rate = (requests - burst) / seconds
        self._burst = burst
        self._tokens = float(burst)
        self._monotonic = monotonic
        self._filled_at = monotonic()
        self._lock = threading.Lock()

    def ready_in(self, requests: int) -> float:
        """Seconds until so many requests, at most a burst of them, would not wait. Counts nothing."""
        with self._lock:
            tokens = min(self._burst, self._tokens + (self._monotonic() - self._filled_at) * self._rate)
            return max(0.0, (min(requests, self._burst) - tokens) / self._rate)

    def take(self, longest_wait: float) -> float:
        """Seconds to wait before the request. The request is counted only where that is at most `longest_wait`."""
        with self._lock:
            now = self._monotonic()
            self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
            self._filled_at = now
            wait = max(0.0, (1.0 - self._tokens) / self._rate)
            if wait <= longest_wait:
                self._tokens -= 1.0
            return wait


class DoublingWait:
    """Seconds to wait after a throttling answer without a hint: `first`, then twice as long each time, up to `last`."""

    def __init__(self, first: float, last: float) -> None:
        self._first, self._last = first, last
        self._wait = first

    def next(self) -> float:
        """The wait that is due now."""
        wait, self._wait = self._wait, min(self._wait * 2, self._last)
        return wait

    def reset(self) -> None:
        """The vendor answered: the next wait is the first again."""
        self._wait = self._first


class JointPace(Pace):
    """Several paces that one request counts against; the scarcest first."""

    def __init__(self, *paces: Pace) -> None:
        self._paces = paces

    def take(self, longest_wait: float) -> float:
        """Seconds to wait for all of them. Where one asks for more than `longest_wait`, the later ones count nothing;
        earlier ones have counted a request that is not sent, which errs on the polite side."""
        longest = 0.0
        for pace in self._paces:
            longest = max(longest, pace.take(longest_wait))
            if longest > longest_wait:
                break
        return longest
