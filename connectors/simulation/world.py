"""The vendor-neutral timeline of a company's accounts: what happened when. Simulators render it as of a source time.

All times are epoch seconds, UTC. Everything here is immutable: what is visible at a source time is a pure function of
the world and that time, and an injected item gives a new world.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

# The `solved_at` of a ticket that is never solved within the world.
NEVER = np.iinfo(np.int64).max

PRIORITIES = ("low", "normal", "high", "urgent")

# An assumption that every world shares, in US cents for each seat and month: the real data holds no prices.
LIST_PRICE_CENTS = 10_000
# What a seat costs under a contract, by its plan. A subscription that names no plan is at the list price.
PLAN_PRICES_CENTS: Mapping[str, int] = {"Starter": 6_000, "Growth": LIST_PRICE_CENTS, "Enterprise": 15_000}


def seat_price_cents(plan: str | None) -> int:
    """US cents for a seat and month under a plan; the list price where none is named."""
    return LIST_PRICE_CENTS if plan is None else PLAN_PRICES_CENTS.get(plan, LIST_PRICE_CENTS)


@dataclass(frozen=True, slots=True)
class Owner:
    """The customer-success manager that the CRM names for an account; `user_id` is a Salesforce id."""

    user_id: str
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Contract:
    """The term that an account is bound to: from `start` to before `end`, both first instants of a month.

    It ends at `end` where notice is given at the latest `notice_days` before; otherwise another term follows, by itself
    with `auto_renew` and else by a renewal that somebody signs.
    """

    start: int
    end: int
    term_months: int
    notice_days: int
    auto_renew: bool
    seats: int
    plan: str

    @property
    def arr_cents(self) -> int:
        """Annual recurring revenue in US cents."""
        return self.seats * seat_price_cents(self.plan) * 12


@dataclass(frozen=True, slots=True)
class AccountChange:
    """A later state of an account in the CRM; `None` leaves a field as it is.

    `merged_into` is the CRM id of the account that survives a merge; the change that names it also deletes.
    """

    at: int
    owner: Owner | None = None
    plan: str | None = None
    deleted: bool | None = None
    merged_into: str | None = None
    contract: Contract | None = None


@dataclass(frozen=True, slots=True)
class HeldLink:
    """What the support and billing systems hold of an account from a time on, right or wrong; None: nothing."""

    at: int
    crm_id: str | None
    domain: str | None


@dataclass(frozen=True, slots=True)
class Account:
    """An account as the CRM knows it. `index` is its place in `World.accounts`, stable within a world.

    `held` are the links that other systems hold instead of the right ones (`connectors.simulation.links`), in order of
    time; `crm_names_others` tells that the CRM's record names the ids that other systems have for it.
    `contract` is the first one; those that follow are among `changes`. `time_zone` is an IANA name. Where a world does
    not know them, texts are empty, `employees` is 0 and `contract` is None.
    """

    index: int
    external_id: str
    crm_id: str
    name: str
    segment: str
    region: str
    plan: str
    owner: Owner
    created_at: int
    first_activity_at: int
    contract_seats: int
    changes: tuple[AccountChange, ...] = ()
    held: tuple[HeldLink, ...] = ()
    crm_names_others: bool = False
    domain: str = ""
    country: str = ""
    time_zone: str = ""
    employees: int = 0
    contract: Contract | None = None

    def contract_at(self, at: int) -> Contract | None:
        """The contract in force, or the last one that was."""
        later = (change.contract for change in reversed(self.changes) if change.at <= at and change.contract)
        return next(later, self.contract)


@dataclass(frozen=True, slots=True, eq=False)
class FeatureEvents:
    """Columns of equal length, sorted by `event_time`.

    `company`, `user` and `feature` are codes into the tuples below. The first codes of `company_ids` are the accounts'
    indexes; the codes after them are companies that the CRM does not know.
    """

    row: Ints
    event_time: Ints
    company: Ints
    user: Ints
    feature: Ints
    lines_changed: Ints
    files: Ints
    company_ids: tuple[str, ...]
    users: tuple[str, ...]
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Tickets:
    """Columns of equal length; `requester` is a code into `requesters`, `priority` one into `PRIORITIES`."""

    ticket_id: Ints
    account: Ints
    opened_at: Ints
    solved_at: Ints
    requester: Ints
    priority: Ints
    requesters: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Seats:
    """Distinct users of each account in each calendar month: `users[account, month]`."""

    months: Ints
    users: Ints


@dataclass(frozen=True, slots=True)
class Subscription:
    """A seat-based subscription. `seat_changes` starts with the creation; `status_changes` holds what follows it.

    `plan_changes`, where a world has plans with prices of their own, starts with the creation too.
    """

    subscription_id: str
    account: int
    created_at: int
    seat_changes: tuple[tuple[int, int], ...]
    status_changes: tuple[tuple[int, str], ...] = ()
    canceled_at: int | None = None
    plan_changes: tuple[tuple[int, str], ...] = ()

    def plan_at(self, at: int) -> str | None:
        """The plan whose price a seat has; None for the list price."""
        earlier = (plan for since, plan in reversed(self.plan_changes) if since <= at)
        return next(earlier, self.plan_changes[0][1] if self.plan_changes else None)


@dataclass(frozen=True, slots=True)
class Invoice:
    """One invoice; `attempts` are the tries to collect it, each with its outcome."""

    invoice_id: str
    account: int
    subscription_id: str
    period_start: int
    period_end: int
    created_at: int
    finalized_at: int
    seats: int
    amount_cents: int
    attempts: tuple[tuple[int, bool], ...]
    uncollectible_at: int | None = None
    billing_reason: str = "subscription_cycle"
    plan: str | None = None

    @property
    def paid_at(self) -> int | None:
        """When a try succeeded, if ever."""
        return next((at for at, succeeded in self.attempts if succeeded), None)


@dataclass(frozen=True, slots=True)
class Opportunity:
    """A renewal or an expansion in the CRM; `stages` starts with the creation and ends, once closed, with the outcome.

    The new business with which an account begins is not among them: it closes at the first activity.
    """

    opportunity_id: str
    account: int
    kind: str
    created_at: int
    expected_close: int
    amount_cents: int
    stages: tuple[tuple[int, str], ...]

    def stage_at(self, at: int) -> tuple[int, str]:
        """The stage at an instant and since when; the first one before the creation."""
        return next((stage for stage in reversed(self.stages) if stage[0] <= at), self.stages[0])


@dataclass(frozen=True, slots=True)
class Contact:
    """A person at an account whom the CRM knows. `user` is the person's code in `FeatureEvents.users`."""

    contact_id: str
    account: int
    name: str
    email: str
    title: str
    role: str
    user: int
    joined_at: int
    left_at: int = NEVER


