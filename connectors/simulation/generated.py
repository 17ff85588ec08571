"""A generated world: accounts whose latent health drives all that vendors show; the truth is kept beside it.

Everything is drawn from one seed. Figures are made up to look plausible; they are not fitted to any data.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import TypeVar

import numpy as np

from connectors.simulation import generated_crm, generated_support, generated_use
from connectors.simulation.calendar import DAY, epoch, month_starts
from connectors.simulation.contract_billing import bill_contracts
from connectors.simulation.contract_course import Contracts, Months
from connectors.simulation.directory import owners
from connectors.simulation.generated_crm import ActivityBlock
from connectors.simulation.generated_support import Answers, TicketBlock
from connectors.simulation.generated_use import FEATURES, UNKNOWN_COMPANIES, Use, rhythm
from connectors.simulation.identifiers import base62
from connectors.simulation.latent_health import FAR, Block, Decline, LatentHealth
from connectors.simulation.population import BLOCK_DAYS, Floats, founders, newcomers
from connectors.simulation.seat_counts import count_seats
from connectors.simulation.working_calendar import SEASONS
from connectors.simulation.world import (
    NEVER,
    Account,
    Episode,
    FeatureEvents,
    Ints,
    Outage,
    Surveys,
    Tickets,
    TrueHealth,
    World,
)

HISTORY_END = epoch("2026-11-01")
ACCOUNTS, HISTORY_DAYS = 300, 365

_LIVE_DAYS = 60
_NEWCOMERS_A_BLOCK = 0.014
# An outage in every so-manieth block, and how many days it is felt.
_OUTAGE_EVERY, _FELT_DAYS = 7, 6.0
_FIRST_TICKET_ID = 10_001

Columns = TypeVar("Columns", Use, TicketBlock, Answers, ActivityBlock)


def generate(
    seed: int = 1, accounts: int = ACCOUNTS, history_end: int = HISTORY_END, history_days: int = HISTORY_DAYS
) -> World:
    """A year of `accounts` accounts up to `history_end`, and 60 days or some more that arrive while someone watches."""
    return Generator(seed, accounts, history_end, history_days).world()


class Generator:
    """Makes a world as far as it is asked to, a block of days at a time; what it has made never changes.

    With `arrivals` new accounts keep coming after the history, a little over one in a hundred a month.
    """

    def __init__(
        self,
        seed: int = 1,
        accounts: int = ACCOUNTS,
        history_end: int = HISTORY_END,
        history_days: int = HISTORY_DAYS,
        *,
        arrivals: bool = False,
    ) -> None:
        self._seed, self._accounts, self._arrivals = seed, accounts, arrivals
        self._start, self._history_end = history_end - history_days * DAY, history_end
        usual = (accounts, history_days, history_end) == (ACCOUNTS, HISTORY_DAYS, HISTORY_END)
        self.name = f"generated-{seed}" if usual else f"generated-{seed}-{accounts}x{history_days}-{history_end // DAY}"
        self._history_blocks = -(-history_days // BLOCK_DAYS)
        self._people = founders(seed, accounts, history_days)
        self._health = LatentHealth(self._people)
        self._health.welcome()
        self._contracts = Contracts(self._start, self._health)
        self._contracts.welcome()
        self._months = Months(self._start)
        self._outages: list[Outage] = []
        self._failures: dict[int, Ints] = {}
        self._lived: list[Floats] = []
        self._use: list[Use] = []
        self._tickets: list[TicketBlock] = []
        self._answers: list[Answers] = []
        self._activities: list[ActivityBlock] = []
        self._made: World | None = None

    @property
    def known_until(self) -> int:
        """The instant up to which the world is made."""
        return self._start + len(self._lived) * BLOCK_DAYS * DAY

    def world(self, until: int | None = None) -> World:
        """The world, made up to `until` at least; 60 days after the history by default."""
        goal = self._history_end + _LIVE_DAYS * DAY if until is None else until
        while self.known_until < goal or not self._lived:
            self._add_block()
        if self._made is None or self._made.known_until < self.known_until:
            self._made = self._assembled()
        return self._made

    def _add_block(self) -> None:
        number = len(self._lived)
        first_day, midnight = number * BLOCK_DAYS, self.known_until
        if self._arrivals and number >= self._history_blocks:
            self._welcome(number)
        rng = np.random.default_rng([self._seed, 1, number])
        outages = self._outage(number, midnight)
        block = self._health.block(first_day)
        for day in range(first_day, first_day + BLOCK_DAYS):
            self._contracts.live(day, rng)
            self._health.live(day, rng, block, self._shock(day))
            if self._months.turns(day):
                self._failures[day] = _failures(rng, block, day - first_day)
        days = rhythm(self._people, midnight)
        drawn = np.random.default_rng([self._seed, 2, number])
        opened = generated_support.tickets(drawn, self._people, block, days, midnight, outages)
        given = generated_support.answers(drawn, self._people, block, days, midnight, opened)
        tickets_before = sum(len(one.account) for one in self._tickets)
        given.ticket[given.ticket >= 0] += tickets_before
        self._use.append(generated_use.use(drawn, self._people, block, days, midnight, outages))
        self._tickets.append(opened)
        self._answers.append(given)
        self._activities.append(generated_crm.activities(drawn, self._people, block, days, midnight))
        self._lived.append(block.health)

    def _welcome(self, number: int) -> None:
        since = number - self._history_blocks
        rate = self._accounts * _NEWCOMERS_A_BLOCK
        more = int(rate * (since + 1)) - int(rate * since)
        self._people.extend(newcomers(self._seed, number, len(self._people), more))
        self._health.welcome()
        self._contracts.welcome()

    def _outage(self, number: int, midnight: int) -> list[Outage]:
        if number % _OUTAGE_EVERY != 2 + self._seed % 4:
            return []
        rng = np.random.default_rng([self._seed, 3, number])
        start = midnight + int(rng.integers(3, BLOCK_DAYS - 3)) * DAY + int(rng.integers(8 * 3_600, 16 * 3_600))
        self._outages.append(Outage(start, start + int(rng.integers(2 * 3_600, 7 * 3_600))))
        return self._outages[-1:]

    def _shock(self, day: int) -> float:
        since = [day - (outage.start - self._start) // DAY for outage in self._outages]
        return sum(float(np.exp(-days / _FELT_DAYS)) for days in since if days >= 0)

    def _assembled(self) -> World:
        people, courses, count = self._people, self._contracts.courses, len(self._people)
        used, opened = _joined(self._use), _joined(self._tickets)
        churn = [None if day == FAR else self._start + day * DAY for day in self._health.churn_day.tolist()]
        left_at = [at if at is not None and at < self.known_until else None for at in churn]
        first_at = _first(used.event_time, used.company, opened, count)
        accounts = generated_crm.directory(self._seed, people, courses, first_at, churn, self._start)
        contacts, champions = generated_crm.contacts(people, accounts, self._health.departures, self._start)
        subscriptions, invoices = bill_contracts(
            accounts, courses, left_at, self._failures, self._start, self.known_until
        )
        names = generated_use.roster_names(people)
        known, months = used.company >= 0, month_starts(self._start, self.known_until - 1)
        opportunities = [one for course in courses for one in course.opportunities]
        return World(
            name=self.name,
            history_start=self._start - DAY,
            history_end=self._history_end,
            owners=owners(),
            accounts=accounts,
            events=_events(used, accounts, names),
            tickets=Tickets(
                ticket_id=np.arange(_FIRST_TICKET_ID, _FIRST_TICKET_ID + len(opened.account), dtype=np.int64),
                account=opened.account,
                opened_at=opened.opened_at,
                solved_at=opened.solved_at,
                requester=opened.requester,
                priority=opened.priority,
                requesters=names,
            ),
            seats=count_seats(used.event_time[known], used.company[known], used.user[known], count, months),
            subscriptions=subscriptions,
            invoices=invoices,
            truth=self._truth(churn),
            notes=("Everything in this world is generated.",),
            opportunities=tuple(sorted(opportunities, key=lambda one: (one.created_at, one.opportunity_id))),
            contacts=contacts,
            activities=generated_crm.with_people(_joined(self._activities), contacts, champions, churn),
            surveys=_surveys(_joined(self._answers), churn),
            outages=tuple(self._outages),
            known_until=self.known_until,
        )

    def _truth(self, churn: Sequence[int | None]) -> tuple[TrueHealth, ...]:
        found = []
        days = len(self._lived) * BLOCK_DAYS
        health = np.full((len(self._people), days), np.nan)
        for number, lived in enumerate(self._lived):
            health[: len(lived), number * BLOCK_DAYS : (number + 1) * BLOCK_DAYS] = lived
        for index, (course, declines) in enumerate(zip(self._contracts.courses, self._health.declines, strict=True)):
            traits = [] if SEASONS[self._people.season[index]] == "steady" else [SEASONS[self._people.season[index]]]
            led = [one for one in declines if one.outcome == "churned"] or declines
            found.append(
                TrueHealth(
                    account=index,
                    health=health[index],
                    decline_start=self._start + led[0].start * DAY if led else None,
                    churned_at=churn[index],
                    episodes=tuple(self._episode(one) for one in declines),
                    notice_at=course.notice_at,
                    expanded_at=tuple(course.expanded_at),
                    contracted_at=tuple(course.contracted_at),
                    contract=course.contract,
                    traits=tuple([*traits, "silent"] if self._people.silent[index] else traits),
                )
            )
        return tuple(found)

    def _episode(self, one: Decline) -> Episode:
        end = None if one.end is None else self._start + one.end * DAY
        return Episode(self._start + one.start * DAY, one.cause, round(one.depth, 3), end, one.outcome)


def _failures(rng: np.random.Generator, block: Block, column: int) -> Ints:
    """How many attempts fail for the invoices of a turn of the month: none for most, several where money is short."""
    short = block.signals["payments"][:, column] + 4 * (1 - block.well[:, column]) - 5.2
    share = 1 / (1 + np.exp(-short))
    fails, more = rng.random(len(share)) < share, rng.binomial(3, 0.2 + 0.6 * share)
    return np.where(fails, 1 + more, 0).astype(np.int64)


def _joined(blocks: Sequence[Columns]) -> Columns:
    kind = type(blocks[0])
    return kind(*(np.concatenate([getattr(one, column.name) for one in blocks]) for column in fields(kind)))


def _first(event_time: Ints, company: Ints, opened: TicketBlock, count: int) -> Ints:
    """When each account first does anything."""
    first = np.full(count, NEVER)
    known = company >= 0
    np.minimum.at(first, company[known], event_time[known])
    np.minimum.at(first, opened.account, opened.opened_at)
    return first


def _events(use: Use, accounts: tuple[Account, ...], users: tuple[str, ...]) -> FeatureEvents:
    strangers = tuple(f"trial_{base62(f'stranger:{number}', 8)}" for number in range(UNKNOWN_COMPANIES))
    return FeatureEvents(
        row=np.arange(1, len(use.event_time) + 1, dtype=np.int64),
        event_time=use.event_time,
        company=np.where(use.company < 0, len(accounts) - 1 - use.company, use.company),
        user=use.user,
        feature=use.feature,
        lines_changed=use.value,
        files=use.files,
        company_ids=(*(account.crm_id for account in accounts), *strangers),
        users=users,
        features=FEATURES,
    )


def _surveys(given: Answers, churn: Sequence[int | None]) -> Surveys:
    """The answers in order of time, without those of accounts that are gone by then."""
    gone = np.array([NEVER if at is None else at for at in churn], dtype=np.int64)
    order = np.lexsort((given.ticket, given.account, given.answered_at))
    order = order[given.answered_at[order] < gone[given.account[order]]]
    return Surveys(
        row=np.arange(1, len(order) + 1, dtype=np.int64),
        account=given.account[order],
        kind=given.kind[order],
        answered_at=given.answered_at[order],
        respondent=given.respondent[order],
        ticket_id=np.where(given.ticket[order] >= 0, given.ticket[order] + _FIRST_TICKET_ID, 0),
        score=given.score[order],
    )
