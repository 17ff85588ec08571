"""The conversations stream: each cycle looks at companies and contacts that changed, then reads the conversations."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog

from connectors.contract import Delivery, LoadProgress, Mapped, Page, Probe, RawObject, State, Stream
from connectors.fields import iso, since
from connectors.intercom.accounts import (
    companies_of,
    company_claims,
    company_entry,
    contact_companies,
    contact_entry,
    contact_of,
)
from connectors.intercom.client import (
    CursorRefusedError,
    Found,
    IntercomClient,
    ScrollLostError,
    ScrollTakenError,
)
from connectors.intercom.contact_days import searched_after
from connectors.intercom.mapping import COMPANY, CONTACT, CONVERSATION, MARGIN, RECENT, map_object
from connectors.intercom.notifications import notified_objects
from connectors.promises import Read, add_read, record
from vitals.errors import RetriableError

log = structlog.get_logger()

INDEX_LAG = timedelta(minutes=15)
"""A search may miss what changed within this time: only what is older is promised, and not read again."""

COMPANIES_EVERY = timedelta(hours=1)
"""Time between two scrolls through all companies. One that is not known meanwhile is asked for by itself."""

_SCROLL_LATER_SECONDS = 60
_SCROLLS_LOST_MOST = 6
_CLOSING_SCROLLS_MOST = 5
# Requests of one fetch that bring nothing new, before the place is written down and a stop is noticed.
_QUIET_REQUESTS = 20
_REMEMBERED_ABSENT = 100_000

_ORDER = (COMPANY, CONTACT, CONVERSATION)
COMPANIES, CONTACTS, CONVERSATIONS = "companies", "contacts", "conversations"


@dataclass(frozen=True, slots=True)
class Walk:
    """The stream's entry `walk`; times are the vendor's epoch seconds.

    `phase` is what is read now, `at` the vendor's time of the newest answer. Companies: `scroll` is the open scroll,
    `scroll_began` its begin, `scrolls_lost` how many broke in a row, `companies_due` when the next is, `scrolled` is
    true once one was read whole, `closing` how often that was tried at the end of the first load. Contacts:
    `contacts_at` is when the last look at them began, `contacts_began` when the one under way did, `contacts_after` its
    place. Conversations: updated from `begin` to `until`, `after` is the place in the search, `position` the newest
    change read, `reads` this walk's pages (see `connectors.promises`), and `tail` what it met of its newest minutes
    (see `connectors.intercom.mapping.RECENT`).
    """

    phase: str = COMPANIES
    at: int = 0
    timezone: str = ""
    scroll: str | None = None
    scroll_began: int = 0
    scrolls_lost: int = 0
    companies_due: int = 0
    scrolled: bool = False
    closing: int = 0
    contacts_at: int = 0
    contacts_began: int = 0
    contacts_after: str | None = None
    begin: int = 0
    until: int = 0
    after: str | None = None
    position: int = 0
    reads: Sequence[Read] = ()
    tail: dict[str, int] | None = None

    @classmethod
    def read(cls, entry: Any) -> "Walk":
        """From its JSON form; None is the beginning."""
        return cls() if entry is None else cls(**{**entry, "reads": tuple(map(tuple, entry["reads"]))})

    def json(self) -> dict[str, Any]:
        """As it is stored."""
        return {**asdict(self), "reads": [list(read) for read in self.reads]}


class ConversationStream(Stream):
    """`intercom.conversations`.

    Entries: `walk`, `since` (what the last complete cycle promised), `walked` (its record), `recent`, `company/<id>`,
    `contact/<id>`, `rated/<conversation>`.
    """

    source = "intercom"
    name = "intercom.conversations"
    topics = ("events.support",)
    # Ids are kept by day; a day more than the margin keeps them over a long catch-up too.
    overlap = MARGIN + timedelta(days=1)

    def __init__(self, client: IntercomClient) -> None:
        self._client = client
        self._scrolled: set[str] | None = None
        # Whether nobody can have missed a part of the open scroll: the vendor keeps its place, and tells none twice.
        self._whole = False
        self._absent: set[str] = set()
        self._first_read: int | None = None

    def fetch(self, state: State) -> Page:
        """The next companies or contacts that changed, or the next conversations."""
        walk, objects = Walk.read(state.get("walk")), list[RawObject]()
        for _ in range(_QUIET_REQUESTS):
            if walk.phase == CONVERSATIONS:
                return self._conversations(walk, state)
            if walk.closing and walk.phase == CONTACTS:
                return self._closed(walk, state)
            step = self._companies if walk.phase == COMPANIES else self._contacts
            objects, walk = step(walk, state)
            if objects:
                break
        return Page(objects, {"walk": walk.json()}, since(state), more=True)

    def received(self, deliveries: Sequence[Delivery], state: State) -> Page | None:
        """The conversations, contacts and companies of notifications; see `connectors.intercom.notifications`.

        During the first load they bring nothing: it reads what they tell.
        """
        if since(state) is None:
            return None
        objects = list(notified_objects(deliveries, self._client))
        conversations = [one.body for one in objects if one.object_type == CONVERSATION]
        told = {f"{one.object_type}/{one.source_id}": one for one in objects if not one.body.get("deleted")}
        objects += self._accounts_of(conversations, state, 0, told)
        # A conversation is mapped with what its contact's and company's notifications said.
        objects.sort(key=lambda one: _ORDER.index(one.object_type))
        return Page(objects, {}, since(state), more=False) if objects else None

    def probes(self) -> Sequence[Probe]:
        """One conversation, one contact and one company."""
        return tuple(
            Probe(what, f"the permission to {permission} to the app", partial(self._client.probe, what))
            for what, permission in (
                (CONVERSATIONS, "read conversations"),
                (CONTACTS, "read and list users and companies"),
                (COMPANIES, "read and list users and companies"),
            )
        )

    def progress(self, state: State) -> LoadProgress | None:
        """Days of conversations read since this process began, of those up to the walk's bound; the companies and the
        contacts before them do not tell how many they are."""
        walk = Walk.read(state.get("walk"))
        if walk.phase != CONVERSATIONS or not walk.position:
            return None
        if self._first_read is None:
            self._first_read = walk.position
        day = 86_400.0
        return LoadProgress((walk.position - self._first_read) / day, (walk.until - self._first_read) / day, "days")

    def map(self, raw: RawObject, state: State) -> Mapped:
        """See `connectors.intercom.mapping`."""
        return map_object(raw, state)

    def close(self) -> None:
        """Closes connections."""
        self._client.close()

    def _companies(self, walk: Walk, state: State) -> tuple[list[RawObject], Walk]:
        """Companies that say something else of their account than the state holds, while a scroll is due."""
        if walk.scroll is None and walk.companies_due > walk.at:
            return [], replace(walk, phase=CONTACTS)
        if walk.scroll is None:
            workspace = self._client.workspace()
            began = int(workspace.at.timestamp())
            walk = replace(walk, timezone=workspace.timezone, at=began, scroll_began=began)
            self._scrolled, self._whole = set(), True
        try:
            page = self._client.companies(walk.scroll)
        except RetriableError:
            self._whole = False
            raise
        except ScrollTakenError as error:
            # Not worth waiting for: whichever company is needed is asked for by itself.
            log.warning("intercom_scroll_taken", reason=str(error))
            return [], _without_scroll(walk)
        except ScrollLostError as error:
            log.info("intercom_scroll_lost", reason=str(error))
            lost = replace(walk, scroll=None, scrolls_lost=walk.scrolls_lost + 1)
            return [], lost if lost.scrolls_lost < _SCROLLS_LOST_MOST else _without_scroll(lost)
        walk = replace(walk, at=int(page.at.timestamp()), scroll=page.scroll)
        self._whole = self._whole and not page.repeated
        if page.companies:
            if self._scrolled is not None:
                self._scrolled.update(str(one.get("id")) for one in page.companies)
            return [_object(COMPANY, one) for one in page.companies if _claims_anew(one, state)], walk
        if not self._whole and walk.scrolls_lost + 1 < _SCROLLS_LOST_MOST:
            # What it did not show is not gone, only missed.
            log.info("intercom_scroll_incomplete", reason="a part of it may have been answered unseen")
            return [], replace(walk, scroll=None, scrolls_lost=walk.scrolls_lost + 1)
        due = walk.scroll_began + int(COMPANIES_EVERY.total_seconds())
        ended = replace(walk, phase=CONTACTS, scroll=None, scrolls_lost=0, companies_due=due)
        ended = replace(ended, scrolled=walk.scrolled or self._whole)
        return self._vanished(state, walk.at), ended

    def _vanished(self, state: State, at: int) -> list[RawObject]:
        """Companies that a whole scroll did not show and that are gone: those without users do not show either.

        A scroll that another process began is not whole for this one; the next tells.
        """
        scrolled, self._scrolled = self._scrolled, None
        if scrolled is None:
            return []
        known = (entry.removeprefix("company/") for entry in state if entry.startswith("company/"))
        missing = [company_id for company_id in known if company_id not in scrolled]
        return [
            RawObject(COMPANY, company_id, {"type": "company", "id": company_id, "deleted": True, "deleted_at": at})
            for company_id in missing
            if self._client.company(company_id) is None
        ]

    def _contacts(self, walk: Walk, state: State) -> tuple[list[RawObject], Walk]:
        """Contacts whose companies changed, the newest first, back to the last look at them."""
        floor = walk.contacts_at - int(INDEX_LAG.total_seconds()) if walk.contacts_at else 0
        after = searched_after(datetime.fromtimestamp(floor, UTC), walk.timezone) if floor else 0
        try:
            found = self._client.contacts(after, walk.contacts_after)
        except CursorRefusedError as error:
            log.info("intercom_cursor_refused", search=CONTACTS, reason=str(error))
            return [], replace(walk, contacts_after=None, contacts_began=0)
        at = int(found.at.timestamp())
        walk = replace(walk, at=at, contacts_began=walk.contacts_began or at, contacts_after=found.after)
        fresh = [one for one in found.rows if not _older(one, floor)]
        if len(fresh) < len(found.rows) or found.after is None:
            lag = int(INDEX_LAG.total_seconds())
            complete = since(state)
            walk = replace(
                walk,
                phase=CONVERSATIONS,
                contacts_at=walk.contacts_began,
                contacts_began=0,
                contacts_after=None,
                begin=0 if complete is None else int(complete.timestamp()),
                until=max(at, 0 if complete is None else int(complete.timestamp()) + lag),
                position=0,
                reads=(),
                tail={},
            )
        return [_object(CONTACT, one) for one in fresh if _belongs_anew(one, state)], walk

    def _conversations(self, walk: Walk, state: State) -> Page:
        try:
            found = self._client.conversations(walk.begin, walk.until, walk.after)
        except CursorRefusedError as error:
            log.info("intercom_cursor_refused", search=CONVERSATIONS, reason=str(error))
            again = replace(walk, after=None, begin=max(walk.begin, walk.position))
            return Page((), {"walk": again.json()}, since(state), more=True)
        rows = [one for one in found.rows if not _older(one, walk.begin)]
        met = state.get(RECENT, {})
        changed = [one for one in rows if met.get(str(one.get("id"))) != _updated(one)]
        asked_until = walk.contacts_at - int(INDEX_LAG.total_seconds())
        objects = [*self._accounts_of(changed, state, asked_until), *(_object(CONVERSATION, one) for one in changed)]
        return self._page(walk, found, rows, objects, state)

    def _page(
        self, walk: Walk, found: Found, rows: Sequence[dict[str, Any]], objects: Sequence[RawObject], state: State
    ) -> Page:
        complete = since(state)
        through = datetime.fromtimestamp(walk.until, UTC) - INDEX_LAG
        position = max([walk.position, *map(_updated, rows)])
        at = int(found.at.timestamp())
        walk = replace(
            walk,
            at=at,
            after=found.after,
            position=position,
            tail={**(walk.tail or {}), **_tail(rows, int(through.timestamp()), at)},
        )
        if found.after is not None:
            # Others of the same second may follow.
            read = min(datetime.fromtimestamp(max(position - 1, 0), UTC), through)
            walk = replace(walk, reads=add_read(walk.reads, found.at, read))
            return Page(objects, {"walk": walk.json()}, complete, more=True)
        walk = replace(walk, reads=add_read(walk.reads, found.at, through))
        if complete is None and not walk.scrolled:
            # Nothing is promised before every company was read, or others have held the scroll for too long.
            closing = replace(walk, phase=COMPANIES, companies_due=0, closing=1)
            return Page(objects, {"walk": closing.json()}, None, more=True)
        return self._promised(walk, objects, state)

    def _closed(self, walk: Walk, state: State) -> Page:
        """The end of a first load that had to read the companies again; it tries that some times."""
        if walk.scrolled or walk.closing >= _CLOSING_SCROLLS_MOST:
            return self._promised(replace(walk, closing=0), (), state)
        again = replace(walk, phase=COMPANIES, companies_due=0, closing=walk.closing + 1)
        return Page((), {"walk": again.json()}, None, more=True)

    def _promised(self, walk: Walk, objects: Sequence[RawObject], state: State) -> Page:
        """The end of a walk: what it has read completely."""
        complete = since(state)
        through = datetime.fromtimestamp(walk.until, UTC) - INDEX_LAG
        through = max(through, complete or through)
        updates: dict[str, Any] = {
            "since": iso(through),
            "walked": record(state, through, datetime.fromtimestamp(walk.at, UTC), walk.reads),
            "walk": replace(walk, phase=COMPANIES, position=0, reads=(), tail=None).json(),
        }
        if walk.tail != state.get(RECENT):
            updates[RECENT] = walk.tail
        return Page(objects, updates, through, more=False)

    def _accounts_of(
        self,
        conversations: Iterable[dict[str, Any]],
        state: State,
        looked_until: int,
        told: Mapping[str, RawObject] | None = None,
    ) -> list[RawObject]:
        """The contacts and companies of conversations that the state does not hold and no look at all can have shown.

        A contact who has no entry has no company, unless the conversation changed after `looked_until`. Those in `told`
        (by the names of their entries) need not be asked for.
        """
        found = dict(told or {})
        for conversation in conversations:
            contact_id = contact_of(conversation)
            companies = list(companies_of(conversation, state))
            if contact_id is not None and not companies and _updated(conversation) > looked_until:
                entry = contact_entry(contact_id)
                contact = found.get(entry) or self._ask(entry, state)
                if contact is not None:
                    found[entry] = contact
                    companies = contact_companies(contact.body)
            for company_id in companies:
                entry = company_entry(company_id)
                company = found.get(entry) or self._ask(entry, state)
                if company is not None:
                    found[entry] = company
        return [one for entry, one in found.items() if entry not in (told or {})]

    def _ask(self, entry: str, state: State) -> RawObject | None:
        """One contact or company by its entry's name; None where it is known, absent, or of no company."""
        if entry in state or entry in self._absent:
            return None
        kind, _, identifier = entry.partition("/")
        body = self._client.contact(identifier) if kind == CONTACT else self._client.company(identifier)
        if body is None or (kind == CONTACT and not contact_companies(body)):
            if len(self._absent) >= _REMEMBERED_ABSENT:
                self._absent.clear()
            self._absent.add(entry)
            return None
        return _object(kind, body)


