"""Every state that a ticket passes through, in the order in which an incremental export gives them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from connectors.simulation.world import NEVER, SURVEY_KINDS, Ints, Surveys, Tickets, no_surveys


class Position(NamedTuple):
    """A place in the export: the epoch second and the id of the last ticket given."""

    second: int
    ticket_id: int


@dataclass(frozen=True, slots=True, eq=False)
class TicketVersions:
    """Columns sorted by (`since`, ticket id): a version holds from `since` until `superseded_at`.

    `place` is the ticket's row in `World.tickets`; `solved` tells whether the ticket is solved in this version, and
    `deleted` whether it is soft-deleted; `rating` is how its requester has rated it by then, from 1 to 5, and 0 before.
    """

    since: Ints
    ticket_id: Ints
    place: Ints
    superseded_at: Ints
    solved: Ints
    deleted: Ints
    rating: Ints

    def page(self, after: Position, now: int, visible_until: int, size: int) -> tuple[list[int], bool]:
        """Versions in force at `now` that began after a position and by `visible_until`, and whether more follow."""
        low = int(np.searchsorted(self.since, after.second))
        while low < len(self.since) and (self.since[low], self.ticket_id[low]) <= after:
            low += 1
        high = int(np.searchsorted(self.since, visible_until, side="right"))
        current = np.flatnonzero(self.superseded_at[low:high] > now) + low
        return current[:size].tolist(), len(current) > size

    def current(self, ticket_ids: Sequence[int], now: int) -> list[int]:
        """The version in force at `now` of each of these tickets that is there by then and not deleted."""
        held = (self.since <= now) & (self.superseded_at > now) & (self.deleted == 0)
        return np.flatnonzero(held & np.isin(self.ticket_id, np.array(ticket_ids, dtype=np.int64))).tolist()

    def begun(self, first: int, last: int) -> list[int]:
        """The versions that began within these seconds, both included, oldest first."""
        low, high = np.searchsorted(self.since, first), np.searchsorted(self.since, last, side="right")
        return list(range(int(low), int(high)))


def ratings(tickets: Tickets, surveys: Surveys) -> tuple[Ints, Ints]:
    """When each ticket is rated, NEVER for most, and from 1 to 5 how well."""
    asked = np.flatnonzero(surveys.kind == SURVEY_KINDS.index("csat"))
    asked = asked[np.argsort(surveys.ticket_id[asked], kind="stable")]
    of_ticket = surveys.ticket_id[asked]
    place = np.searchsorted(of_ticket, tickets.ticket_id)
    found = np.zeros(len(tickets.ticket_id), dtype=bool)
    within = place < len(of_ticket)
    found[within] = of_ticket[place[within]] == tickets.ticket_id[within]
    rated_at, score = np.full(len(found), NEVER), np.zeros(len(found), dtype=np.int64)
    rated_at[found] = surveys.answered_at[asked[place[found]]]
    score[found] = surveys.score[asked[place[found]]]
    # Only what is solved can be rated: an item injected meanwhile may have changed when that is.
    found &= (rated_at > tickets.solved_at) & (rated_at > tickets.opened_at)
    return np.where(found, rated_at, NEVER), np.where(found, score, 0)


def ticket_versions(tickets: Tickets, deleted_at: Mapping[int, int], surveys: Surveys | None = None) -> TicketVersions:
    """The versions of every ticket: opened, solved, rated where there are answers to surveys, and deleted at the times
    given by ticket id.

    A ticket that is solved no later than it is opened is solved from its opening on. A deleted one has no version after
    its deletion.
    """
    places = np.arange(len(tickets.ticket_id), dtype=np.int64)
    gone_at = np.full(len(places), NEVER)
    for row in np.flatnonzero(np.isin(tickets.ticket_id, np.fromiter(deleted_at, np.int64, len(deleted_at)))):
        gone_at[row] = deleted_at[int(tickets.ticket_id[row])]
    rated_at, score = ratings(tickets, no_surveys() if surveys is None else surveys)
    twice, rated, gone = tickets.solved_at > tickets.opened_at, rated_at < gone_at, gone_at < NEVER
    ends = twice & (tickets.solved_at < gone_at)
    none = np.zeros(len(places), dtype=np.int64)
    after_solving = np.where(rated, rated_at, gone_at)
    after_opening = np.where(ends, tickets.solved_at, np.where(twice, gone_at, after_solving))
    parts = (
        (tickets.opened_at, places, after_opening, ~twice, none, none),
        (tickets.solved_at[ends], places[ends], after_solving[ends], ends[ends], none[ends], none[ends]),
        (rated_at[rated], places[rated], gone_at[rated], rated[rated], score[rated], none[rated]),
        (
            gone_at[gone],
            places[gone],
            np.full(int(gone.sum()), NEVER),
            (~twice | ends)[gone],
            np.where(rated, score, 0)[gone],
            gone[gone],
        ),
    )
    columns = (np.concatenate(column) for column in zip(*parts, strict=True))
    since, place, superseded_at, solved, rating, deleted = columns
    order = np.lexsort((tickets.ticket_id[place], since))
    return TicketVersions(
        since=since[order],
        ticket_id=tickets.ticket_id[place][order],
        place=place[order],
        superseded_at=superseded_at[order],
        solved=solved[order].astype(np.int64),
        deleted=deleted[order].astype(np.int64),
        rating=rating[order],
    )
