"""Feature events of a block of days, drawn from what the days are like."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from connectors.simulation.calendar import DAY
from connectors.simulation.latent_health import Block
from connectors.simulation.population import BLOCK_DAYS, Floats, Population
from connectors.simulation.working_calendar import seasonal_share, utc_offsets, working_share
from connectors.simulation.world import Ints, Outage

FEATURES = tuple(
    f"{area}/{name}"
    for area in ("reports", "alerts", "imports", "projects", "automation", "api")
    for name in ("view", "create", "share", "export", "schedule")
)
UNKNOWN_COMPANIES = 12
# Events of a user who is well on a working day; events of strangers a block; what an outage leaves.
_A_DAY, _UNKNOWN_EVENTS, _DURING_OUTAGE = 0.138, 25, 0.08
# The busiest hour of a day, local time.
_NOON = 13.0


@dataclass(frozen=True, slots=True, eq=False)
class Use:
    """Columns sorted by time. A company that the CRM does not know is negative, `-1 - number`; `user` is a place in the
    account's roster, plus the roster's own first place."""

    event_time: Ints
    company: Ints
    user: Ints
    feature: Ints
    value: Ints
    files: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Rhythm:
    """What the calendar makes of a block's days: shares of a working day by [account, day], and the local offset."""

    work: Floats
    season: Floats
    offset: Floats


def rhythm(people: Population, midnight: int) -> Rhythm:
    """The calendar of the block that begins at a midnight."""
    work, ahead = working_share(midnight, BLOCK_DAYS), utc_offsets(midnight, BLOCK_DAYS)
    return Rhythm(work[people.country], seasonal_share(midnight, BLOCK_DAYS)[people.season], ahead[people.country])


def spread(counts: Ints) -> tuple[Ints, Ints]:
    """Accounts and days of single things, from how many there are of each by [account, day]."""
    account, day = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    return account.astype(np.int64), day.astype(np.int64)


def time_of_day(rng: np.random.Generator, offset: Floats) -> Ints:
    """Seconds of the day, UTC, around local noon."""
    return (np.mod(rng.normal(_NOON - offset, 2.6), 24.0) * 3_600).astype(np.int64)


def use(
    rng: np.random.Generator, people: Population, block: Block, days: Rhythm, midnight: int, outages: Sequence[Outage]
) -> Use:
    """More users, more features and more use where health is good; little on days off and in an outage."""
    share = block.signals["users"]
    rate = block.size * _A_DAY * (0.1 + share) * block.signals["depth"] * days.work * days.season * block.alive
    counts = rng.poisson(rate)
    first = people.first_day - block.first_day
    here = np.flatnonzero((first >= 0) & (first < BLOCK_DAYS))
    # Every account shows itself on its first day.
    counts[here, first[here]] += 1
    account, day = spread(counts)
    at = midnight + day * DAY + time_of_day(rng, days.offset[account, day])
    pool = np.ceil(block.size[account, day] * (0.25 + 0.75 * share[account, day]))
    pool = np.minimum(pool, people.roster[account] - block.gone[account, day])
    place = np.minimum(rng.exponential(0.4, len(at)) * pool, pool - 1).astype(np.int64)
    width = np.ceil(len(FEATURES) * (0.15 + 0.6 * block.signals["breadth"][account, day]))
    # Each account has its own favourites: the same popularity curve over an order of its own.
    rank = np.minimum(rng.exponential(0.3, len(at)) * width, width - 1).astype(np.int64)
    columns: tuple[Ints, ...] = (
        at,
        account,
        first_places(people)[account] + block.gone[account, day] + place,
        (rank + account * 7) % len(FEATURES),
        rng.geometric(0.05, len(at)).astype(np.int64),
        rng.geometric(0.5, len(at)).astype(np.int64),
    )
    chance = rng.random(len(at))
    kept = np.ones(len(at), dtype=bool)
    for outage in outages:
        kept &= ~((at >= outage.start) & (at < outage.end) & (chance > _DURING_OUTAGE))
    # An account's very first event is what its record in the CRM hangs on.
    kept |= np.isin(account, here) & (day == first[account])
    columns = tuple(column[kept] for column in columns)
    if len(columns[0]):
        # Strangers do what some account's users do at the same time.
        like = rng.integers(0, len(columns[0]), _UNKNOWN_EVENTS)
        strangers = -1 - rng.integers(0, UNKNOWN_COMPANIES, _UNKNOWN_EVENTS)
        known = len(columns[0])
        columns = tuple(np.concatenate([column, column[like]]) for column in columns)
        columns[1][known:] = strangers
    order = np.argsort(columns[0], kind="stable")
    return Use(*(column[order] for column in columns))


def roster_names(people: Population) -> tuple[str, ...]:
    """Everybody whom an account can ever have, account by account."""
    return tuple(
        f"{external_id.removeprefix('acct_').lower()}-{number:03d}"
        for external_id, size in zip(people.external_ids, people.roster.tolist(), strict=True)
        for number in range(size)
    )


def first_places(people: Population) -> Ints:
    """The place of each account's first person among all names."""
    return np.asarray(np.cumsum(people.roster) - people.roster, dtype=np.int64)
