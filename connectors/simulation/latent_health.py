"""Latent health by account and day: walks around a usual level, and declines that have a cause and an end."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from connectors.simulation import causes
from connectors.simulation.causes import SIGNALS
from connectors.simulation.population import BLOCK_DAYS, Floats, Population
from connectors.simulation.world import Ints

FAR = 2**40
"""A day that never comes."""

# A day's chance, of an account that is well, to begin each of these.
_DECLINES, _DIPS, _TURNOVERS = 0.62 / 365, 1.6 / 365, 0.12 / 365
_POOR_ONBOARDING = 0.16
_RECOVERS_BY_ITSELF = 0.4
# How far a decline of full depth lowers the logit of health, and how long health takes beyond the signals' own ramp.
_FALL, _LATER_DAYS = 3.2, 20


@dataclass(slots=True)
class Decline:
    """An episode in days; see `connectors.simulation.world.Episode`."""

    start: int
    cause: str
    depth: float
    end: int | None = None
    outcome: str = "ongoing"


@dataclass(slots=True, eq=False)
class Block:
    """What a block's days are like, by [account, day]: signals by name as in `causes.SIGNALS`, all finite.

    `users` and `breadth` are shares; `depth`, `tickets`, `resolution` and `contact` factors around 1; `payments` and
    `sentiment` logits. `well` is what health would be without the decline. `size` is how many people could work, `gone`
    how many of the first of the roster have left.
    """

    first_day: int
    alive: npt.NDArray[np.bool_]
    health: Floats
    well: Floats
    size: Floats
    gone: Ints
    signals: dict[str, Floats]


@dataclass(slots=True, eq=False)
class LatentHealth:
    """The state of every account on a day, advanced a day at a time.

    `declines` holds each account's episodes, the oldest first; `departures` the days on which its champion left.
    """

    people: Population
    walk: Floats = field(default_factory=lambda: np.zeros(0))
    own: Floats = field(default_factory=lambda: np.zeros((0, len(SIGNALS))))
    smooth: Floats = field(default_factory=lambda: np.zeros(0))
    cause: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    started: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    depth: Floats = field(default_factory=lambda: np.zeros(0))
    ramp: Floats = field(default_factory=lambda: np.zeros(0))
    recovers: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    recovery_days: Floats = field(default_factory=lambda: np.zeros(0))
    dip_until: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    dip: Floats = field(default_factory=lambda: np.zeros(0))
    size: Floats = field(default_factory=lambda: np.zeros(0))
    gone: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    churn_day: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    # Whether nothing may begin: growth is under way, or notice is given.
    busy: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    declines: list[list[Decline]] = field(default_factory=list)
    departures: list[list[int]] = field(default_factory=list)

    def welcome(self) -> None:
        """Takes in the accounts that `people` has gained."""
        more = len(self.people) - len(self.walk)

        def grown(column: npt.NDArray[np.generic], value: float) -> npt.NDArray[np.generic]:
            return np.concatenate([column, np.full((more, *column.shape[1:]), value, dtype=column.dtype)])

        for name, value in (
            ("walk", 0),
            ("own", 0),
            ("smooth", 0.75),
            ("cause", -1),
            ("started", 0),
            ("depth", 0),
            ("ramp", 1),
            ("recovers", FAR),
            ("recovery_days", 1),
            ("dip_until", -1),
            ("dip", 1),
            ("gone", 0),
            ("churn_day", FAR),
            ("busy", 0),
        ):
            setattr(self, name, grown(getattr(self, name), value))
        self.size = np.concatenate([self.size, self.people.users[len(self.size) :]])
        self.declines += [[] for _ in range(more)]
        self.departures += [[] for _ in range(more)]

    def block(self, first_day: int) -> Block:
        """An empty block for the accounts that are there."""
        shape = (len(self.people), BLOCK_DAYS)
        return Block(
            first_day=first_day,
            alive=np.zeros(shape, dtype=bool),
            health=np.zeros(shape),
            well=np.zeros(shape),
            size=np.zeros(shape),
            gone=np.zeros(shape, dtype=np.int64),
            signals={name: np.zeros(shape) for name in SIGNALS},
        )

    def alive(self, day: int) -> npt.NDArray[np.bool_]:
        """Which accounts have begun and not yet left."""
        return (day >= self.people.first_day) & (day < self.churn_day)

    def live(self, day: int, rng: np.random.Generator, block: Block, shock: float) -> None:
        """A day passes: it is written into the block. `shock` is how much of the last outage is still felt (0 to 1)."""
        count, column = len(self.people), day - block.first_day
        noise, chance = rng.standard_normal((count, 1 + len(SIGNALS))), rng.random((count, 4))
        self.walk = 0.95 * self.walk + 0.12 * noise[:, 0]
        self.own = 0.93 * self.own + 0.1 * noise[:, 1:]
        alive = self.alive(day)
        self._begin(day, alive, chance, rng)

        ill = self.cause >= 0
        since = (day - self.started).astype(np.float64)
        recovered = np.clip((day - self.recovers) / self.recovery_days, 0.0, 1.0)
        weight = np.where(ill, self.depth * (1 - recovered), 0.0)
        risen = np.clip((since[:, None] - causes.LAGS[self.cause]) / self.ramp[:, None], 0.0, 1.0)
        moved = self.own + risen * weight[:, None] * causes.STRENGTHS[self.cause]
        fallen = np.clip(since / (self.ramp + _LATER_DAYS), 0.0, 1.0) * weight
        level = self.people.usual + self.walk
        health = _share(level - _FALL * fallen - 0.3 * shock)
        self.smooth = 0.94 * self.smooth + 0.06 * health

        age = np.maximum(day - self.people.first_day, 0)
        there = 1 - np.exp(-(age + 2) / self.people.ramp_days)
        quiet = np.where(self.people.silent, 0.12, 1.0)
        signal = dict(zip(SIGNALS, moved.T, strict=True))
        written = {
            "users": _share(0.2 + 0.8 * level + signal["users"]) * there * np.where(day < self.dip_until, self.dip, 1),
            "breadth": _share(level - 0.2 + signal["breadth"]) * (0.4 + 0.6 * there),
            "depth": np.exp(signal["depth"]) * quiet,
            "tickets": np.exp(signal["tickets"]) * quiet * (1 + 0.8 * (1 - there)) * (1 + shock),
            "resolution": np.exp(signal["resolution"]),
            "payments": signal["payments"],
            "contact": np.exp(signal["contact"]) * quiet,
            "sentiment": 0.9 * level + signal["sentiment"] - shock,
        }
        for name, values in written.items():
            block.signals[name][:, column] = values
        block.alive[:, column] = alive
        block.health[:, column] = health
        block.well[:, column] = _share(level)
        block.size[:, column] = self.size
        block.gone[:, column] = self.gone
        for account in np.flatnonzero(ill & (recovered >= 1)).tolist():
            self._end(account, day)

    def decline(self, account: int, day: int, cause: int, depth: float, rng: np.random.Generator) -> None:
        """An episode begins."""
        shortest, longest = causes.CAUSES[causes.NAMES[cause]].ramp_days
        self.cause[account], self.started[account], self.depth[account] = cause, day, depth
        self.ramp[account] = rng.uniform(shortest, longest)
        self.recovery_days[account] = rng.integers(20, 50)
        by_itself = rng.random() < _RECOVERS_BY_ITSELF
        self.recovers[account] = day + int(self.ramp[account]) + int(rng.integers(15, 60)) if by_itself else FAR
        self.declines[account].append(Decline(day, causes.NAMES[cause], depth))
        if causes.NAMES[cause] == "champion_left":
            self._leave(account, day)

    def recover(self, account: int, day: int, outcome: str) -> None:
        """The episode under way begins to end on a day, if it does not sooner."""
        self.recovers[account] = min(int(self.recovers[account]), day)
        self.declines[account][-1].outcome = outcome

    def churn(self, account: int, day: int) -> None:
        """The account will be gone on a day; nothing saves it."""
        self.churn_day[account], self.busy[account], self.recovers[account] = day, True, FAR
        self.declines[account][-1].outcome, self.declines[account][-1].end = "churned", day

    def _begin(
        self, day: int, alive: npt.NDArray[np.bool_], chance: npt.NDArray[np.float64], rng: np.random.Generator
    ) -> None:
        age = day - self.people.first_day
        well = alive & (self.cause < 0) & ~self.busy
        new = self.people.ramp_days > 1
        onboarding = well & new & (age == 8) & (chance[:, 0] < _POOR_ONBOARDING)
        for account in np.flatnonzero(onboarding).tolist():
            poor = causes.NAMES.index(causes.POOR_ONBOARDING)
            self.decline(account, day, poor, float(rng.uniform(0.5, 1.0)), rng)
        for account in np.flatnonzero(well & (age > 45) & (chance[:, 0] < _DECLINES)).tolist():
            self.decline(account, day, causes.drawn(float(rng.random())), float(rng.uniform(0.4, 1.0)), rng)
        # A holiday, a project that ends: a week or two that look like a decline and are none.
        for account in np.flatnonzero(alive & (chance[:, 1] < _DIPS)).tolist():
            self.dip_until[account], self.dip[account] = day + int(rng.integers(4, 15)), rng.uniform(0.35, 0.8)
        for account in np.flatnonzero(well & (age > 30) & (chance[:, 2] < _TURNOVERS)).tolist():
            self._leave(account, day)

    def _leave(self, account: int, day: int) -> None:
        # The roster has room for a few departures; an account that has used it up keeps its people.
        if self.gone[account] < 4 and day not in self.departures[account]:
            self.departures[account].append(day)
            self.gone[account] += 1

    def _end(self, account: int, day: int) -> None:
        last = self.declines[account][-1]
        last.end, last.outcome = day, last.outcome if last.outcome == "contracted" else "recovered"
        self.cause[account], self.recovers[account] = -1, FAR


def _share(logit: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logit)), dtype=np.float64)
