"""How often a password may be tried, by e-mail and address."""

import math
from collections import OrderedDict
from datetime import datetime, timedelta

from vitals.clock import Clock

LONGEST_MEMORY = 50_000


class AttemptLimit:
    """At most `limit` failed attempts within `window` for one key; a success forgets them.

    Kept in the process: with n API processes an attacker has n times the attempts, still a handful. Bounded: of more
    keys than fit, the oldest is forgotten.
    """

    def __init__(self, clock: Clock, limit: int = 5, window: timedelta = timedelta(minutes=5)) -> None:
        self._clock = clock
        self._limit = limit
        self._window = window
        self._attempts: OrderedDict[tuple[str, str], list[datetime]] = OrderedDict()

    def begin(self, email: str, address: str) -> int:
        """Counts an attempt before it is checked, so that parallel ones count too. Seconds to wait, 0 if allowed."""
        key, now = (email, address), self._clock.now()
        recent = [attempt for attempt in self._attempts.get(key, []) if now - attempt < self._window]
        if len(recent) >= self._limit:
            self._attempts[key] = recent
            return math.ceil((recent[0] + self._window - now).total_seconds())
        self._attempts[key] = [*recent, now]
        self._attempts.move_to_end(key)
        while len(self._attempts) > LONGEST_MEMORY:
            self._attempts.popitem(last=False)
        return 0

    def succeeded(self, email: str, address: str) -> None:
        """Forgets the attempts of a key."""
        self._attempts.pop((email, address), None)
