"""What one websocket client has still to be told: accounts, not values, so that a slow one gets the newest. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Pending:
    """What to send next. `accounts` is empty where a snapshot is due; a delta may be empty, as a first answer."""

    snapshot: bool
    accounts: tuple[str, ...]


class ConflatingBuffer:
    """Accounts whose newest value a client lacks, each once, however often it changed and however slow the client is.

    Bounded: beyond `limit` accounts, a snapshot is cheaper and takes the place of them all. `only` leaves out every
    other account.
    """

    def __init__(self, limit: int = 20_000, only: str | None = None) -> None:
        self._limit = limit
        self._only = only
        self._changed: dict[str, None] = {}
        self._snapshot_due = False
        self._answer_due = False

    def __bool__(self) -> bool:
        """Whether there is anything to send."""
        return self._snapshot_due or self._answer_due or bool(self._changed)

    def __len__(self) -> int:
        """Accounts kept."""
        return len(self._changed)

    def changed(self, accounts: Iterable[str]) -> None:
        """Takes note of accounts that have a newer value."""
        if self._snapshot_due:
            return
        for account_id in accounts:
            if self._only is None or account_id == self._only:
                self._changed[account_id] = None
        if len(self._changed) > self._limit:
            self.needs_snapshot()

    def needs_snapshot(self) -> None:
        """Takes note that the client must start anew."""
        self._snapshot_due = True
        self._changed.clear()

    def needs_answer(self) -> None:
        """Takes note that the client waits for a first message, even an empty one."""
        self._answer_due = True

    def take(self) -> Pending:
        """What to send now; afterwards the client lacks nothing."""
        pending = Pending(self._snapshot_due, tuple(self._changed))
        self._changed.clear()
        self._snapshot_due = self._answer_due = False
        return pending
