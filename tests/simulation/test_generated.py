"""The generated world is a function of its seed, big enough to look at, and tells the truth about itself."""

import time

import numpy as np

from connectors.simulation.calendar import DAY
from connectors.simulation.generated import HISTORY_END, generate
from connectors.simulation.vendors import declared
from connectors.simulation.world import World


def test_the_default_world_has_its_size_and_is_made_quickly() -> None:
    started = time.perf_counter()
    world = generate()
    assert time.perf_counter() - started < 5
    counts = declared(world, HISTORY_END)
    assert counts["salesforce"]["accounts"] == 300
    assert 100_000 <= counts["mixpanel"]["events"] <= 150_000
    assert counts["mixpanel"]["events_of_unknown"] > 100
    assert counts["stripe"]["failed_payments"] > 50
    assert world.history_end - world.history_start == 366 * DAY


def test_the_same_seed_gives_the_same_world(world: World) -> None:
    again, other = generate(seed=7, accounts=40), generate(seed=8, accounts=40)
    assert again.accounts == world.accounts
    assert again.invoices == world.invoices
    assert np.array_equal(again.events.event_time, world.events.event_time)
    assert other.accounts != world.accounts


def test_arrivals_go_on_after_the_history(world: World) -> None:
    later = world.events.event_time[world.events.event_time > world.history_end]
    assert len(np.unique(later // DAY)) > 50


def test_churn_follows_a_decline_and_ends_all_use() -> None:
    world = generate(seed=3, accounts=120)
    churned = [truth for truth in world.truth if truth.churned_at is not None]
    assert churned
    for truth in churned:
        assert truth.decline_start is not None
        assert truth.churned_at is not None
        assert truth.decline_start < truth.churned_at
        mine = world.events.event_time[world.events.company == truth.account]
        assert (mine < truth.churned_at).all()


def test_bad_health_shows_in_tickets_and_payments() -> None:
    world = generate(seed=3, accounts=120)
    health = np.array([truth.health.mean() for truth in world.truth])
    ill = health < np.median(health)
    seats = np.maximum(world.seats.users.sum(axis=1), 1)
    tickets = np.bincount(world.tickets.account, minlength=120) / np.sqrt(seats)
    assert tickets[ill].mean() > 1.3 * tickets[~ill].mean()
    failed = np.bincount([one.account for one in world.invoices if not one.attempts[0][1]], minlength=120)
    assert failed[ill].sum() > failed[~ill].sum()


def test_weekends_are_quiet(world: World) -> None:
    by_weekday = np.bincount((world.events.event_time // DAY + 3) % 7, minlength=7)
    assert by_weekday[5:].sum() < 0.1 * by_weekday.sum()