def _object(kind: str, body: dict[str, Any]) -> RawObject:
    return RawObject(kind, str(body.get("id")), body)


def _without_scroll(walk: Walk) -> Walk:
    return replace(walk, phase=CONTACTS, scroll=None, scrolls_lost=0, companies_due=walk.at + _SCROLL_LATER_SECONDS)


def _updated(row: dict[str, Any]) -> int:
    updated_at = row.get("updated_at")
    return int(updated_at) if isinstance(updated_at, int | float) else 0


def _older(row: dict[str, Any], begin: int) -> bool:
    """Whether a row was read before; one whose time is malformed goes on, to the dead letters."""
    return isinstance(row.get("updated_at"), int | float) and _updated(row) < begin


def _claims_anew(company: dict[str, Any], state: State) -> bool:
    held, claims = state.get(company_entry(company.get("id"))), company_claims(company)
    return held is None or any(held[name] != claims[name] for name in ("own_id", "domain"))


def _belongs_anew(contact: dict[str, Any], state: State) -> bool:
    held = state.get(contact_entry(contact.get("id")))
    return contact_companies(contact) != (held["companies"] if held else [])


def _tail(rows: Iterable[dict[str, Any]], through: int, at: int) -> dict[str, int]:
    """The version in which each row from `through` on was met; of a second that is not over, the one before."""
    return {str(row.get("id")): min(_updated(row), at - 1) for row in rows if _updated(row) >= through}
