"""Sliding windows of requests on the wall clock: a limit holds off real traffic, whatever source time does."""

from collections import deque
from collections.abc import Callable


class RequestWindow:
    """At most `count` requests in any `seconds`."""

    def __init__(self, count: int, seconds: float, wall: Callable[[], float]) -> None:
        self.count = count
        self.seconds = seconds
        self._wall = wall
        self._taken: deque[float] = deque()

    def take(self) -> float:
        """0.0 when the request is allowed, and counted; otherwise the seconds until one would be."""
        self._forget()
        if len(self._taken) >= self.count:
            return max(self._taken[0] + self.seconds - self._wall(), 0.001)
        self._taken.append(self._wall())
        return 0.0

    @property
    def used(self) -> int:
        """Requests counted in the window that ends now."""
        self._forget()
        return len(self._taken)

    @property
    def resets_in(self) -> float:
        """Seconds until the oldest counted request leaves the window."""
        self._forget()
        return self._taken[0] + self.seconds - self._wall() if self._taken else self.seconds

    def _forget(self) -> None:
        oldest = self._wall() - self.seconds
        while self._taken and self._taken[0] <= oldest:
            self._taken.popleft()
