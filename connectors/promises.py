"""What a stream of modifications has told, where objects show only their newest version. Pure.

Such a stream tells an object's creation when it meets the object in a version made after its last promise
(`complete_through`, entry `since`). Two things could make it miss one. A vendor may show an object only after its
creation has been promised: so whatever is younger than the promise less a margin is told again, and what is known is
dropped by its id. And an object may change while a long walk is under way, before the walk comes to it: its old
version is never met and its new one lies beyond the walk. So the walk leaves a record of how far it had read when
(entry `walked`), which tells such an object from one that was met before it changed.

One case is left: an object older than the margin that changes before a long walk comes to it, and again before the
next walk can show it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from connectors.fields import since

Read = tuple[float, float]
"""A page was fetched at this vendor time, and everything up to this version time had then been read (epoch seconds)."""


def is_new(moment: datetime, version: datetime, state: Mapping[str, Any], margin: timedelta) -> bool:
    """Whether something that happened at `moment`, told by an object's `version`, may not have been told yet."""
    if is_recent(moment, state, margin):
        return True
    walked = state.get("walked")
    if walked is None or not walked["through"] < version.timestamp() <= walked["ended"]:
        return False
    happened = moment.timestamp()
    if walked["before"] is not None and happened <= walked["before"] - margin.total_seconds():
        return False
    # Everything read before the change to this version was met in an older one.
    return happened > max((position for at, position in walked["reads"] if at < version.timestamp()), default=0.0)


def is_recent(moment: datetime, state: Mapping[str, Any], margin: timedelta) -> bool:
    """Whether something lies so late that walks tell it whatever they told before: known ids drop what is repeated.

    It is all that an object may tell which a webhook brings ahead of the walk. The rest is for the walk to tell, which
    alone knows what it has met.
    """
    complete = since(state)
    return complete is None or moment > complete - margin


def add_read(reads: Sequence[Read], at: datetime, position: datetime, hidden: timedelta | None = None) -> list[Read]:
    """The reads of a walk with one more page. With `hidden`, a walk reaches so near to the present that only changes of
    that last time matter, and earlier pages are dropped."""
    new = (at.timestamp(), position.timestamp())
    kept = [read for read in reads if read[0] < new[0]]
    if hidden is not None:
        oldest = new[0] - hidden.total_seconds()
        older = [read for read in kept if read[0] < oldest]
        kept = older[-1:] + [read for read in kept if read[0] >= oldest]
    return [*kept, new]


def record(state: Mapping[str, Any], through: datetime, ended: datetime, reads: Sequence[Read]) -> dict[str, Any]:
    """The entry `walked` after a walk that ends at vendor time `ended` with the promise `through`.

    An older record stays until a promise covers the end of its walk: only then has all that changed during it shown.
    """
    older = state.get("walked")
    if older is not None and through.timestamp() < older["ended"]:
        return dict(older)
    before = since(state)
    return {
        "before": None if before is None else before.timestamp(),
        "through": through.timestamp(),
        "ended": ended.timestamp(),
        "reads": [list(read) for read in reads],
    }
