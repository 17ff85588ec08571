"""Tickets of a block of days, and the answers that people give: CSAT for a ticket, NPS, the manager's own pulse."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from connectors.simulation.calendar import DAY
from connectors.simulation.generated_use import Rhythm, first_places, spread, time_of_day
from connectors.simulation.latent_health import Block
from connectors.simulation.population import BLOCK_DAYS, Floats, Population
from connectors.simulation.world import PRIORITIES, SURVEY_KINDS, Ints, Outage

_RATES_A_TICKET, _RATES_A_SURVEY, _PULSES = 0.3, 0.35, 0.7
_NPS_EVERY, _NPS_INVITED = 90, 3


@dataclass(frozen=True, slots=True, eq=False)
class TicketBlock:
    """Columns sorted by opening; `requester` is a place among all names."""

    account: Ints
    opened_at: Ints
    solved_at: Ints
    requester: Ints
    priority: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Columns in no order. `ticket` is a place in the block's tickets, or `-1`."""

    account: Ints
    kind: Ints
    answered_at: Ints
    respondent: Ints
    ticket: Ints
    score: Ints


def tickets(
    rng: np.random.Generator, people: Population, block: Block, days: Rhythm, midnight: int, outages: Sequence[Outage]
) -> TicketBlock:
    """More tickets, solved more slowly, where health is bad and where support is; many more in an outage."""
    ill = 1 - block.well
    base = 0.012 * np.sqrt(block.size) * (0.5 + 3 * ill**2) * np.maximum(days.work, 0.25) * np.sqrt(days.season)
    account, day = spread(rng.poisson(base * block.signals["tickets"] * block.alive))
    opened_at = midnight + day * DAY + time_of_day(rng, days.offset[account, day])
    urgency = rng.normal(0.6 + 1.6 * (1 - block.health[account, day]), 0.8)
    for outage in outages:
        on = (outage.start - midnight) // DAY
        # Those who are up at that hour notice; an account that begins on that very day does not yet.
        there = block.alive[:, on] & (people.first_day < block.first_day + on)
        hit = np.repeat(np.arange(len(people)), rng.poisson(0.06 * np.sqrt(block.size[:, on]) * there))
        during = outage.start + (rng.random(len(hit)) * (outage.end - outage.start)).astype(np.int64)
        account, day = np.concatenate([account, hit]), np.concatenate([day, np.full(len(hit), on)])
        opened_at = np.concatenate([opened_at, during])
        urgency = np.concatenate([urgency, rng.normal(2.6, 0.5, len(hit))])
    slow = block.signals["resolution"][account, day] * (1 + 4 * ill[account, day] ** 2)
    hours = rng.lognormal(np.log(9.0), 1.0, len(opened_at)) * slow
    solved_at = opened_at + np.maximum(hours * 3_600, 300).astype(np.int64)
    asking = np.maximum(block.size[account, day] // 3, 1).astype(np.int64)
    requester = first_places(people)[account] + block.gone[account, day] + rng.integers(0, asking)
    order = np.argsort(opened_at, kind="stable")
    priority = np.clip(urgency, 0, len(PRIORITIES) - 1).astype(np.int64)
    return TicketBlock(*(column[order] for column in (account, opened_at, solved_at, requester, priority)))


def answers(
    rng: np.random.Generator, people: Population, block: Block, days: Rhythm, midnight: int, opened: TicketBlock
) -> Answers:
    """What is answered to the surveys that this block sends."""
    parts = (
        _csat(rng, block, midnight, opened),
        _nps(rng, people, block, days, midnight),
        _pulse(rng, people, block, midnight),
    )
    return Answers(*(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(Answers)))


def _csat(rng: np.random.Generator, block: Block, midnight: int, opened: TicketBlock) -> Answers:
    rated = np.flatnonzero(rng.random(len(opened.opened_at)) < _RATES_A_TICKET)
    account, day = opened.account[rated], (opened.opened_at[rated] - midnight) // DAY
    hours = (opened.solved_at[rated] - opened.opened_at[rated]) / 3_600
    pleased = block.signals["sentiment"][account, day] + 0.9 - 0.45 * np.log(np.maximum(hours, 0.1) / 9)
    score = _five(pleased + rng.normal(0.0, 1.0, len(rated)))
    later = (rng.uniform(0.3, 48.0, len(rated)) * 3_600).astype(np.int64)
    kind = np.full(len(rated), SURVEY_KINDS.index("csat"))
    return _columns(account, kind, opened.solved_at[rated] + later, opened.requester[rated], rated, score)


def _nps(rng: np.random.Generator, people: Population, block: Block, days: Rhythm, midnight: int) -> Answers:
    account, day = spread(_due(people, block, _NPS_EVERY) * _NPS_INVITED)
    answered = rng.random(len(account)) < _RATES_A_SURVEY
    account, day = account[answered], day[answered]
    at = midnight + day * DAY + time_of_day(rng, days.offset[account, day])
    pool = np.maximum(block.size[account, day].astype(np.int64), 1)
    respondent = first_places(people)[account] + block.gone[account, day] + rng.integers(0, pool)
    likely = 2.8 + 6.2 * _share(block.signals["sentiment"][account, day])
    score = np.clip(np.round(rng.normal(likely, 1.8)), 0, 10)
    kind, no_ticket = np.full(len(at), SURVEY_KINDS.index("nps")), np.full(len(at), -1)
    return _columns(account, kind, at, respondent, no_ticket, score)


def _pulse(rng: np.random.Generator, people: Population, block: Block, midnight: int) -> Answers:
    account, day = spread(_due(people, block, BLOCK_DAYS))
    given = rng.random(len(account)) < _PULSES
    account, day = account[given], day[given]
    # A manager sees the health of a fortnight ago, and sees it kindly.
    seen = block.health[account, np.maximum(day - 14, 0)]
    score = np.clip(np.round(1.6 + 3.6 * seen + rng.normal(0.0, 0.6, len(account))), 1, 5)
    at = midnight + day * DAY + rng.integers(8 * 3_600, 17 * 3_600, len(account))
    nobody = np.full(len(account), -1)
    return _columns(account, np.full(len(account), SURVEY_KINDS.index("pulse")), at, nobody, nobody, score)


def _columns(*columns: npt.NDArray[Any]) -> Answers:
    return Answers(*(np.asarray(column, dtype=np.int64) for column in columns))


def _due(people: Population, block: Block, every: int) -> Ints:
    """One on every so-manieth day of each account that is alive, the days spread over the accounts."""
    day = block.first_day + np.arange(BLOCK_DAYS)
    turn = (day[None, :] + np.arange(len(people))[:, None] * 37) % every == 0
    due = turn & block.alive & (day[None, :] > people.first_day[:, None] + 20)
    return np.asarray(due, dtype=np.int64)


def _five(pleased: Floats) -> Floats:
    return np.clip(np.digitize(pleased, [-0.8, 0.0, 0.8, 1.8]) + 1, 1, 5).astype(np.float64)


def _share(logit: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logit)), dtype=np.float64)
