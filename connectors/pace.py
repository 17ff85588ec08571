"""How a connector keeps to a vendor's request rate: it counts, waits after a refusal, and learns. Time is given to it.

A request is counted from when it is sent until a window's length after its answer began. The vendor counted it
somewhere between the two, so whatever the network does, no window of the vendor's holds more requests than were
allowed here.
"""

import math
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge

_SLOTS = 1_000
_ROUNDING_SECONDS = 1e-6
# A lower limit that a refusal proved holds for long; one that was only guessed is given up soon.
_PROVEN_SECONDS, _PROVEN_WINDOWS = 86_400.0, 30
_GUESSED_SECONDS, _GUESSED_WINDOWS = 60.0, 2
_LONGEST_QUIET_SECONDS = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Announced:
    """What an answer's headers say of one limit.

    `limit` is the name of the pace, `requests` what the vendor allows in its window, `used` how much of that all of its
    clients have used.
    """

    limit: str
    requests: int
    used: int | None = None


class Pace:
    """One limit of a vendor: at most `requests` in any `seconds`, `burst` of them at once, the rest evenly.

    Where the vendor announces its limit, the pace is the smaller of `most` and `share` of that. Where it refuses a
    request before the limit is reached, and announces nothing, the pace becomes what the window had granted, but at
    least half of what it was, because others may have used the rest. After a quiet time it doubles again, up to where
    it began: that costs one refused request if the limit is still the lower one, and the next quiet time is twice as
    long.

    `requests` is None where no limit is known or kept to: then refusals hold requests back, and nothing else.
    `waits` are the seconds to hold after a refusal without a hint: the first, doubled each time up to the second.
    `look_again` is how long nothing is sent once others have used up the share; one request looks, then.

    `now` is a monotonic time in seconds, the same clock in each call. Safe to share between threads.
    """

    def __init__(
        self,
        name: str,
        requests: int | None,
        seconds: float,
        *,
        burst: int = 1,
        share: float = 1.0,
        most: int | None = None,
        waits: tuple[float, float] | None = None,
        look_again: float | None = None,
    ) -> None:
        if (requests is not None and not 0 < burst <= requests) or seconds <= 0 or not 0 < share <= 1:
            raise ValueError("a pace has 0 < burst <= requests, a positive time and a share up to 1")
        self.name = name
        self._seconds = seconds
        self._share, self._most = share, most
        self._waits, self._next_wait = waits, waits[0] if waits else 0.0
        self._look_again = look_again
        self._counted = requests is not None
        self._limit = self._ceiling = requests or 0
        self._burst_share = burst / requests if requests else 1.0
        self._tokens, self._filled_at = float(burst), -math.inf
        self._under_way = 0
        self._granted, self._refused = _Log(seconds), _Log(seconds)
        self._held_until = -math.inf
        self._looking = False
        self._announced: int | None = None
        self._quiet, self._raise_at, self._raised_at = 0.0, math.inf, -math.inf
        self._lock = threading.Lock()

    @property
    def requests(self) -> int | None:
        """Requests in a window that are allowed now; None without a limit."""
        return self._limit if self._counted else None

    def ready_in(self, requests: int, now: float) -> float:
        """Seconds until so many requests, at most a burst of them, would not wait. Counts nothing."""
        with self._lock:
            return self._ready_in(requests, now)

    def take(self, now: float) -> float:
        """0.0 where a request may be sent now, and then it is counted; else seconds after which to ask again."""
        with self._lock:
            self._recover(now)
            wait = self._ready_in(1, now)
            if wait:
                return wait
            if self._looking and self._look_again is not None:
                # This one looks; the others wait for what it sees.
                self._held_until = now + self._look_again
            self._fill(now)
            self._tokens -= 1.0
            self._under_way += 1
            return 0.0

    def withdraw(self) -> None:
        """The request that was counted last is not sent after all."""
        with self._lock:
            self._under_way -= 1
            self._tokens += 1.0

    def granted(self, now: float) -> None:
        """A request was answered, or nobody knows what became of it."""
        with self._lock:
            self._under_way -= 1
            self._granted.add(now)
            if self._waits:
                self._next_wait = self._waits[0]

    def passed_over(self, now: float) -> None:
        """A request that counts here was refused by another limit."""
        with self._lock:
            self._under_way -= 1
            self._refused.add(now)

    def refused(self, now: float, hint: float | None) -> float | None:
        """This limit refused a request: nothing is sent for `hint` seconds, or until the window has room.

        Seconds to wait; None where neither the vendor nor the pace knows any.
        """
        with self._lock:
            self._under_way -= 1
            if now >= self._held_until:
                self._learn(now)
            self._refused.add(now)
            if hint is None and self._waits:
                hint, self._next_wait = self._next_wait, min(self._next_wait * 2, self._waits[1])
            if hint is not None:
                self._held_until = max(self._held_until, now + hint)
            return self._ready_in(1, now) or hint

    def heed(self, announced: Announced, now: float) -> None:
        """Takes over what the vendor says of this limit."""
        with self._lock:
            if self._counted and announced.requests != self._announced:
                self._announced = announced.requests
                ceiling = max(1, int(announced.requests * self._share))
                self._ceiling = ceiling if self._most is None else min(ceiling, self._most)
                self._set(self._ceiling, now)
                self._raise_at = math.inf
            if announced.used is None or self._look_again is None:
                return
            if announced.used > self._share * announced.requests:
                self._looking, self._held_until = True, now + self._look_again
            elif self._looking:
                self._looking, self._held_until = False, -math.inf

    def _ready_in(self, requests: int, now: float) -> float:
        wait = max(0.0, self._held_until - now)
        if self._counted:
            self._fill(now)
            requests = min(requests, self._burst)
            room = self._limit - self._under_way - requests
            wait = max(wait, (requests - self._tokens) * self._seconds / self._limit, self._room_in(room, now))
        # A wait that vanished in the rounding of `now` would be asked for again without end.
        return math.ceil(wait / _ROUNDING_SECONDS) * _ROUNDING_SECONDS

    def _room_in(self, room: int, now: float) -> float:
        """Seconds until at most `room` answered requests are in the window."""
        if room < 0:
            return self._seconds
        wait, over = 0.0, self._granted.count(now) + self._refused.count(now) - room
        if over > 0:
            for at, count in merge(self._granted.leaving(), self._refused.leaving()):
                wait, over = at - now, over - count
                if over <= 0:
                    break
        return wait

    @property
    def _burst(self) -> int:
        return max(1, int(self._limit * self._burst_share))

    def _fill(self, now: float) -> None:
        if self._counted:
            filled = max(0.0, now - self._filled_at) * self._limit / self._seconds
            self._tokens = min(float(self._burst), self._tokens + filled)
        self._filled_at = now

    def _set(self, limit: int, now: float) -> None:
        self._fill(now)
        self._limit = limit
        self._tokens = min(self._tokens, float(self._burst))

    def _learn(self, now: float) -> None:
        """Lowers the limit; not where the vendor announces it: then others have used the rest."""
        if not self._counted or self._announced is not None:
            return
        granted, half = self._granted.count(now), self._limit // 2
        proven = granted >= half
        limit = min(self._limit, max(1, granted, half))
        seconds, windows = (_PROVEN_SECONDS, _PROVEN_WINDOWS) if proven else (_GUESSED_SECONDS, _GUESSED_WINDOWS)
        # Too early: the limit was raised not long ago.
        again = self._quiet * 2 if now < self._raised_at + self._quiet else 0.0
        self._quiet = max(seconds, windows * self._seconds, min(again, _LONGEST_QUIET_SECONDS))
        self._raise_at = now + self._quiet
        self._set(limit, now)

    def _recover(self, now: float) -> None:
        if now < self._raise_at:
            return
        self._set(min(self._limit * 2, self._ceiling), now)
        self._raised_at = now
        self._raise_at = now + self._quiet if self._limit < self._ceiling else math.inf


class _Log:
    """Answers of the last window, in about a thousand slots; one leaves when its last answer is a window old."""

    def __init__(self, seconds: float) -> None:
        # Longer by what rounding may take away.
        self._seconds = seconds + _ROUNDING_SECONDS
        self._slots: deque[list[float]] = deque()
        self._total = 0

    def add(self, now: float) -> None:
        """An answer that began now."""
        self._total += 1
        if self._slots and now - self._slots[-1][0] < self._seconds / _SLOTS:
            self._slots[-1][1] = now
            self._slots[-1][2] += 1
        else:
            self._slots.append([now, now, 1])

    def count(self, now: float) -> int:
        """Answers of the window that ends now."""
        while self._slots and self._slots[0][1] + self._seconds <= now:
            self._total -= int(self._slots.popleft()[2])
        return self._total

    def leaving(self) -> Iterator[tuple[float, int]]:
        """When how many answers leave the window, the first first."""
        return ((last + self._seconds, int(count)) for _, last, count in self._slots)