ACTIVITY_KINDS = ("email", "call", "meeting", "task")


@dataclass(frozen=True, slots=True, eq=False)
class Activities:
    """What a customer-success manager does with an account. Columns of equal length, sorted by `created_at`.

    `kind` is a code into `ACTIVITY_KINDS`, `contact` a place in `World.contacts`. What is not done has `done_at` NEVER.
    """

    row: Ints
    account: Ints
    contact: Ints
    kind: Ints
    created_at: Ints
    due_at: Ints
    done_at: Ints


SURVEY_KINDS = ("nps", "csat", "pulse")


@dataclass(frozen=True, slots=True, eq=False)
class Surveys:
    """Answers that somebody gave. Columns of equal length, sorted by `answered_at`.

    `kind` is a code into `SURVEY_KINDS`: NPS has scores from 0 to 10, CSAT (of the ticket `ticket_id`) from 1 to 5, and
    so has the pulse, which is the manager's own opinion of the account. `respondent` is a code in
    `FeatureEvents.users`; a pulse has -1.
    """

    row: Ints
    account: Ints
    kind: Ints
    answered_at: Ints
    respondent: Ints
    ticket_id: Ints
    score: Ints


def _none() -> Ints:
    return np.zeros(0, dtype=np.int64)


def no_activities() -> Activities:
    """A world without them."""
    return Activities(*(_none() for _ in range(7)))


def no_surveys() -> Surveys:
    """A world without them."""
    return Surveys(*(_none() for _ in range(7)))


@dataclass(frozen=True, slots=True)
class Outage:
    """A span in which the company's own product did not work, for everybody."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Episode:
    """A decline: from `start`, for a `cause`, to at most `depth` (0 to 1), until `end`.

    `outcome` is `recovered`, `contracted` (renewed with fewer seats, then better), `churned`, or `ongoing` while it is
    open. `end` is when the account is as it was before, or gone; None while it is not.
    """

    start: int
    cause: str
    depth: float
    end: int | None = None
    outcome: str = "ongoing"


@dataclass(frozen=True, slots=True)
class TrueHealth:
    """What a generated world knows and no vendor tells: latent health by day, and where a decline begins.

    `health` has a figure from 0 to 1 for each day from the midnight after `World.history_start`. `decline_start` is
    that of the episode that led to the churn, else of the first one. `contract` is the last one known.
    """

    account: int
    health: npt.NDArray[np.float64]
    decline_start: int | None
    churned_at: int | None
    episodes: tuple[Episode, ...] = ()
    notice_at: int | None = None
    expanded_at: tuple[int, ...] = ()
    contracted_at: tuple[int, ...] = ()
    contract: Contract | None = None
    traits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class World:
    """A company's accounts and all that happens to them, before and after `history_end`, up to `known_until`."""

    name: str
    history_start: int
    history_end: int
    owners: tuple[Owner, ...]
    accounts: tuple[Account, ...]
    events: FeatureEvents
    tickets: Tickets
    seats: Seats
    subscriptions: tuple[Subscription, ...]
    invoices: tuple[Invoice, ...]
    truth: tuple[TrueHealth, ...] = ()
    notes: tuple[str, ...] = field(default=())
    deleted_tickets: Mapping[int, int] = field(default_factory=dict)
    """When each ticket that was deleted was."""
    opportunities: tuple[Opportunity, ...] = ()
    contacts: tuple[Contact, ...] = ()
    activities: Activities = field(default_factory=no_activities)
    surveys: Surveys = field(default_factory=no_surveys)
    outages: tuple[Outage, ...] = ()
    known_until: int = NEVER

    def __repr__(self) -> str:
        """The name alone: a world is megabytes of text."""
        return f"<World {self.name}>"
