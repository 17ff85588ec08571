"""Whole days in a workspace's time zone, which is as fine as Intercom searches contacts by time. Pure."""

from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

_UNKNOWN_ZONE = timedelta(days=1)


def zone_of(name: str) -> tzinfo | None:
    """The time zone that a workspace names, None where it is none that this system knows."""
    try:
        return ZoneInfo(name)
    except (ValueError, KeyError, OSError):
        return None


def searched_after(moment: datetime, zone_name: str) -> int:
    """The epoch second to search after, for every contact updated since `moment`.

    Intercom cuts the value to its day and gives what came from the start of the next day on. So the value is the last
    second before the day of `moment` in the workspace's zone. In a zone that is not known, a day earlier.

    >>> moment = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
    >>> datetime.fromtimestamp(searched_after(moment, "Europe/Berlin"), UTC).isoformat()
    '2026-11-19T22:59:59+00:00'
    """
    zone = zone_of(zone_name)
    local = (moment if zone else moment - _UNKNOWN_ZONE).astimezone(zone or UTC)
    midnight = datetime.combine(local.date(), time(), zone or UTC)
    return int(midnight.timestamp()) - 1
