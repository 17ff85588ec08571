"""A small generated world: accounts whose latent health drives use, tickets and payments; the truth is kept beside it.

Everything is drawn from one seed. Figures are made up to look plausible; they are not fitted to any data.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from connectors.simulation.billing import bill
from connectors.simulation.calendar import DAY, epoch, month_starts
from connectors.simulation.directory import company_names, owner_of, owners, plan_of, region_of, segment_of
from connectors.simulation.identifiers import base62, salesforce_id
from connectors.simulation.latent_health import Trajectories, trajectories
from connectors.simulation.seat_counts import count_seats, with_contract
from connectors.simulation.world import (
    Account,
    AccountChange,
    FeatureEvents,
    Ints,
    Seats,
    Tickets,
    TrueHealth,
    World,
)

HISTORY_END = epoch("2026-11-01")

_HISTORY_DAYS, _LIVE_DAYS = 365, 60
# Feature events of the history in all, of companies that the CRM does not know, and the work of a weekend day.
_EVENTS, _UNKNOWN_EVENTS, _UNKNOWN_COMPANIES, _WEEKEND = 125_000, 300, 12, 0.1
_TYPICAL_USERS = {"Enterprise": 45.0, "Mid-Market": 14.0, "SMB": 5.0}
_MOST_USERS = 200
# The busiest hour of a working day, in UTC.
_NOON = {"AMER": 18.0, "EMEA": 12.0, "APAC": 5.0}
_FEATURES = tuple(
    f"{area}/{name}"
    for area in ("reports", "alerts", "imports", "projects", "automation", "api")
    for name in ("view", "create", "share", "export", "schedule")
)
_FIRST_TICKET_ID = 10_001

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Population:
    """Accounts before anything happens to them; arrays run over accounts."""

    external_ids: tuple[str, ...]
    users: Ints
    noon: Floats
    start: int
    health: Trajectories


def generate(seed: int = 1, accounts: int = 300, history_end: int = HISTORY_END) -> World:
    """A year of `accounts` accounts up to `history_end`, and 60 days after it that arrive while someone watches."""
    rng = np.random.default_rng(seed)
    population = _population(rng, seed, accounts, history_end)
    columns = _use(rng, population)
    tickets = _tickets(rng, population)
    directory = _directory(rng, population, columns, tickets)
    known = columns.company < accounts
    months = month_starts(population.start, history_end + (_LIVE_DAYS - 1) * DAY)
    seats = count_seats(columns.event_time[known], columns.company[known], columns.user[known], accounts, months)
    directory = tuple(with_contract(account, seats) for account in directory)
    subscriptions, invoices = bill(directory, seats, _failures(rng, population, seats))
    return World(
        name=f"generated-{seed}",
        history_start=population.start - DAY,
        history_end=history_end,
        owners=owners(),
        accounts=directory,
        events=_events(columns, directory, tickets.requesters),
        tickets=tickets,
        seats=seats,
        subscriptions=subscriptions,
        invoices=invoices,
        truth=_truth(population),
        notes=("Everything in this world is generated.",),
    )


def _population(rng: np.random.Generator, seed: int, accounts: int, history_end: int) -> _Population:
    external_ids = tuple(f"acct_{base62(f'{seed}:{index}', 10)}" for index in range(accounts))
    typical = np.array([_TYPICAL_USERS[segment_of(external_id)] for external_id in external_ids])
    return _Population(
        external_ids=external_ids,
        users=np.clip(typical * rng.lognormal(0.0, 0.5, accounts), 2, _MOST_USERS).astype(np.int64),
        noon=np.array([_NOON[region_of(external_id)] for external_id in external_ids]),
        start=history_end - _HISTORY_DAYS * DAY,
        health=trajectories(rng, accounts, _HISTORY_DAYS + _LIVE_DAYS),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Use:
    event_time: Ints
    company: Ints
    user: Ints
    feature: Ints
    value: Ints
    files: Ints


def _use(rng: np.random.Generator, population: _Population) -> _Use:
    """Feature events: more users, more features and more use where health is good, little on weekends."""
    health, alive = population.health.health, population.health.alive
    weekday = (population.start // DAY + np.arange(health.shape[1]) + 3) % 7
    rate = population.users[:, None] * (0.1 + health) * np.where(weekday >= 5, _WEEKEND, 1.0) * alive
    counts = rng.poisson(rate * (_EVENTS / rate[:, :_HISTORY_DAYS].sum()))
    # Every account shows itself on its first day.
    counts[np.arange(len(counts)), population.health.first_day] += 1
    account, day = (np.repeat(index, counts.ravel()) for index in (index.ravel() for index in np.indices(counts.shape)))
    at = population.start + day * DAY + _time_of_day(rng, population.noon[account])
    healthy = health[account, day]
    pool = np.ceil(population.users[account] * (0.25 + 0.75 * healthy))
    user = np.minimum(rng.exponential(0.4, len(at)) * pool, pool - 1).astype(np.int64)
    width = np.ceil(len(_FEATURES) * (0.15 + 0.6 * healthy))
    # Each account has its own favourites: the same popularity curve over an order of its own.
    rank = np.minimum(rng.exponential(0.3, len(at)) * width, width - 1).astype(np.int64)
    columns: tuple[Ints, ...] = (
        at,
        account,
        account * _MOST_USERS + user,
        (rank + account * 7) % len(_FEATURES),
        rng.geometric(0.05, len(at)).astype(np.int64),
        rng.geometric(0.5, len(at)).astype(np.int64),
    )
    # Strangers do what some account's users do at the same time.
    like = rng.integers(0, len(at), _UNKNOWN_EVENTS)
    columns = tuple(np.concatenate([column, column[like]]) for column in columns)
    columns[1][len(at) :] = len(counts) + rng.integers(0, _UNKNOWN_COMPANIES, _UNKNOWN_EVENTS)
    order = np.argsort(columns[0], kind="stable")
    return _Use(*(column[order] for column in columns))


def _time_of_day(rng: np.random.Generator, noon: Floats) -> Ints:
    return (np.mod(rng.normal(noon, 2.6), 24.0) * 3_600).astype(np.int64)


def _tickets(rng: np.random.Generator, population: _Population) -> Tickets:
    """More tickets, solved more slowly, where health is bad; some of the last are never solved."""
    ill = 1 - population.health.health
    rate = 0.012 * np.sqrt(population.users)[:, None] * (0.5 + 3 * ill**2) * population.health.alive
    counts = rng.poisson(rate)
    account, day = (np.repeat(index, counts.ravel()) for index in (index.ravel() for index in np.indices(counts.shape)))
    opened_at = population.start + day * DAY + _time_of_day(rng, population.noon[account])

    hours = rng.lognormal(np.log(8.0), 1.0, len(opened_at)) * (1 + 8 * ill[account, day] ** 2)
    solved_at = opened_at + np.maximum(hours * 3_600, 300).astype(np.int64)
    urgency = np.clip(rng.normal(0.6 + 1.6 * ill[account, day], 0.8), 0, 3).astype(np.int64)
    requester = rng.integers(0, np.maximum(population.users[account] // 3, 1))
    order = np.argsort(opened_at, kind="stable")
    return Tickets(
        ticket_id=np.arange(_FIRST_TICKET_ID, _FIRST_TICKET_ID + len(order), dtype=np.int64),
        account=account[order],
        opened_at=opened_at[order],
        solved_at=solved_at[order],
        requester=(account * _MOST_USERS + requester)[order],
        priority=urgency[order],
        requesters=_user_names(population),
    )


def _user_names(population: _Population) -> tuple[str, ...]:
    return tuple(
        f"{external_id.removeprefix('acct_').lower()}-{number:03d}"
        for external_id in population.external_ids
        for number in range(_MOST_USERS)
    )


def _directory(rng: np.random.Generator, population: _Population, use: _Use, tickets: Tickets) -> tuple[Account, ...]:
    count = len(population.external_ids)
    first = np.full(count + _UNKNOWN_COMPANIES, np.iinfo(np.int64).max)
    np.minimum.at(first, use.company, use.event_time)
    np.minimum.at(first, tickets.account, tickets.opened_at)
    names, everyone = company_names(population.external_ids), owners()
    accounts = []
    for index, external_id in enumerate(population.external_ids):
        first_at = int(first[index])
        changes = list[AccountChange]()
        if rng.random() < 0.15:
            at = first_at + int(rng.integers(20 * DAY, 300 * DAY))
            changes.append(AccountChange(at, owner=everyone[int(rng.integers(len(everyone)))]))
        declined = population.health.decline_day[index]
        if declined >= 0 and rng.random() < 0.4:
            changes.append(
                AccountChange(max(population.start + int(declined + 30) * DAY, first_at + DAY), plan="Starter")
            )
        accounts.append(
            Account(
                index=index,
                external_id=external_id,
                crm_id=salesforce_id("001", external_id),
                name=names[external_id],
                segment=segment_of(external_id),
                region=region_of(external_id),
                plan=plan_of(external_id),
                owner=owner_of(external_id),
                created_at=first_at - DAY,
                first_activity_at=first_at,
                contract_seats=0,
                changes=tuple(sorted(changes, key=lambda change: change.at)),
            )
        )
    return tuple(accounts)


def _failures(rng: np.random.Generator, population: _Population, seats: Seats) -> Ints:
    """How many payment attempts of each month's invoice fail: none for most, several where health is bad."""
    day = np.clip((seats.months - population.start) // DAY + 28, 0, population.health.health.shape[1] - 1)
    ill = 1 - population.health.health[:, day]
    fails = rng.random(ill.shape) < 0.01 + 0.45 * ill**3
    return np.where(fails, 1 + rng.binomial(3, np.clip(ill, 0, 1)), 0).astype(np.int64)


def _events(use: _Use, accounts: tuple[Account, ...], users: tuple[str, ...]) -> FeatureEvents:
    strangers = tuple(f"trial_{base62(f'stranger:{number}', 8)}" for number in range(_UNKNOWN_COMPANIES))
    return FeatureEvents(
        row=np.arange(1, len(use.event_time) + 1, dtype=np.int64),
        event_time=use.event_time,
        company=use.company,
        user=use.user,
        feature=use.feature,
        lines_changed=use.value,
        files=use.files,
        company_ids=(*(account.crm_id for account in accounts), *strangers),
        users=users,
        features=_FEATURES,
    )


def _truth(population: _Population) -> tuple[TrueHealth, ...]:
    health = population.health

    def at(day: int) -> int | None:
        return None if day < 0 else population.start + day * DAY

    return tuple(
        TrueHealth(index, health.health[index], at(int(health.decline_day[index])), at(int(health.churn_day[index])))
        for index in range(len(population.external_ids))
    )
