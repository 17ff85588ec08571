"""The generated world is a function of its seed, big enough to look at, and obeys the laws of its accounts' lives."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

from connectors.simulation.billing_records import seats_at
from connectors.simulation.calendar import DAY
from connectors.simulation.causes import CAUSES
from connectors.simulation.generated import HISTORY_END, generate
from connectors.simulation.vendors import declared
from connectors.simulation.world import NEVER, SURVEY_KINDS, Account, World, seat_price_cents

_FINGERPRINT = """
from connectors.simulation.generated import generate
world = generate(seed=7, accounts=40)
print(int(world.events.event_time.sum()), int(world.events.feature.sum()), int(world.tickets.solved_at.sum()))
print(sum(one.amount_cents for one in world.invoices), [one.episodes for one in world.truth])
"""


@pytest.fixture(scope="module")
def company() -> World:
    """A hundred and fifty accounts, enough to see something of everything."""
    return generate(seed=3, accounts=150)


def test_the_default_world_has_its_size() -> None:
    world = generate()
    counts = declared(world, HISTORY_END)
    assert counts["salesforce"]["accounts"] == len(world.accounts) == 300
    assert 100_000 <= counts["mixpanel"]["events"] <= 150_000
    assert counts["mixpanel"]["events_of_unknown"] > 100
    assert counts["stripe"]["failed_payments"] > 50
    assert world.history_end - world.history_start == 366 * DAY


def test_the_same_seed_gives_the_same_world_in_any_process(world: World) -> None:
    again, other = generate(seed=7, accounts=40), generate(seed=8, accounts=40)
    assert again.accounts == world.accounts
    assert again.invoices == world.invoices
    assert again.opportunities == world.opportunities
    assert np.array_equal(again.events.event_time, world.events.event_time)
    assert other.accounts != world.accounts
    told = {
        subprocess.run([sys.executable, "-c", _FINGERPRINT], check=True, capture_output=True, text=True).stdout
        for _ in range(2)
    }
    here = f"{int(world.events.event_time.sum())} {int(world.events.feature.sum())}"
    assert len(told) == 1
    assert told.pop().startswith(here)


def test_arrivals_go_on_after_the_history(world: World) -> None:
    later = world.events.event_time[world.events.event_time > world.history_end]
    assert len(np.unique(later // DAY)) > 50


def spans(world: World) -> list[tuple[Account, int, int]]:
    """Each account with the instants between which it may do anything."""
    return [
        (account, account.created_at, known.churned_at or NEVER)
        for account, known in zip(world.accounts, world.truth, strict=True)
    ]


def test_nothing_happens_before_an_account_is_there_or_after_it_has_left(company: World) -> None:
    events, tickets, surveys, done = company.events, company.tickets, company.surveys, company.activities
    for account, begun, ended in spans(company):
        mine = events.event_time[events.company == account.index]
        opened = tickets.opened_at[tickets.account == account.index]
        assert begun < account.first_activity_at == min(mine.min(), opened.min(initial=NEVER))
        assert mine.max() < ended
        for columns, times in (
            (tickets, tickets.opened_at),
            (surveys, surveys.answered_at),
            (done, done.created_at),
            (done, np.where(done.done_at < NEVER, done.done_at, done.created_at)),
        ):
            at = times[columns.account == account.index]
            assert not len(at) or (begun < at.min() and at.max() < ended)
    for change in (change for account, begun, ended in spans(company) for change in account.changes):
        assert change.contract is None or change.at >= change.contract.start


def test_churn_comes_at_the_end_of_a_contract_after_notice_and_a_decline(company: World) -> None:
    gone = [known for known in company.truth if known.churned_at is not None]
    assert len(gone) > 8
    for known in gone:
        assert known.churned_at is not None
        assert known.notice_at is not None
        assert known.contract is not None
        assert known.churned_at == known.contract.end
        assert known.notice_at < known.churned_at
        assert known.churned_at - known.notice_at <= (known.contract.notice_days + 1) * DAY
        last = known.episodes[-1]
        assert (last.outcome, last.end) == ("churned", known.churned_at)
        assert known.decline_start == last.start <= known.notice_at


def test_episodes_follow_one_another_and_end_as_they_say(company: World) -> None:
    causes, outcomes = set(), set()
    for account, known in zip(company.accounts, company.truth, strict=True):
        for episode, following in itertools.pairwise(known.episodes):
            assert episode.end is not None
            assert episode.end <= following.start
        for episode in known.episodes:
            causes.add(episode.cause)
            outcomes.add(episode.outcome)
            assert 0 < episode.depth <= 1
            assert episode.start >= account.first_activity_at // DAY * DAY
            assert episode.end is None or episode.end > episode.start
            assert episode.outcome not in ("recovered", "churned") or episode.end is not None
            assert episode.outcome != "ongoing" or episode.end is None
            # What is agreed shows from the next term on, which may not have begun.
            assert known.contract is not None
            agreed = known.contract.end >= company.known_until
            assert episode.outcome != "contracted" or known.contracted_at or agreed
        # Only the last may be under way.
        assert all(episode.end is not None for episode in known.episodes[:-1])
    assert causes == set(CAUSES)
    assert {"recovered", "churned", "ongoing"} <= outcomes


def test_invoices_follow_the_seats_and_plan_of_their_month(company: World) -> None:
    subscriptions = {one.subscription_id: one for one in company.subscriptions}
    assert len(subscriptions) == len(company.subscriptions)
    for invoice in company.invoices:
        subscription = subscriptions[invoice.subscription_id]
        assert subscription.created_at <= invoice.period_start < invoice.period_end == invoice.created_at
        assert invoice.seats == seats_at(subscription, invoice.period_end - 1)
        assert invoice.plan == subscription.plan_at(invoice.period_end - 1)
        assert invoice.amount_cents == invoice.seats * seat_price_cents(invoice.plan)
        assert subscription.canceled_at is None or invoice.created_at <= subscription.canceled_at
    # Every month of a subscription has one.
    billed = {(invoice.subscription_id, invoice.period_start) for invoice in company.invoices}
    assert len(billed) == len(company.invoices)
    for one in company.subscriptions:
        months = [start for name, start in billed if name == one.subscription_id]
        end = min(one.canceled_at or company.known_until, company.known_until)
        assert len(months) >= (end - one.created_at) // (31 * DAY)


def test_billing_and_the_crm_tell_the_truth(company: World) -> None:
    subscriptions = {one.account: one for one in company.subscriptions}
    for account, known in zip(company.accounts, company.truth, strict=True):
        subscription = subscriptions[account.index]
        left = known.churned_at is not None and known.churned_at < company.known_until
        assert subscription.canceled_at == (known.churned_at if left else None)
        rises = [at for (at, seats), (_, before) in pairs_back(subscription.seat_changes) if seats > before]
        falls = [at for (at, seats), (_, before) in pairs_back(subscription.seat_changes) if seats < before]
        assert rises == list(known.expanded_at)
        assert falls == list(known.contracted_at)
        mine = [one for one in company.opportunities if one.account == account.index]
        won = [one for one in mine if one.kind == "Expansion" and one.stages[-1][1] == "Closed Won"]
        assert len(won) == len(known.expanded_at)
        renewals = [one for one in mine if one.kind == "Renewal"]
        lost = [one for one in renewals if one.stages[-1][1] == "Closed Lost"]
        assert len(lost) <= 1
        for one in lost:
            assert known.churned_at is not None
            assert one.stages[-1][0] < known.churned_at
        assert all(account.created_at < one.created_at < (known.churned_at or NEVER) for one in mine)
        assert all(at < (known.churned_at or NEVER) for one in mine for at, _ in one.stages)
        if known.churned_at is None:
            assert account.contract_at(company.known_until) == known.contract


def test_terms_follow_one_another_without_a_gap(company: World) -> None:
    for account, known in zip(company.accounts, company.truth, strict=True):
        assert account.contract is not None
        terms = [account.contract, *(change.contract for change in account.changes if change.contract)]
        for before, after in itertools.pairwise(terms):
            renewed = after.start == before.end and after.end > before.end
            within = (after.start, after.end) == (before.start, before.end) and after.seats > before.seats
            assert renewed or within
            assert (after.term_months, after.notice_days) == (before.term_months, before.notice_days)
            assert after.seats >= before.seats or renewed
        assert terms[-1] == known.contract
        months = np.array([terms[0].start, terms[0].end], dtype="datetime64[s]").astype("datetime64[M]")
        assert int((months[1] - months[0]).astype(int)) == terms[0].term_months
        assert (known.churned_at or company.known_until) <= known.contract.end


def pairs_back(changes: tuple[tuple[int, int], ...]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Each change with the one before it."""
    return [(after, before) for before, after in itertools.pairwise(changes)]


