"""What becomes of contracts: renewals and notices, more seats and fewer, upgrades, and the opportunities for them."""

import math
from dataclasses import dataclass, field, replace

import numpy as np

from connectors.simulation import causes
from connectors.simulation.calendar import DAY
from connectors.simulation.identifiers import salesforce_id
from connectors.simulation.latent_health import FAR, LatentHealth
from connectors.simulation.world import Contract, Ints, Opportunity, seat_price_cents

_GROWTH = 0.5 / 365
_UPGRADES = {"Starter": "Growth", "Growth": "Enterprise"}
_DOWNGRADES = {"Growth": "Starter", "Enterprise": "Growth"}
_WITHOUT_WARNING = {24: 0.015, 12: 0.012, 6: 0.006, 3: 0.004, 1: 0.0015}
# In short terms the next decision is soon: not every bad month is one in which somebody acts.
_ACTS = {24: 1.0, 12: 1.0, 6: 0.85, 3: 0.7, 1: 0.5}
_SUDDEN_CAUSES = ("budget_cut", "competitor")
_OPENED_BEFORE_NOTICE = 35
_AFTERNOON = 54_000


class Months:
    """Turns of months as days from a world's first midnight."""

    def __init__(self, start: int) -> None:
        self._start = start
        self._firsts: dict[int, int] = {}

    def turns(self, day: int) -> bool:
        """Whether a month begins on this day, UTC."""
        return self.after(day - 1, 1) == day

    def after(self, day: int, months: int) -> int:
        """The first of the month that is so many months after the one of this day."""
        month = int(np.datetime64(self._start + day * DAY, "s").astype("datetime64[M]").astype(np.int64)) + months
        if month not in self._firsts:
            first = int(np.datetime64(month, "M").astype("datetime64[s]").astype(np.int64))
            self._firsts[month] = (first - self._start) // DAY
        return self._firsts[month]


@dataclass(slots=True)
class Course:
    """One account's contracts, each with its day of beginning, and what is under way."""

    contract: Contract
    subscribed_day: int
    contracts: list[tuple[int, Contract]] = field(default_factory=list)
    notice_at: int | None = None
    expanded_at: list[int] = field(default_factory=list)
    contracted_at: list[int] = field(default_factory=list)
    opportunities: list[Opportunity] = field(default_factory=list)
    renewal: int | None = None
    expansion: int | None = None
    seats_after: int = 0
    plan_after: str = ""


