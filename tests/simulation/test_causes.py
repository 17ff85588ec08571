"""Declines show in what vendors see, each cause in its own way, and not so plainly that anybody could tell."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from connectors.simulation import causes
from connectors.simulation.calendar import DAY
from connectors.simulation.causes import CAUSES, POOR_ONBOARDING, SIGNALS
from connectors.simulation.generated import generate
from connectors.simulation.world import SURVEY_KINDS, World

Daily = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def company() -> World:
    """So many accounts that every cause has dozens of episodes."""
    return generate(seed=11, accounts=2_500)


@dataclass(frozen=True)
class Watched:
    """A signal by [account, day], and by day its sum over accounts that are never ill: the measure of what is usual."""

    company: World
    daily: Daily
    usual: Daily

    def change(self, account: int, start: int, low: int, high: int) -> tuple[float, float]:
        """The level from `low` to `high` days after a start, and what the month before lets one expect."""
        before, after = slice(start - 35, start), slice(start + low, start + high)
        season = self.usual[after].mean() / self.usual[before].mean()
        return float(self.daily[account, after].mean()), float(self.daily[account, before].mean() * season)

    def of_cause(self, cause: str, low: int, high: int) -> float:
        """The change over all episodes of a cause together, so that small accounts do not blur it."""
        changes = [self.change(account, start, low, high) for account, start in episodes(self.company, cause, high)]
        assert len(changes) >= 15
        return sum(level for level, _ in changes) / sum(expected for _, expected in changes)


def watched(company: World, account: npt.NDArray[np.int64], at: npt.NDArray[np.int64]) -> Watched:
    """The signal that counts things of accounts by their instants."""
    days, count = len(company.truth[0].health), len(company.accounts)
    day = (at - company.history_start) // DAY - 1
    kept = (account < count) & (day >= 0) & (day < days)
    cells = np.bincount(account[kept] * days + day[kept], minlength=count * days)
    daily = cells.reshape(count, days).astype(np.float64)
    never_ill = [
        known.account
        for known in company.truth
        if not known.episodes and day_of(company, company.accounts[known.account].first_activity_at) < 3
    ]
    return Watched(company, daily, daily[never_ill].sum(axis=0))


def day_of(company: World, at: int) -> int:
    return (at - company.history_start) // DAY - 1


def episodes(company: World, cause: str, lasts: int) -> Iterable[tuple[int, int]]:
    """Account and first day of the deep episodes of a cause that are watched long enough before and after."""
    days = len(company.truth[0].health)
    for account, known in zip(company.accounts, company.truth, strict=True):
        for episode in known.episodes:
            start = day_of(company, episode.start)
            ends = days if episode.end is None else day_of(company, episode.end)
            settled = start - 70 > day_of(company, account.first_activity_at)
            if episode.cause == cause and episode.depth > 0.5 and settled and start + lasts <= min(ends, days):
                yield account.index, start


@pytest.fixture(scope="module")
def usage(company: World) -> Watched:
    return watched(company, company.events.company, company.events.event_time)


@pytest.fixture(scope="module")
def tickets(company: World) -> Watched:
    return watched(company, company.tickets.account, company.tickets.opened_at)


@pytest.fixture(scope="module")
def contact(company: World) -> Watched:
    return watched(company, company.activities.account, company.activities.created_at)


@pytest.mark.parametrize("cause", [cause for cause in CAUSES if cause != POOR_ONBOARDING])
def test_use_falls_in_the_end_whatever_the_cause(usage: Watched, cause: str) -> None:
    assert usage.of_cause(cause, 80, 120) < 0.75


def test_use_goes_first_or_last_by_cause(usage: Watched) -> None:
    soon = {cause: usage.of_cause(cause, 14, 35) for cause in CAUSES if cause != POOR_ONBOARDING}
    later = {cause: usage.of_cause(cause, 35, 60) for cause in CAUSES if cause != POOR_ONBOARDING}
    assert soon["seat_contraction"] < 0.8
    assert later["competitor"] < 0.7
    assert later["product_issue"] < 0.7
    # Whoever only watches use learns of these when it is almost too late.
    assert soon["budget_cut"] > 0.8
    assert soon["champion_left"] > 0.8
    assert later["budget_cut"] > 0.75


def test_tickets_rise_with_some_causes_and_fall_silent_with_others(tickets: Watched) -> None:
    assert tickets.of_cause("product_issue", 20, 60) > 1.7
    assert tickets.of_cause("support_breakdown", 40, 90) > 1.15
    assert tickets.of_cause("competitor", 20, 90) < 0.95
    assert tickets.of_cause("seat_contraction", 20, 60) < 0.9


def test_meetings_end_when_the_champion_has_left(contact: Watched, usage: Watched) -> None:
    assert contact.of_cause("champion_left", 14, 60) < 0.6
    assert contact.of_cause("champion_left", 14, 35) < usage.of_cause("champion_left", 14, 35) - 0.2
    assert contact.of_cause("product_issue", 14, 60) > 0.85


def test_a_budget_cut_shows_in_payments_and_bad_support_in_its_hours_and_ratings(company: World) -> None:
    failed = {(one.account, day_of(company, one.created_at)): not one.attempts[0][1] for one in company.invoices}

    def failing(cause: str) -> float:
        found = [
            value
            for account, start in episodes(company, cause, 80)
            for (owing, day), value in failed.items()
            if owing == account and start + 30 <= day < start + 80
        ]
        return float(np.mean(found))

    usual = np.mean(list(failed.values()))
    assert failing("budget_cut") > 4 * usual
    assert failing("budget_cut") > 3 * failing("competitor")

    tickets, surveys = company.tickets, company.surveys
    opened = (tickets.opened_at - company.history_start) // DAY - 1
    csat = surveys.kind == SURVEY_KINDS.index("csat")
    answered = (surveys.answered_at - company.history_start) // DAY - 1

    def of_cause(cause: str) -> tuple[float, float]:
        hours, scores = list[float](), list[float]()
        for account, start in episodes(company, cause, 60):
            mine = (tickets.account == account) & (opened >= start + 20) & (opened < start + 60)
            hours += ((tickets.solved_at - tickets.opened_at)[mine] / 3_600).tolist()
            rated = csat & (surveys.account == account) & (answered >= start + 20) & (answered < start + 60)
            scores += surveys.score[rated].tolist()
        return float(np.median(hours)), float(np.mean(scores))

    usual_hours = np.median(tickets.solved_at - tickets.opened_at) / 3_600
    hours, score = of_cause("support_breakdown")
    assert hours > 2 * usual_hours
    assert score < surveys.score[csat].mean() - 0.8
    hours, _ = of_cause("champion_left")
    assert hours < 2 * usual_hours


def test_a_poor_onboarding_never_takes_off(company: World) -> None:
    people = {True: list[float](), False: list[float]()}
    events = company.events
    for account, known in zip(company.accounts, company.truth, strict=True):
        late = day_of(company, account.first_activity_at) > 5
        poor = [one for one in known.episodes if one.cause == POOR_ONBOARDING]
        if not late or (known.episodes and not poor):
            continue
        low = account.first_activity_at + 35 * DAY
        chosen = (events.company == account.index) & (events.event_time >= low) & (events.event_time < low + 30 * DAY)
        people[bool(poor)].append(len(np.unique(events.user[chosen])) / account.contract_seats)
    assert len(people[True]) >= 20
    assert np.mean(people[True]) < 0.7 * np.mean(people[False])


def test_a_decline_is_not_told_from_noise_by_one_look_at_use(company: World, usage: Watched) -> None:
    rng = np.random.default_rng(1)
    ill = [place for cause in CAUSES if cause != POOR_ONBOARDING for place in episodes(company, cause, 60)]
    never = [known.account for known in company.truth if not known.episodes and known.churned_at is None]
    old = [account for account in never if day_of(company, company.accounts[account].first_activity_at) < 3]
    healthy = [(account, int(start)) for account in old for start in rng.integers(100, 380, 2)]

    def fall(account: int, start: int) -> float:
        level, expected = usage.change(account, start, 30, 60)
        return (level + 0.02) / (expected + 0.02)

    sick, well = (np.sort([fall(*place) for place in places]) for places in (ill, healthy))
    # How often an account in decline has fallen further than a healthy one: the area under the ROC curve.
    area = 1 - np.searchsorted(well, sick).mean() / len(well)
    assert 0.65 < area < 0.93
    assert (well < np.median(sick)).mean() > 0.02


def test_base_rates(company: World) -> None:
    year = [known for known in company.truth if known.churned_at and known.churned_at <= company.history_end]
    assert 0.04 < len(year) / len(company.accounts) < 0.15
    declining = sum(bool(known.episodes) for known in company.truth) / len(company.accounts)
    assert 0.3 < declining < 0.6
    expanding = sum(bool(known.expanded_at) for known in company.truth) / len(company.accounts)
    assert 0.1 < expanding < 0.35
    sudden = [known for known in company.truth if known.churned_at and known.episodes[-1].depth < 0.2]
    churned = [known for known in company.truth if known.churned_at]
    assert 0.05 < len(sudden) / len(churned) < 0.3
    closed = [one.stages[-1][1] for one in company.opportunities if one.kind == "Renewal" and len(one.stages) > 1]
    assert 0.05 < closed.count("Closed Lost") / len(closed) < 0.25


def test_the_table_of_causes_names_known_signals() -> None:
    for name, cause in CAUSES.items():
        assert set(cause.moves) <= set(SIGNALS)
        assert cause.ramp_days[0] < cause.ramp_days[1]
        assert min(lag for lag, _ in cause.moves.values()) == 0, f"{name} shows somewhere from its first day on"
    drawn = [causes.NAMES[causes.drawn(chance)] for chance in np.linspace(0, 0.999_999, 1_000)]
    assert set(drawn) == set(CAUSES) - {POOR_ONBOARDING}