def test_a_champion_who_leaves_never_uses_the_product_again_and_is_succeeded(company: World) -> None:
    left = [one for one in company.contacts if one.left_at < NEVER]
    assert left
    for one in left:
        assert one.role == "champion"
        mine = company.events.event_time[company.events.user == one.user]
        assert not (mine >= one.left_at + DAY).any()
        successors = [
            other
            for other in company.contacts
            if other.account == one.account and other.role == "champion" and other.joined_at > one.left_at
        ]
        assert successors
    for account in company.accounts:
        champions = [one for one in company.contacts if one.account == account.index and one.role == "champion"]
        assert all(one.email.endswith(f"@{account.domain}") for one in champions)


def test_bad_health_shows_in_tickets_payments_and_answers(company: World) -> None:
    count = len(company.accounts)
    health = np.array([np.nanmean(known.health) for known in company.truth])
    ill = health < np.median(health)
    seats = np.array([account.contract_seats for account in company.accounts])
    tickets = np.bincount(company.tickets.account, minlength=count) / np.sqrt(seats)
    assert tickets[ill].mean() > 1.2 * tickets[~ill].mean()
    failed = np.bincount([one.account for one in company.invoices if not one.attempts[0][1]], minlength=count)
    assert failed[ill].sum() > failed[~ill].sum()
    for kind, name in enumerate(SURVEY_KINDS):
        chosen = company.surveys.kind == kind
        unwell = ill[company.surveys.account[chosen]]
        score = company.surveys.score[chosen]
        assert score[unwell].mean() < score[~unwell].mean() - 0.15, name
        assert (0 if name == "nps" else 1) <= score.min() <= score.max() <= (10 if name == "nps" else 5)