@dataclass(slots=True, eq=False)
class Contracts:
    """Every account's course; days on which something is due are columns, FAR for nothing."""

    start: int
    health: LatentHealth
    courses: list[Course] = field(default_factory=list)
    end_day: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    decision_day: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    opening_day: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    growth_day: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    growth_until: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    growth_step: list[float] = field(default_factory=list)
    _months: Months = field(init=False)

    def __post_init__(self) -> None:
        self._months = Months(self.start)

    def welcome(self) -> None:
        """Signs the first contract of each account that the population has gained."""
        people = self.health.people
        ends = []
        for index in range(len(self.courses), len(people)):
            first = self._months.after(int(people.first_day[index]), 1)
            end = self._months.after(first, int(people.term_left[index]))
            months = int(people.term_months[index])
            begun = self._months.after(end, -months)
            contract = Contract(
                start=self._at(begun),
                end=self._at(end),
                term_months=months,
                notice_days=int(people.notice_days[index]),
                auto_renew=bool(people.auto_renew[index]),
                seats=int(people.seats[index]),
                plan=people.plan[index],
            )
            self.courses.append(Course(contract, first, [(first, contract)]))
            ends.append(end)
        more = np.array(ends, dtype=np.int64)
        self.end_day = np.concatenate([self.end_day, more])
        for name in ("decision_day", "opening_day", "growth_day", "growth_until"):
            setattr(self, name, np.concatenate([getattr(self, name), np.full(len(more), FAR)]))
        self.growth_step += [0.0] * len(more)
        for index in range(len(self.courses) - len(more), len(self.courses)):
            self._schedule(index, int(people.first_day[index]))

    def live(self, day: int, rng: np.random.Generator) -> None:
        """A day passes, before `LatentHealth.live` of the same day."""
        alive = self.health.alive(day)
        chance = rng.random(len(alive))
        for account in np.flatnonzero((self.opening_day == day) & alive).tolist():
            self._open_renewal(account, day, rng)
        for account in np.flatnonzero((self.decision_day == day) & alive).tolist():
            self._decide(account, day, rng)
        for account in np.flatnonzero((self.end_day == day) & alive).tolist():
            self._renew(account, day)
        well = alive & (self.health.cause < 0) & ~self.health.busy & (self.health.smooth > 0.6)
        begins = well & (day - self.health.people.first_day > 75) & (chance < _GROWTH) & (self.growth_day == FAR)
        for account in np.flatnonzero(begins).tolist():
            self._begin_growth(account, day, rng)
        growing = np.flatnonzero((self.growth_day <= day) & (day < self.growth_until) & alive)
        self.health.size[growing] *= 1 + np.array([self.growth_step[account] for account in growing.tolist()])
        for account in np.flatnonzero((self.growth_day + 25 == day) & alive).tolist():
            self._open_expansion(account, day)
        for account in np.flatnonzero(self.growth_until == day).tolist():
            self._end_growth(account, day, rng)

    def _schedule(self, account: int, day: int) -> None:
        contract, end = self.courses[account].contract, int(self.end_day[account])
        decision = max(end - contract.notice_days, day + 2)
        self.decision_day[account] = min(decision, end - 1)
        signed = contract.term_months >= 6
        # Terms end with months: without a spread of their own all renewals would open on the same few days.
        opening = int(self.decision_day[account]) - _OPENED_BEFORE_NOTICE - account * 7 % 23
        self.opening_day[account] = max(opening, day + 1) if signed else FAR

    def _decide(self, account: int, day: int, rng: np.random.Generator) -> None:
        """Stay or go: the worse the health of late, the likelier to go; now and then without any warning."""
        course, health, end = self.courses[account], self.health, int(self.end_day[account])
        months, ill = course.contract.term_months, health.cause[account] >= 0
        low = 0.9 / (1 + math.exp((float(health.smooth[account]) - 0.42) / 0.055))
        going, late = rng.random() < low * _ACTS[months] + _WITHOUT_WARNING[months], int(rng.integers(0, 11))
        if going:
            if not ill:
                cause = _SUDDEN_CAUSES[int(rng.integers(len(_SUDDEN_CAUSES)))]
                health.decline(account, day, causes.NAMES.index(cause), 0.15, rng)
            health.churn(account, end)
            course.notice_at = self._at(day) + _AFTERNOON
            self._close(account, course.renewal, min(day + late, end - 1), "Closed Lost")
            self._close(account, course.expansion, day, "Closed Lost")
            course.expansion = None
            self.growth_day[account] = self.growth_until[account] = FAR
            return
        self._close(account, course.renewal, min(day + late, end - 1), "Closed Won")
        chance, share = float(rng.random()), float(rng.uniform(0.5, 0.85))
        if ill and not health.busy[account]:
            saves = health.declines[account][-1].cause in ("budget_cut", "seat_contraction")
            likely = (0.85 if saves else 0.35) * (1.0 if months >= 6 else 0.3)
            if chance < likely and course.contract.seats > 2:
                course.seats_after = max(int(course.contract.seats * share), 1)
                downgraded = _DOWNGRADES.get(course.contract.plan, course.contract.plan)
                course.plan_after = downgraded if share < 0.6 else course.contract.plan
                health.recover(account, end, "contracted")
            elif months >= 6:
                health.recover(account, day + int(rng.integers(5, 45)), "ongoing")

    def _renew(self, account: int, day: int) -> None:
        course = self.courses[account]
        before, end = course.contract, self._months.after(day, course.contract.term_months)
        fewer = 0 < course.seats_after < before.seats
        seats, plan = (course.seats_after, course.plan_after) if fewer else (before.seats, before.plan)
        course.contract = replace(before, start=self._at(day), end=self._at(end), seats=seats, plan=plan)
        course.contracts.append((day, course.contract))
        if fewer:
            course.contracted_at.append(self._at(day))
            self.health.size[account] = max(self.health.size[account] * seats / before.seats, 1.5)
        course.seats_after, course.renewal = 0, None
        self.end_day[account] = end
        self._schedule(account, day)

    def _open_renewal(self, account: int, day: int, rng: np.random.Generator) -> None:
        contract = self.courses[account].contract
        opened_at = self._at(day) + 28_800 + int(rng.integers(0, 28_800))
        amount = contract.seats * seat_price_cents(contract.plan) * contract.term_months
        self.courses[account].renewal = self._opportunity(account, "Renewal", opened_at, contract.end, amount)

    def _open_expansion(self, account: int, day: int) -> None:
        course = self.courses[account]
        more = max(math.ceil(self.health.people.users[account] * 0.25), 1)
        amount = more * seat_price_cents(course.contract.plan) * 12
        until = self._at(int(self.growth_until[account]))
        course.expansion = self._opportunity(
            account, "Expansion", self._at(day) + 36_000 + account * 37 % 3_600, until, amount
        )

    def _begin_growth(self, account: int, day: int, rng: np.random.Generator) -> None:
        lasts = int(rng.integers(45, 80))
        self.growth_day[account], self.growth_until[account] = day, day + lasts
        most = (float(self.health.people.roster[account]) - 6) / float(self.health.size[account])
        self.growth_step[account] = min(float(rng.uniform(1.15, 1.5)), max(most, 1.0)) ** (1 / lasts) - 1
        self.health.busy[account] = True

    def _end_growth(self, account: int, day: int, rng: np.random.Generator) -> None:
        course = self.courses[account]
        won, upgrade = rng.random() < 0.75, rng.random() < 0.25
        self.growth_day[account] = self.growth_until[account] = FAR
        self.health.busy[account] = False
        if not won:
            self._close(account, course.expansion, day, "Closed Lost")
            course.expansion = None
            return
        self._close(account, course.expansion, day, "Closed Won")
        course.expansion = None
        before = course.contract
        grown = max(before.seats + 1, math.ceil(float(self.health.size[account]) * 1.1))
        plan = _UPGRADES.get(before.plan, before.plan) if upgrade else before.plan
        course.contract = replace(before, seats=grown, plan=plan)
        course.contracts.append((day, course.contract))
        course.expanded_at.append(self._at(day) + _AFTERNOON)

    def _opportunity(self, account: int, kind: str, at: int, expected: int, amount: int) -> int:
        course = self.courses[account]
        key = f"{kind}:{self.health.people.external_ids[account]}:{len(course.opportunities)}"
        stages = ((at, "Prospecting"),)
        course.opportunities.append(Opportunity(salesforce_id("006", key), account, kind, at, expected, amount, stages))
        return len(course.opportunities) - 1

    def _close(self, account: int, place: int | None, day: int, stage: str) -> None:
        if place is None:
            return
        course = self.courses[account]
        one, at = course.opportunities[place], self._at(day) + _AFTERNOON + account * 37 % 3_600
        course.opportunities[place] = replace(one, stages=(*one.stages, (max(at, one.created_at + 1), stage)))

    def _at(self, day: int) -> int:
        return self.start + day * DAY
