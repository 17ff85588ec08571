"""A generated world that goes on: what it showed it keeps showing, new accounts come, and injected items stay."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.simulation.billing_records import BillingRecords
from connectors.simulation.calendar import DAY
from connectors.simulation.clock import SourceClock
from connectors.simulation.crm_records import rows
from connectors.simulation.generated import HISTORY_END, Generator, generate
from connectors.simulation.injection import Injection
from connectors.simulation.stage import Simulation
from connectors.simulation.support_records import organization
from connectors.simulation.support_records import ticket as ticket_record
from connectors.simulation.ticket_versions import Position, ticket_versions
from connectors.simulation.vendors import declared
from connectors.simulation.world import World
from tests.simulation.conftest import Wall, client_of


@cache
def made_until(days: int, accounts: int = 40) -> World:
    """A world of its own generator, made to so many days after the history."""
    return Generator(7, accounts, arrivals=True).world(HISTORY_END + days * DAY)


def shown(world: World, now: int) -> dict[str, object]:
    """All that vendors could show at an instant."""
    events, billing = world.events, BillingRecords(world)
    seen = int(np.searchsorted(events.event_time, now, side="right"))
    versions = ticket_versions(world.tickets, {}, world.surveys)
    places, _ = versions.page(Position(0, 0), now, now, 10**6)
    done, surveys = world.activities, world.surveys
    written, answered = done.created_at <= now, surveys.answered_at <= now
    return {
        "declared": declared(world, now),
        "accounts": rows(world, "Account", now, deleted=True),
        "opportunities": rows(world, "Opportunity", now, deleted=True),
        "organizations": [organization(account, now, "") for account in world.accounts if account.created_at <= now],
        "companies": [events.company_ids[code] for code in events.company[:seen].tolist()],
        "people": [events.users[code] for code in events.user[:seen].tolist()],
        "events": [getattr(events, name)[:seen].tolist() for name in ("row", "event_time", "feature", "files")],
        "tickets": [ticket_record(world, versions, place, "") for place in places],
        "subscriptions": [billing.subscription(one, now) for one in world.subscriptions if one.created_at <= now],
        "invoices": [billing.invoice(one, now) for one in world.invoices if one.created_at <= now],
        "customers": [billing.customer(one, now) for one in world.accounts if one.first_activity_at <= now],
        "contacts": [
            (one.contact_id, one.name, one.email, min(one.left_at, now + 1))
            for one in world.contacts
            if one.joined_at <= now
        ],
        "activities": list(
            zip(
                done.created_at[written].tolist(),
                done.kind[written].tolist(),
                [world.contacts[place].contact_id for place in done.contact[written].tolist()],
                np.where(done.done_at[written] <= now, done.done_at[written], -1).tolist(),
                strict=True,
            )
        ),
        "surveys": [getattr(surveys, name)[answered].tolist() for name in ("account", "kind", "ticket_id", "score")],
    }


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 30 * DAY), st.sampled_from([70, 100, 130]))
@example(0, 60)
@example(0, 100)
@example(7 * 3_600, 130)
@example(14 * 3_600, 160)
def test_what_was_shown_is_shown_again_by_a_world_made_further(back: int, near_days: int) -> None:
    near = made_until(near_days, 130)
    # Just before a world's first end it is easiest to show what only a longer one knows.
    now = near.known_until - back
    assert shown(made_until(330, 130), now) == shown(near, now)


def test_it_makes_no_difference_in_how_many_steps_a_world_is_made() -> None:
    generator = Generator(7, 40, arrivals=True)
    for days in (60, 61, 130, 200):
        stepwise = generator.world(HISTORY_END + days * DAY)
    at_once = made_until(200)
    assert stepwise.known_until == at_once.known_until
    assert shown(stepwise, stepwise.known_until) == shown(at_once, at_once.known_until)
    assert generator.world(HISTORY_END) is stepwise


def test_accounts_keep_coming_and_going(company_years: World) -> None:
    came = [one for one in company_years.accounts if one.created_at > HISTORY_END]
    left = [
        one for one in company_years.truth if one.churned_at and HISTORY_END < one.churned_at < HISTORY_END + 365 * DAY
    ]
    assert 10 <= len(came) <= 25
    assert 4 <= len(left) <= 25
    assert len({one.name for one in company_years.accounts}) == len(company_years.accounts)
    # A year after the history there is as much to see as in it.
    times = company_years.events.event_time
    in_history = np.searchsorted(times, HISTORY_END) - np.searchsorted(times, HISTORY_END - 180 * DAY)
    a_year_on = np.searchsorted(times, HISTORY_END + 365 * DAY) - np.searchsorted(times, HISTORY_END + 185 * DAY)
    assert 0.6 < a_year_on / in_history < 1.7


@pytest.fixture(scope="module")
def company_years() -> World:
    return Generator(5, 100, arrivals=True).world(HISTORY_END + 365 * DAY)


def test_without_arrivals_a_world_keeps_its_accounts() -> None:
    assert len(Generator(7, 40).world(HISTORY_END + 300 * DAY).accounts) == 40
    assert len(generate(seed=7, accounts=40).accounts) == 40


def test_other_sizes_and_histories_are_other_worlds_with_other_names() -> None:
    names = {Generator(*args).name for args in ((1,), (2,), (1, 50), (1, 300, HISTORY_END - DAY))}
    assert len(names) == 4
    short = generate(seed=2, accounts=25, history_days=90)
    assert short.history_end - short.history_start == 91 * DAY
    assert all(account.created_at < short.history_end for account in short.accounts)
    assert len(short.accounts) == 25


def test_a_stage_never_runs_dry_and_keeps_what_was_injected(wall: Wall, tmp_path: Path) -> None:
    def start(speed: float = 600.0) -> Simulation:
        generator = Generator(7, 40, arrivals=True)
        clock = SourceClock(HISTORY_END, speed=speed, wall=wall, path=tmp_path / "clock.json")
        world = generator.world()
        return Simulation(world, clock=clock, state=tmp_path, wall=wall, further=generator.world)

    stage = start()
    client = client_of(stage)
    before = client.get("/_sim/summary").json()
    stage.clock.change(advance_to=HISTORY_END + 400 * DAY)
    after = client.get("/_sim/summary").json()
    assert after["mixpanel"]["events"] > 1.5 * before["mixpanel"]["events"]
    newest = int(stage.world.events.event_time[stage.world.events.event_time <= stage.clock.now()].max())
    assert newest > stage.clock.now() - 3 * DAY
    # Items that concern what came long after the first end of the world: a new account, a late ticket.
    late = stage.world.accounts[-1] if stage.world.accounts[-1].created_at <= stage.clock.now() else None
    late = late or next(one for one in reversed(stage.world.accounts) if one.created_at <= stage.clock.now())
    assert late.created_at > HISTORY_END
    stage.inject(Injection(kind="seat_change", account=late.crm_id, seats=77))
    _, ids = stage.inject(Injection(kind="ticket_opened", account=late.name, priority="urgent"))
    counts = client.get("/_sim/summary").json()
    wall.seconds += DAY  # 600 days later
    later = client.get("/_sim/summary").json()
    assert later["zendesk"]["tickets"] > counts["zendesk"]["tickets"]
    assert ids["ticket"] in stage.world.tickets.ticket_id
    restarted = start()
    assert restarted.clock.now() >= stage.clock.now() - 3_000
    again = client_of(restarted).get("/_sim/summary").json()
    assert again["zendesk"]["tickets"] >= later["zendesk"]["tickets"] - 5
    assert ids["ticket"] in restarted.world.tickets.ticket_id
    seats = [one for one in restarted.world.subscriptions if one.account == late.index][-1].seat_changes
    assert 77 in [quantity for _, quantity in seats]
