"""Every state that a ticket passes through, in the order in which an incremental export gives them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from connectors.simulation.world import NEVER, Ints, Tickets


class Position(NamedTuple):
    """A place in the export: the epoch second and the id of the last ticket given."""

    second: int
    ticket_id: int


@dataclass(frozen=True, slots=True, eq=False)
class TicketVersions:
    """Columns sorted by (`since`, ticket id): a version holds from `since` until `superseded_at`.

    `place` is the ticket's row in `World.tickets`; `solved` tells whether the ticket is solved in this version, and
    `deleted` whether it is soft-deleted.
    """

    since: Ints
    ticket_id: Ints
    place: Ints
    superseded_at: Ints
    solved: Ints
    deleted: Ints

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


def ticket_versions(tickets: Tickets, deleted_at: Mapping[int, int]) -> TicketVersions:
    """The versions of every ticket: opened, solved, and deleted at the times given by ticket id.

    A ticket that is solved no later than it is opened has one version, solved, from its opening on. A deleted one has
    no version after its deletion.
    """
    places = np.arange(len(tickets.ticket_id), dtype=np.int64)
    gone_at = np.full(len(places), NEVER)
    for row in np.flatnonzero(np.isin(tickets.ticket_id, np.fromiter(deleted_at, np.int64, len(deleted_at)))):
        gone_at[row] = deleted_at[int(tickets.ticket_id[row])]
    twice = tickets.solved_at > tickets.opened_at
    ends = twice & (tickets.solved_at < gone_at)
    gone = gone_at < NEVER
    since = np.concatenate([tickets.opened_at, tickets.solved_at[ends], gone_at[gone]])
    place = np.concatenate([places, places[ends], places[gone]])
    superseded_at = np.concatenate(
        [np.where(ends, tickets.solved_at, gone_at), gone_at[ends], np.full(int(gone.sum()), NEVER)]
    )
    solved = np.concatenate([~twice, np.ones(int(ends.sum()), dtype=bool), (~twice | ends)[gone]]).astype(np.int64)
    deleted = np.concatenate([np.zeros(len(places) + int(ends.sum()), dtype=np.int64), np.ones(int(gone.sum()))])
    order = np.lexsort((tickets.ticket_id[place], since))
    return TicketVersions(
        since[order],
        tickets.ticket_id[place][order],
        place[order],
        superseded_at[order],
        solved[order],
        deleted.astype(np.int64)[order],
    )
