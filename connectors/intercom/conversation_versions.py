"""Every state that a simulated conversation passes through, in the order in which a search gives them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from connectors.simulation.identifiers import hashed
from connectors.simulation.ticket_versions import ratings
from connectors.simulation.world import NEVER, SURVEY_KINDS, Ints, Surveys, Tickets

ASSIGNED_AFTER_SECONDS = 40
"""An inner event moves `updated_at` and is no customer's doing: a teammate takes the conversation over."""

_RATED_OF_TEN = 3
_SOONEST_RATING_SECONDS, _RATING_SPREAD_SECONDS = 300, 6 * 3_600
# Many are content; who is not says so.
_SCORES = (5, 5, 5, 4, 4, 4, 3, 2, 1, 1)


class Position(NamedTuple):
    """A place in a search sorted by `updated_at`."""

    second: int
    number: int


@dataclass(frozen=True, slots=True, eq=False)
class ConversationVersions:
    """Columns sorted by (`since`, conversation): a version holds from `since` until `superseded_at`.

    `place` is the conversation's row in `World.tickets`; `rated_at` and `stars` run over those rows, `NEVER` and 0
    where nobody rates.
    """

    since: Ints
    number: Ints
    place: Ints
    superseded_at: Ints
    rated_at: Ints
    stars: Ints

    def current(self, low: int, high: int, as_of: int) -> Ints:
        """Versions in force at `as_of` that began from one second to another, both included."""
        first = int(np.searchsorted(self.since, low))
        last = int(np.searchsorted(self.since, min(high, as_of), side="right"))
        return np.flatnonzero(self.superseded_at[first:last] > as_of) + first

    def following(self, versions: Ints, after: Position | None, *, descending: bool, most: int) -> Ints:
        """At most so many of some versions, which are in their order, from behind a place on."""
        ordered = versions[::-1] if descending else versions
        if after is not None:
            second, number = self.since[ordered], self.number[ordered]
            beyond = (second < after.second) if descending else (second > after.second)
            same = (number < after.number) if descending else (number > after.number)
            ordered = ordered[beyond | ((second == after.second) & same)]
        return ordered[:most]

    def position(self, version: int) -> Position:
        """Where a version stands in the order."""
        return Position(int(self.since[version]), int(self.number[version]))


def score(ticket_id: int) -> int | None:
    """The stars that a solved ticket gets, from 1 to 5; None for the seven in ten that nobody rates."""
    drawn = hashed(f"rating:{ticket_id}")
    return _SCORES[drawn // 10 % 10] if drawn % 10 < _RATED_OF_TEN else None


def rated_after(ticket_id: int) -> int:
    """Seconds from a ticket's solution to its rating."""
    return _SOONEST_RATING_SECONDS + hashed(f"rated after:{ticket_id}") % _RATING_SPREAD_SECONDS


def conversation_versions(tickets: Tickets, surveys: Surveys | None = None) -> ConversationVersions:
    """The versions of every ticket as a conversation: opened, assigned, closed, rated.

    Who rates, and how, is told by a world's surveys; where it has none, drawn from the ticket.
    """
    count = len(tickets.ticket_id)
    if surveys is not None and (surveys.kind == SURVEY_KINDS.index("csat")).any():
        rated_at, stars = ratings(tickets, surveys)
    else:
        rated_at, stars = _drawn_ratings(tickets)
    moments = np.stack(
        [
            tickets.opened_at,
            tickets.opened_at + ASSIGNED_AFTER_SECONDS,
            np.maximum(tickets.solved_at, tickets.opened_at),
            rated_at,
        ],
        axis=1,
    )
    moments.sort(axis=1)
    following = np.concatenate([moments[:, 1:], np.full((count, 1), NEVER, dtype=np.int64)], axis=1)
    # Of two changes in one second, one version shows both.
    kept = (moments < NEVER) & (moments != following)
    place = np.broadcast_to(np.arange(count, dtype=np.int64)[:, None], moments.shape)[kept]
    since, superseded_at = moments[kept], following[kept]
    order = np.lexsort((tickets.ticket_id[place], since))
    return ConversationVersions(
        since[order], tickets.ticket_id[place][order], place[order], superseded_at[order], rated_at, stars
    )


def _drawn_ratings(tickets: Tickets) -> tuple[Ints, Ints]:
    rated_at = np.full(len(tickets.ticket_id), NEVER, dtype=np.int64)
    stars = np.zeros(len(rated_at), dtype=np.int64)
    for place, (ticket_id, solved_at) in enumerate(
        zip(tickets.ticket_id.tolist(), tickets.solved_at.tolist(), strict=True)
    ):
        given = score(ticket_id)
        if solved_at < NEVER and given is not None:
            rated_at[place] = max(solved_at, int(tickets.opened_at[place])) + rated_after(ticket_id)
            stars[place] = given
    return rated_at, stars
