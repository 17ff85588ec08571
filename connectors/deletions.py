"""When an object was deleted and when it came back, told by versions that only say which it now is. Pure.

A stream remembers of each deleted object in which version it met the deletion (state entry `deleted/<id>`). The next
version that is not deleted is the return; it is remembered too, until a later version follows, because an overlap
brings it again and it must mean the same.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any

from connectors.fields import iso


class Standing(Enum):
    """What a version of an object says beyond the versions before it."""

    DELETED = "this version is the deletion"
    STILL_DELETED = "the deletion has been told"
    RESTORED = "this version is the return"
    THERE = "nothing to tell"


def standing(
    object_id: str, version: datetime, state: Mapping[str, Any], *, deleted: bool
) -> tuple[Standing, dict[str, Any]]:
    """What this version says, and the state entry that it leaves.

    >>> standing("a", datetime(2026, 11, 20), {}, deleted=False)
    (<Standing.THERE: 'nothing to tell'>, {})
    """
    entry = f"deleted/{object_id}"
    known, at = state.get(entry), iso(version)
    if deleted:
        if known is None or "deleted" not in known or known["deleted"] == at:
            return Standing.DELETED, {entry: {"deleted": at}}
        return Standing.STILL_DELETED, {}
    if known is None:
        return Standing.THERE, {}
    if "deleted" in known or known["restored"] == at:
        return Standing.RESTORED, {entry: {"restored": at}}
    return Standing.THERE, {entry: None}
