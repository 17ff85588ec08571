"""The connector contract: what a connector's author writes. The runner does the rest.

A connector is a folder with a `connector.py` whose `create(settings)` returns its streams. A stream fetches pages
(I/O, no transaction open) and maps raw objects to canonical events (pure, tested by golden pairs). The runner keeps
the stream's durable state, resolves accounts, skips what an overlap fetched again, sets aside what is wrong, and
commits raw objects, events, state, progress and counts in one Kafka transaction.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

Json = Any
State = Mapping[str, Json]
"""A stream's durable state by entry, as of the last committed transaction. `map` also sees what the maps of the page's
earlier objects updated, but never the page's own updates, such as its new cursor."""

StateUpdates = Mapping[str, Json]
"""Entries to set; None removes an entry."""


@dataclass(frozen=True, slots=True)
class RawObject:
    """A vendor object as fetched. `body` is the parsed JSON, or the text where it could not be parsed.

    `written` is the vendor's own JSON text of the body (UTF-8), from a stream that has it: that is what is kept. Others
    leave it out, and the body is written again.
    """

    object_type: str
    source_id: str
    body: Json
    written: bytes | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class MappedEvent:
    """A canonical event before its account is resolved.

    `account_ref` is an identity (`crm:account:<id>`), or the source's own name of an account that it cannot link.
    `occurrence` makes the event unique among events of its kind on the same object. `user` is the vendor's id of the
    person; the runner replaces it with a pseudonym.
    """

    kind: str
    object_type: str
    source_id: str
    event_time: datetime
    account_ref: str | None
    occurrence: str = ""
    user: str | None = None
    value: Decimal | None = None
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Profile:
    """An account's profile from `valid_from` on (source time), from an identity source.

    `arr` is annual recurring revenue in major units of `arr_currency` (ISO 4217); `time_zone` an IANA name; `parent`
    the identity of the account above it. What the source does not know is None: another may (docs/enrichment.md).
    """

    identity: str
    crm_id: str
    name: str
    created_at: datetime
    valid_from: datetime
    segment: str | None = None
    owner: str | None = None
    region: str | None = None
    plan: str | None = None
    arr: Decimal | None = None
    arr_currency: str | None = None
    time_zone: str | None = None
    renewal_date: date | None = None
    domain: str | None = None
    parent: str | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A claim that a source's own name of an account (`zendesk:organization:77`) means the account `account_ref`.

    `account_ref` is an identity (`crm:account:<id>`, or another source's own name) or a domain (`domain:acme.example`,
    see `connectors.identity.domains`). `evidence` says why it is claimed, and so which claim wins: `crm_link` (the
    CRM's record names the other system's id), `external_id`, `domain`. `valid_from` is source time.

    The links of one object are all that it claims about its name: what its stream claimed before and does not any more
    is withdrawn by itself (see `Mapped.claimants`). `withdrawn` takes back one claim where the others are not at hand.
    """

    identity: str
    account_ref: str
    evidence: str
    valid_from: datetime
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Merge:
    """The account `identity` went into the account `surviving`, whose events are that one's from `valid_from` on.

    An identity source says it with the merged account's profile, each time that it tells that; without it the account
    is its own again.
    """

    identity: str
    surviving: str
    valid_from: datetime


@dataclass(frozen=True, slots=True)
class Mapped:
    """What one raw object means: events, profiles, links, merges, and updates of the stream's state.

    `claimants` are names about which the object says everything that it claims, be it nothing any more; those of the
    links and the profiles need no mention.
    """

    events: Sequence[MappedEvent] = ()
    profiles: Sequence[Profile] = ()
    links: Sequence[Link] = ()
    merges: Sequence[Merge] = ()
    claimants: Sequence[str] = ()
    state: StateUpdates = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """One fetch. `state` holds the new cursor (and whatever else changed), stored in the events' transaction.

    `complete_through`: every event before this source time is in this or earlier pages; None while that cannot be
    said (a first load before its last page). `more`: fetch again at once, the vendor has another page.
    `verdict_time`: source time up to which the identity source must have spoken before an account of this page may be
    called unknown; None means the page's newest event time.
    """

    objects: Sequence[RawObject]
    state: StateUpdates
    complete_through: datetime | None
    more: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook request as it was received. Names of `headers` are in lower case; `url` is the public address."""

    source: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