def test_weekends_are_quiet(world: World) -> None:
    by_weekday = np.bincount((world.events.event_time // DAY + 3) % 7, minlength=7)
    assert by_weekday[5:].sum() < 0.1 * by_weekday.sum()


def test_use_follows_the_local_day_and_an_outage_silences_everybody(company: World) -> None:
    hours = company.events.event_time // 3_600 % 24
    known = company.events.company < len(company.accounts)
    zone = np.array([account.time_zone for account in company.accounts])[company.events.company[known]]
    assert 3 <= np.median(hours[known][zone == "Asia/Tokyo"]) <= 5
    assert 10 <= np.median(hours[known][zone == "Europe/Berlin"]) <= 13
    assert company.outages
    for outage in company.outages:
        span = outage.end - outage.start

        def events_from(at: int, span: int = span) -> int:
            low, high = np.searchsorted(company.events.event_time, [at, at + span])
            return int(high - low)

        usual = [events_from(outage.start + week * 7 * DAY) for week in (-2, -1, 1, 2)]
        weekday = (outage.start // DAY + 3) % 7 < 5
        assert not weekday or events_from(outage.start) < 0.5 * np.mean(usual)


def test_an_academic_year_has_a_summer() -> None:
    world = generate(seed=5, accounts=250)
    academic = [known.account for known in world.truth if "academic" in known.traits]
    assert academic
    months = world.events.event_time.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64) % 12
    of_them = np.isin(world.events.company, academic)
    summer, spring = np.isin(months, [6, 7]), np.isin(months, [2, 3])

    def ratio(chosen: np.ndarray) -> float:
        return float((chosen & summer).sum() / (chosen & spring).sum())

    assert ratio(of_them) < 0.5 * ratio(~of_them)
