"""Resume tokens of the websocket: which deltas a client has seen. Pure."""

import base64
import binascii
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

START = "0-0"
"""Before the first entry of a stream."""

_STREAM_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}", re.ASCII)


class InvalidResumeTokenError(Exception):
    """The token is not one of ours; a client that sends it gets a snapshot."""


@dataclass(frozen=True)
class ResumeToken:
    """The epoch of Redis's content, and the id of the last delta seen of each partition, in order of partitions."""

    epoch: str
    positions: tuple[str, ...]

    def encode(self) -> str:
        """Opaque text (base64url of JSON)."""
        document = json.dumps({"e": self.epoch, "p": self.positions}, separators=(",", ":"))
        return base64.urlsafe_b64encode(document.encode()).decode().rstrip("=")


def decode(text: str, partitions: int) -> ResumeToken:
    """The token in a text.

    Raises:
        InvalidResumeTokenError: not one of ours, or of another number of partitions.
    """
    try:
        document = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        epoch, positions = document["e"], document["p"]
        if not isinstance(epoch, str) or len(positions) != partitions:
            raise ValueError("of another installation")
        if not all(isinstance(position, str) and _STREAM_ID.fullmatch(position) for position in positions):
            raise ValueError("not ids of stream entries")
    except (ValueError, TypeError, KeyError, binascii.Error, RecursionError) as error:
        raise InvalidResumeTokenError(str(error)) from error
    return ResumeToken(epoch, tuple(positions))


def order(stream_id: str) -> tuple[int, int]:
    """What ids of stream entries are compared by.

    >>> order("9-2") < order("10-0")
    True
    """
    milliseconds, _, sequence = stream_id.partition("-")
    return int(milliseconds), int(sequence)


@dataclass(frozen=True)
class StreamExtent:
    """What a stream still holds: the id of its oldest entry (None: it has none), and whether it ever lost one."""

    first: str | None
    whole: bool

    def lacks_after(self, seen: str) -> bool:
        """Whether entries after `seen` may be gone.

        Says yes where exactly the entry `seen` is gone, too: that costs a needless snapshot, never a lost delta.
        """
        if self.first is None:
            return seen != START
        return not self.whole and order(self.first) > order(seen)


def missed_accounts(seen: str, entries: Iterable[tuple[str, str]], extent: StreamExtent) -> set[str] | None:
    """Accounts that changed in one partition after `seen`; None where that cannot be told any more.

    entries: (id, account) of the stream after `seen`, read before `extent` was.
    """
    changed = {account_id for _, account_id in entries}
    return None if extent.lacks_after(seen) else changed
