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


@dataclass(frozen=True, slots=True)
class Owner:
    """The customer-success manager that the CRM names for an account; `user_id` is a Salesforce id."""

    user_id: str
    name: str
    email: str


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
    """A seat-based subscription. `seat_changes` starts with the creation; `status_changes` holds what follows it."""

    subscription_id: str
    account: int
    created_at: int
    seat_changes: tuple[tuple[int, int], ...]
    status_changes: tuple[tuple[int, str], ...] = ()
    canceled_at: int | None = None


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

    @property
    def paid_at(self) -> int | None:
        """When a try succeeded, if ever."""
        return next((at for at, succeeded in self.attempts if succeeded), None)


@dataclass(frozen=True, slots=True)
class TrueHealth:
    """What a generated world knows and no vendor tells: latent health by day, and where a decline begins."""

    account: int
    health: npt.NDArray[np.float64]
    decline_start: int | None
    churned_at: int | None


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """A company's accounts and all that happens to them, before and after `history_end`."""

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