class RefusedDeliveryError(Exception):
    """A delivery that is not the vendor's, or not in time: `status` (400, 401 or 403) is the answer.

    The message names no secret and quotes nothing of the body.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Webhook(ABC):
    """How a vendor signs what it sends. A connector that takes webhooks has `webhook(settings) -> Webhook | None`."""

    source: str

    @abstractmethod
    def verify(self, delivery: Delivery) -> str:
        """Checks signature and age over the raw bytes, in constant time; returns the delivery's own id.

        The id is the same when the vendor sends the same again. `received_at` is "now".

        Raises:
            RefusedDeliveryError: a header is missing (400), or the signature or the age is wrong (401 or 403).
        """


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """How far a first load is: `done` of `total` in `unit` (`days`, `records`); `total` None where the vendor tells
    none."""

    done: float
    total: float | None
    unit: str


class Asked(Protocol):
    """What a probe brings: the vendor's own time, and the headers, which may tell how much of its limit is left."""

    @property
    def at(self) -> datetime:
        """The vendor's time of the answer."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of the answer."""
        ...


@dataclass(frozen=True, slots=True)
class Probe:
    """One cheap request that shows whether the credentials may read `reads` (`tickets`).

    `permission` says what to grant where they may not, in a few words that follow "grant". `ask` raises as `fetch`.
    """

    reads: str
    permission: str
    ask: Callable[[], Asked]


class Stream(ABC):
    """One ordered flow of a connector, with one transactional id and one cursor."""

    source: str
    """Connector, for example `zendesk`."""
    name: str
    """Unique over all connectors, for example `zendesk.tickets`."""
    topics: tuple[str, ...]
    """Events topics that it writes, whose watermarks it holds."""
    identity_source: bool = False
    """Whether its profiles define accounts; the other streams' unknown accounts wait for its progress."""
    overlap: timedelta | None = None
    """How far back a fetch may bring the same events again; the runner remembers ids that long and skips them."""

    @abstractmethod
    def fetch(self, state: State) -> Page:
        """The next page from where `state` stands. Blocks on the vendor; no transaction is open.

        An up-to-date vendor gives an empty page whose `complete_through` moves on.

        Raises:
            RetriableError: a passing fault; the runner backs off and calls again with the same state.
            FatalError: configuration or credentials; the stream parks and says so.
        """

    def received(self, deliveries: Sequence[Delivery], state: State) -> Page | None:
        """What verified webhook deliveries bring to this stream, in the form of a page; None where that is nothing.

        A delivery of the vendor's objects gives them, one that only names an object has it fetched. The mapping, and so
        the ids of events, are those of the polled path: whichever comes first counts. The page moves neither the cursor
        nor `complete_through`, because what a vendor sends proves nothing of what it did not send.

        Raises: as `fetch`, and
            BadRecordError: a body cannot be read; the runner then asks for each delivery by itself, and those that
                fail go to the dead letters.
        """
        del deliveries, state
        return None

    def ready_in(self) -> float:
        """Seconds until a fetch would not wait for the vendor's request rate.

        The runner rests that long where nothing is to be fetched at once: what webhooks bring is taken in a rest, and
        not while a fetch waits.
        """
        return 0.0

    def probes(self) -> Sequence[Probe]:
        """One request for each kind of object that `fetch` reads, for `vitals connectors check`. Sends nothing yet.

        A stream without probes can only be checked for settings and for an address that answers.
        """
        return ()

    def progress(self, state: State) -> LoadProgress | None:
        """How far the first load is; None where the vendor tells too little. Asked between pages of a first load, at
        most every few seconds; may send one cheap request.

        Raises: as `fetch`; the load goes on without it.
        """
        del state
        return None

    @abstractmethod
    def map(self, raw: RawObject, state: State) -> Mapped:
        """The meaning of one raw object. Pure: same raw and state, same result.

        Raises:
            BadRecordError: the object is invalid; it goes to the dead letters and the page goes on.
        """

    def close(self) -> None:  # noqa: B027 - most streams hold nothing
        """Releases connections."""
