"""Who a generated world's accounts are before anything happens to them: size, rhythm, terms. Drawn block by block."""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from connectors.simulation.directory import plan_of, region_of, segment_of
from connectors.simulation.identifiers import base62
from connectors.simulation.working_calendar import SEASONS, country_of
from connectors.simulation.world import Ints

Floats = npt.NDArray[np.float64]

BLOCK_DAYS = 30
"""A world is made in blocks of so many days, each from a random stream of its own: what a block holds depends on the
seed and on the blocks before it, never on how far the world goes on."""

_TYPICAL_USERS = {"Enterprise": 45.0, "Mid-Market": 14.0, "SMB": 5.0}
_EMPLOYEES_A_USER = {"Enterprise": 40.0, "Mid-Market": 14.0, "SMB": 6.0}
_MOST_USERS = 200
# Terms in months, each with its share, and days of notice.
_TERMS = {"Enterprise": ((12, 0.7), (24, 0.3)), "Mid-Market": ((12, 0.85), (6, 0.15)), "SMB": ((12, 0.5), (3, 0.15))}
_NOTICE_DAYS = {24: 90, 12: 60, 6: 30, 3: 30, 1: 7}
_NEW, _SILENT, _SEASONAL, _AUTO_RENEW = 0.3, 0.04, 0.07, 0.7
# An account that is there from the first day on does not ramp up.
_NO_RAMP = 0.001


@dataclass(slots=True, eq=False)
class Population:
    """Columns over accounts. `first_day` counts from the world's first midnight.

    `usual` is the logit of an account's health when nothing is the matter; `ramp_days` how long its users take to come;
    `term_left` the months of the first contract that are left at its first turn of a month; `roster` how many different
    people it can ever have.
    """

    external_ids: list[str]
    segment: list[str]
    region: list[str]
    plan: list[str]
    country: Ints
    season: Ints
    silent: npt.NDArray[np.bool_]
    users: Floats
    usual: Floats
    first_day: Ints
    ramp_days: Floats
    employees: Ints
    seats: Ints
    term_months: Ints
    term_left: Ints
    notice_days: Ints
    auto_renew: npt.NDArray[np.bool_]
    roster: Ints

    def __len__(self) -> int:
        return len(self.external_ids)

    def extend(self, more: "Population") -> None:
        """Adds accounts after those that are there."""
        for column in fields(self):
            mine, theirs = getattr(self, column.name), getattr(more, column.name)
            setattr(self, column.name, [*mine, *theirs] if isinstance(mine, list) else np.concatenate([mine, theirs]))


def founders(seed: int, count: int, history_days: int) -> Population:
    """The accounts of the history: most are there on its first days, the others come until a month before its end."""
    rng = np.random.default_rng([seed, 0, 0])
    is_new = rng.random(count) < _NEW
    last = max(history_days - BLOCK_DAYS, 4)
    first_day = np.where(is_new, rng.integers(3, last, count), rng.integers(0, 3, count))
    return _drawn(rng, seed, range(count), first_day, ~is_new)


def newcomers(seed: int, block: int, first_index: int, count: int) -> Population:
    """The accounts that begin in a block after the history, at the earliest on its third day."""
    rng = np.random.default_rng([seed, 0, block])
    first_day = block * BLOCK_DAYS + rng.integers(2, BLOCK_DAYS, count)
    return _drawn(rng, seed, range(first_index, first_index + count), first_day, np.zeros(count, dtype=bool))


def _drawn(
    rng: np.random.Generator, seed: int, indexes: range, first_day: npt.NDArray[np.int64], old: npt.NDArray[np.bool_]
) -> Population:
    count = len(indexes)
    external_ids = [f"acct_{base62(f'{seed}:{index}', 10)}" for index in indexes]
    segments = [segment_of(external_id) for external_id in external_ids]
    regions = [region_of(external_id) for external_id in external_ids]
    typical = np.array([_TYPICAL_USERS[segment] for segment in segments])
    users = np.clip(typical * rng.lognormal(0.0, 0.5, count), 2.0, _MOST_USERS)
    wide = np.array([_EMPLOYEES_A_USER[segment] for segment in segments]) * rng.lognormal(0.0, 0.6, count)
    term = np.array(
        [_term(segment, chance) for segment, chance in zip(segments, rng.random(count), strict=True)], dtype=np.int64
    )
    left = np.where(old & (term > 1), 1 + (rng.random(count) * (term - 1)).astype(np.int64), term)
    seasonal = rng.random(count) < _SEASONAL
    return Population(
        external_ids=external_ids,
        segment=segments,
        region=regions,
        plan=[plan_of(external_id) for external_id in external_ids],
        country=np.array([country_of(*one) for one in zip(external_ids, regions, strict=True)], dtype=np.int64),
        season=np.where(seasonal, rng.integers(1, len(SEASONS), count), 0).astype(np.int64),
        silent=rng.random(count) < _SILENT,
        users=users,
        usual=np.clip(rng.normal(1.2, 0.5, count), 0.3, 2.6),
        first_day=first_day.astype(np.int64),
        ramp_days=np.where(old, _NO_RAMP, rng.uniform(12.0, 40.0, count)),
        employees=np.ceil(users * wide).astype(np.int64),
        seats=np.ceil(users * rng.uniform(0.95, 1.3, count)).astype(np.int64),
        term_months=term,
        term_left=left.astype(np.int64),
        notice_days=np.array([_NOTICE_DAYS[int(months)] for months in term], dtype=np.int64),
        auto_renew=rng.random(count) < _AUTO_RENEW,
        roster=(8 + np.ceil(users * 3)).astype(np.int64),
    )


def _term(segment: str, chance: float) -> int:
    for months, share in _TERMS[segment]:
        if chance < share:
            return months
        chance -= share
    return 1
