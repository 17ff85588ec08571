"""When the simulated senders' events reach Amplitude, and how an event is written in an export."""

import hashlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import orjson

from connectors.simulation.world import FeatureEvents, Ints, World

HOUR = 3_600
EVENT_TYPE = "Feature Used"
LONGEST_DELAY = 30
"""Seconds within which a sender that is online uploads an event."""


class Uploads:
    """The upload time of every event of a world: some seconds after it happened, except for those held back."""

    def __init__(self) -> None:
        self._held: dict[int, int] = {}

    def hold(self, rows: Ints, until: int) -> None:
        """These rows were uploaded by devices that came online at `until` only (epoch seconds)."""
        self._held.update(dict.fromkeys(rows.tolist(), until))

    def between(self, events: FeatureEvents, first: int, end: int) -> tuple[Ints, Ints]:
        """Places in `events` of what was uploaded in `[first, end)`, by upload time, and those times."""
        low, high = np.searchsorted(events.event_time, [first - LONGEST_DELAY, max(first, end)])
        places = np.arange(low, high, dtype=np.int64)
        times = upload_times(events.row[places], events.event_time[places])
        if self._held:
            held = np.array(sorted(self._held), dtype=np.int64)
            times[np.isin(events.row[places], held)] = -1
            late = np.flatnonzero(np.isin(events.row, held))
            places = np.concatenate([places, late])
            times = np.concatenate([times, [self._held[row] for row in events.row[late].tolist()]])
        within = (times >= first) & (times < end)
        places, times = places[within], times[within]
        order = np.argsort(times, kind="stable")
        return places[order], times[order].astype(np.int64)


def upload_times(rows: Ints, event_times: Ints) -> Ints:
    """Upload times of senders that are online: one to thirty seconds after the event."""
    delays: npt.NDArray[np.int64] = 1 + np.abs(rows) * 7_919 % LONGEST_DELAY
    return event_times + delays


def json_lines(world: World, project_id: int, places: Ints, times: Ints, copy: str = "") -> Iterator[bytes]:
    """One line an event. `copy` makes them stored copies of the same uploads: only their `uuid` differs."""
    events = world.events
    columns = zip(
        events.row[places].tolist(),
        events.event_time[places].tolist(),
        _texts(events.event_time[places]),
        _texts(times),
        events.company[places].tolist(),
        events.user[places].tolist(),
        events.feature[places].tolist(),
        events.lines_changed[places].tolist(),
        events.files[places].tolist(),
        strict=True,
    )
    for row, event_time, happened, uploaded, company, user, feature, lines_changed, files in columns:
        name, company_id = events.users[user], events.company_ids[company]
        # Most senders name the account as a group, the others as a property of the user.
        grouped = user % 10 != 0
        exactly = f"{happened}.{abs(row) % 1_000:03d}000"
        yield orjson.dumps(
            {
                "server_received_time": f"{uploaded}.301000",
                "app": project_id,
                "$schema": 13,
                "city": "Lisbon",
                "user_id": name,
                "uuid": uuid_of(f"{world.name}:{row}:{copy}"),
                "event_time": exactly,
                "platform": "Web",
                "os_version": "130",
                "amplitude_id": 800_000_000_000 + user,
                "processed_time": f"{uploaded}.900000",
                "ip_address": "203.0.113.9",
                "paying": None,
                "group_properties": {},
                "user_properties": {} if grouped else {"company_id": company_id},
                "client_upload_time": f"{uploaded}.000000",
                "$insert_id": uuid_of(f"{world.name}:{row}"),
                "event_type": EVENT_TYPE,
                "library": "amplitude-ts/2.9.0",
                "server_upload_time": f"{uploaded}.400000",
                "event_id": abs(row),
                "os_name": "Chrome",
                "groups": {"company": [company_id]} if grouped else {},
                "event_properties": {
                    "feature": events.features[feature],
                    "lines_changed": lines_changed,
                    "files": files,
                },
                "data": {},
                "device_id": f"d-{user}",
                "language": "English",
                "country": "Portugal",
                "session_id": (event_time - event_time % 1_800) * 1_000,
                "client_event_time": exactly,
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )


def uuid_of(key: str) -> str:
    """The form of a UUID, from a text key."""
    digits = hashlib.blake2b(f"amplitude:{key}".encode(), digest_size=16).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _texts(seconds: Ints) -> list[str]:
    """`2026-11-19 17:02:11` of each."""
    texts: list[str] = np.char.replace(np.datetime_as_string(seconds.astype("datetime64[s]")), "T", " ").tolist()
    return texts
