"""Requests that wait for their commit."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime

from connectors.collect.source_time import SourceTime
from connectors.contract import RawObject
from connectors.fates import SetAside
from vitals.errors import RetriableError

MOST_BYTES = 64 * 1024 * 1024
"""Waiting bodies; beyond this a request is answered 503 at once, so that an outage cannot exhaust the memory."""


@dataclass(frozen=True, slots=True)
class Received:
    """A valid call and the id of the event that it means."""

    raw: RawObject
    event_id: str


@dataclass(eq=False, slots=True)
class Submission:
    """One request. `settled` completes once everything in it is committed; its waiter cancels it to give up."""

    received_at: datetime
    size: int
    admitted_at: float
    calls: Sequence[Received] = ()
    invalid: Sequence[SetAside] = ()
    settled: Future[None] = field(default_factory=Future)

    @property
    def abandoned(self) -> bool:
        """Whether the client was told to come again."""
        return self.settled.cancelled()


class Inbox:
    """Submissions between their receipt and their answer, oldest first. Safe to share between threads.

    The time of receipt is given here, under the same lock as the promise of progress: nothing is ever admitted with
    an earlier time than what was promised.
    """

    def __init__(self, source_time: SourceTime) -> None:
        self._source_time = source_time
        self._changed = threading.Condition()
        self._open: dict[int, Submission] = {}
        self._waiting: list[Submission] = []
        self._bytes = 0

    def admit(self, size: int) -> Submission:
        """A submission of `size` bytes, received now. Follow with `put` or `leave`.

        Raises:
            RetriableError: too much waits, or source time is unknown.
        """
        with self._changed:
            if self._bytes + size > MOST_BYTES:
                raise RetriableError("Too many requests wait for Kafka.")
            submission = Submission(self._source_time.now(), size, time.monotonic())
            self._open[id(submission)] = submission
            self._bytes += size
            return submission

    def put(self, submission: Submission) -> None:
        """Hands it to the committer."""
        with self._changed:
            self._waiting.append(submission)
            self._changed.notify_all()

    def leave(self, submission: Submission) -> None:
        """It is answered, refused or given up."""
        with self._changed:
            if self._open.pop(id(submission), None) is not None:
                self._bytes -= submission.size
            if submission in self._waiting:
                self._waiting.remove(submission)

    def take(self, timeout_seconds: float, linger_seconds: float, most_calls: int) -> list[Submission]:
        """What waits: after the first arrival for `linger_seconds` more, or until it is enough for a transaction."""
        with self._changed:
            if not self._waiting:
                self._changed.wait(timeout_seconds)
            if not self._waiting:
                return []
            until = time.monotonic() + linger_seconds
            while self._calls() < most_calls and (rest := until - time.monotonic()) > 0:
                self._changed.wait(rest)
            taken: list[Submission] = []
            count = 0
            while self._waiting and (not taken or count + len(self._waiting[0].calls) <= most_calls):
                taken.append(self._waiting.pop(0))
                count += len(taken[-1].calls)
            return taken

    def complete_through(self, committing: Sequence[Submission]) -> datetime:
        """Source time that nothing outside `committing` was received before, now or later; less a second's slack.

        Raises:
            RetriableError: source time is unknown.
        """
        with self._changed:
            included = {id(submission) for submission in committing}
            oldest = next(
                (submission.received_at for key, submission in self._open.items() if key not in included), None
            )
            now = self._source_time.now()
            return (now if oldest is None else min(oldest, now)) - self._source_time.slack

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        with self._changed:
            return not self._waiting

    def _calls(self) -> int:
        return sum(len(submission.calls) for submission in self._waiting)
