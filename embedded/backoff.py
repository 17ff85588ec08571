"""How long to wait before a part that died is started again, and when to stop trying."""

from dataclasses import dataclass


@dataclass
class RestartBackoff:
    """Doubles the delay with every quick death in a row and gives up after too many; a long life starts afresh.

    All times are seconds. `max_quick_deaths` in a row are tolerated.
    """

    initial_seconds: float = 0.5
    longest_seconds: float = 30.0
    quick_death_seconds: float = 60.0
    max_quick_deaths: int = 6
    quick_deaths: int = 0

    def next_delay(self, lived_seconds: float) -> float | None:
        """Delay before the next start of a part that lived this long, or None to give up."""
        if lived_seconds >= self.quick_death_seconds:
            self.quick_deaths = 0
        self.quick_deaths += 1
        if self.quick_deaths > self.max_quick_deaths:
            return None
        return min(self.initial_seconds * 2.0 ** (self.quick_deaths - 1), self.longest_seconds)
