"""The tickets stream: each cycle reads the organizations that changed, then the tickets behind the stored cursor.

A webhook names a ticket, which is then read by itself, a minute before the export would show it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from connectors.contract import Delivery, LoadProgress, Mapped, Page, Probe, RawObject, State, Stream
from connectors.fields import iso, since
from connectors.promises import Read, add_read, record
from connectors.zendesk.client import NAMED_MAX, CursorRefusedError, TicketsPage, ZendeskClient
from connectors.zendesk.mapping import (
    DELIVERED,
    MARGIN,
    ORGANIZATION,
    TICKET,
    map_object,
    organization_entry,
    organization_version,
)
from connectors.zendesk.webhook import ticket_named

log = structlog.get_logger()

HIDDEN = timedelta(seconds=60)
"""The server keeps changes of the last minute back."""

# A start is refused when it is not at least this old, so each cycle begins this long before the last item.
_RECENT_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Walk:
    """The stream's entry `walk`.

    `organizations_from` is the epoch second of the last organization read; `within` tells that their export goes on
    from it. `organizations_at` is the vendor's epoch second at which that export was last complete. `cursor` is where
    the tickets go on, and `tickets_from` where they begin while there is no cursor. `reads` are this cycle's pages of
    tickets (see `connectors.promises`).
    """

    organizations_from: int = 0
    within: bool = False
    organizations_at: int = 0
    in_tickets: bool = False
    cursor: str | None = None
    tickets_from: int = 0
    reads: Sequence[Read] = ()

    @classmethod
    def read(cls, entry: Any) -> "Walk":
        """From its JSON form; None is the beginning."""
        return cls() if entry is None else cls(**{**entry, "reads": tuple(map(tuple, entry["reads"]))})

    def json(self) -> dict[str, Any]:
        """As it is stored."""
        entry = {name: getattr(self, name) for name in self.__slots__}
        return {**entry, "reads": [list(read) for read in self.reads]}


class TicketStream(Stream):
    """`zendesk.tickets`.

    Entries: `walk`, `since` (what the last complete cycle promised), `walked` (its record), `org/<id>` (organizations
    that were read), `rated/<ticket>` (the rating that was told).
    """

    source = "zendesk"
    name = "zendesk.tickets"
    topics = ("events.support",)
    # Ids are kept by day; a day more than the margin keeps them over a long catch-up too.
    overlap = MARGIN + timedelta(days=1)

    def __init__(self, client: ZendeskClient) -> None:
        self._client = client
        self._first_read: float | None = None

    def fetch(self, state: State) -> Page:
        """The next organizations that changed, or the next tickets."""
        walk = Walk.read(state.get("walk"))
        if not walk.in_tickets:
            links, walk = self._organizations(walk, state)
            if links or not walk.in_tickets:
                return Page(links, {"walk": walk.json()}, since(state), more=True)
        try:
            page = self._client.tickets(cursor=walk.cursor, start_time=walk.tickets_from)
        except CursorRefusedError as error:
            return self._begin_again(walk, state, str(error))
        if _unlinked(page, state, walk.organizations_at - int(HIDDEN.total_seconds())):
            # An organization younger than the last look at them: its tickets wait for its link.
            links, looked = self._organizations(walk, state)
            if links or not looked.in_tickets:
                return Page(links, {"walk": looked.json()}, since(state), more=True)
            walk = looked
        return self._tickets(walk, page, state)

    def received(self, deliveries: Sequence[Delivery], state: State) -> Page | None:
        """The tickets that the deliveries name, as they are now, behind the organizations not met before.

        What changed so long before the promise that an export has shown it is passed over. A ticket whose organization
        is gone is left to the exports, which show deleted ones too.
        """
        complete = since(state)
        if complete is None:
            return None
        named = {
            one.ticket_id: None
            for one in map(ticket_named, deliveries)
            if one is not None and (one.changed_at is None or one.changed_at > complete - MARGIN)
        }
        tickets: list[dict[str, Any]] = []
        for ids in _batches(list(named)):
            tickets += self._client.tickets_named(ids)
        unknown = {
            str(ticket["organization_id"]): None
            for ticket in tickets
            if ticket.get("organization_id") is not None and organization_entry(ticket["organization_id"]) not in state
        }
        links = [one for ids in _batches(list(unknown)) for one in self._client.organizations_named(ids)]
        gone = set(unknown) - {str(one["id"]) for one in links}
        objects = [RawObject(ORGANIZATION, str(one["id"]), one) for one in links]
        objects += [
            RawObject(TICKET, str(ticket.get("id")), {**ticket, DELIVERED: True})
            for ticket in tickets
            if str(ticket.get("organization_id")) not in gone
        ]
        return Page(objects, {}, complete, more=False) if objects else None

    def ready_in(self) -> float:
        """Until a whole cycle fits into the exports' rate."""
        return self._client.ready_in()

    def probes(self) -> Sequence[Probe]:
        """Both exports, which only an administrator's credentials may read."""
        permission = "the scope `read` to the OAuth client (or the token) of an administrator"
        return (
            Probe("tickets", permission, lambda: self._client.probe("tickets/cursor")),
            Probe("organizations", permission, lambda: self._client.probe("organizations")),
        )

    def progress(self, state: State) -> LoadProgress | None:
        """Days of ticket history read since this process began, of those up to now."""
        reads = Walk.read(state.get("walk")).reads
        if not reads:
            return None
        at, position = reads[-1]
        if self._first_read is None:
            self._first_read = position
        day = 86_400.0
        return LoadProgress((position - self._first_read) / day, (at - self._first_read) / day, "days")

    def map(self, raw: RawObject, state: State) -> Mapped:
        """See `connectors.zendesk.mapping`."""
        return map_object(raw, state)

    def close(self) -> None:
        """Closes connections."""
        self._client.close()

    def _organizations(self, walk: Walk, state: State) -> tuple[list[RawObject], Walk]:
        """Organizations whose version the state does not hold yet, and the walk behind them."""
        start = walk.organizations_from if walk.within else max(0, walk.organizations_from - _RECENT_SECONDS)
        page = self._client.organizations(start)
        links = [
            RawObject(ORGANIZATION, str(one["id"]), one)
            for one in page.organizations
            if state.get(organization_entry(one["id"])) != organization_version(one)
        ]
        if page.end_of_stream:
            return links, replace(
                walk,
                organizations_from=max(walk.organizations_from, page.end_time),
                within=False,
                organizations_at=int(page.at.timestamp()),
                in_tickets=True,
            )
        reached = page.end_time
        if reached <= start:
            log.warning("zendesk_full_second", start_time=start)
            reached = start + 1
        return links, replace(walk, organizations_from=reached, within=True, in_tickets=False)

    def _tickets(self, walk: Walk, page: TicketsPage, state: State) -> Page:
        objects = [RawObject(TICKET, str(ticket.get("id")), ticket) for ticket in page.tickets]
        walk = replace(walk, cursor=page.after_cursor or walk.cursor, in_tickets=not page.end_of_stream)
        complete = since(state)
        if not page.end_of_stream:
            if page.tickets:
                # Others of the same second may follow.
                last = datetime.fromtimestamp(max(map(_generated, page.tickets)) - 1, UTC)
                walk = replace(walk, reads=add_read(walk.reads, page.at, last, HIDDEN))
            return Page(objects, {"walk": walk.json()}, complete, more=True)
        through = max(page.at - HIDDEN, complete or page.at - HIDDEN)
        reads = add_read(walk.reads, page.at, through, HIDDEN)
        ended = {"since": iso(through), "walked": record(state, through, page.at, reads)}
        return Page(objects, {"walk": replace(walk, reads=()).json(), **ended}, through, more=False)

    def _begin_again(self, walk: Walk, state: State, reason: str) -> Page:
        """Forgets a cursor that Zendesk refuses: tickets begin again from shortly before what is complete."""
        complete = since(state)
        begin = 0 if complete is None else int((complete - MARGIN).timestamp())
        log.warning("zendesk_cursor_refused", reason=reason, start=datetime.fromtimestamp(begin, UTC).isoformat())
        return Page((), {"walk": replace(walk, cursor=None, tickets_from=begin).json()}, complete, more=True)


def _batches(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + NAMED_MAX] for start in range(0, len(ids), NAMED_MAX)]


def _unlinked(page: TicketsPage, state: State, looked_until: int) -> bool:
    """Whether a ticket's organization is not known and may be younger than the organizations read."""
    return any(
        ticket.get("organization_id") is not None
        and organization_entry(ticket["organization_id"]) not in state
        and _generated(ticket) > looked_until
        for ticket in page.tickets
    )


def _generated(ticket: dict[str, Any]) -> float:
    generated = ticket.get("generated_timestamp")
    return float(generated) if isinstance(generated, int | float) else 0.0
