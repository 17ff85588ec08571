"""The raw export as a stream: whole days, the newest of them several times because mobile events arrive late."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from connectors.contract import LoadProgress, Mapped, Page, Probe, RawObject, State, Stream
from connectors.http import Answer, TruncatedBodyError, VendorHttp
from connectors.mixpanel.limits import EXPORTS
from connectors.mixpanel.mapping import map_event
from connectors.mixpanel.window import ExportWindow, Key, read_window
from vitals.errors import FatalError, RetriableError

LOOK_BACK_DAYS = 5
PAGE_OBJECTS = 1_000
DAY = timedelta(days=1)

_EXPORT = "/api/2.0/export"
_FUTURE = "to_date cannot be later than today"
# A damaged body is asked for again; what two exports agree on is what Mixpanel holds.
_DOUBTFUL_EXPORTS = 3
# How often a paced stream asks for the vendor's time while it waits for the next day, in wall seconds.
_TIME_CHECK_SECONDS = 300.0
_CATCH_UP_DAYS = 31


@dataclass(frozen=True, slots=True)
class Project:
    """Where a project's exports are, and how they are asked for. `window_days` 0 means calendar years."""

    url: str
    project_id: str
    start: date
    window_days: int
    paced: bool
    zone: ZoneInfo | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """The stream's only state entry.

    `exported` is the last day exported; `loaded` tells that the first load is over, `found` that any event was seen.
    `window` is an export that is being handed out, `after` the key of the last event handed out of it.
    """

    exported: date | None = None
    loaded: bool = False
    found: bool = False
    window: tuple[date, date] | None = None
    after: Key | None = None

    @classmethod
    def read(cls, entry: Any) -> "Progress":
        """From its JSON form; None is the beginning."""
        if entry is None:
            return cls()
        window, after = entry["window"], entry["after"]
        return cls(
            exported=None if entry["exported"] is None else date.fromisoformat(entry["exported"]),
            loaded=entry["loaded"],
            found=entry["found"],
            window=None if window is None else (date.fromisoformat(window[0]), date.fromisoformat(window[1])),
            after=None if after is None else (after[0], after[1], after[2], after[3]),
        )

    def json(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            "exported": self.exported.isoformat() if self.exported else None,
            "loaded": self.loaded,
            "found": self.found,
            "window": [day.isoformat() for day in self.window] if self.window else None,
            "after": list(self.after) if self.after else None,
        }


class ExportStream(Stream):
    """`mixpanel.export`."""

    source = "mixpanel"
    name = "mixpanel.export"
    topics = ("events.product",)
    overlap = timedelta(days=LOOK_BACK_DAYS + 1)

    def __init__(self, http: VendorHttp, project: Project, monotonic: Callable[[], float] | None = None) -> None:
        self._http = http
        self._project = project
        self._monotonic = monotonic or http.monotonic
        self._open: tuple[tuple[date, date], ExportWindow] | None = None
        self._now: datetime | None = None
        self._asked_at = float("-inf")

    def fetch(self, state: State) -> Page:
        """The next part of an export, or nothing before the vendor's next day has begun."""
        progress = Progress.read(state.get("export"))
        window = progress.window or self.next_window(progress, self._today())
        exported = None if window is None else self._export(window)
        if window is None or exported is None:
            return Page((), {}, self._complete(progress), more=False)
        objects, after = exported.after(progress.after, PAGE_OBJECTS)
        found = progress.found or bool(objects)
        if after is not None:
            progress = replace(progress, found=found, window=window, after=after)
            return Page(objects, {"export": progress.json()}, self._complete(progress), more=True)
        self._forget()
        caught_up = window[1] >= self._known_today() - DAY
        done = Progress(window[1], progress.loaded or caught_up, found)
        return Page(objects, {"export": done.json()}, self._complete(done), more=not caught_up)

    def probes(self) -> Sequence[Probe]:
        """One event of the vendor's yesterday."""
        return (Probe("export", "the service account access to the project", self._probe),)

    def progress(self, state: State) -> LoadProgress | None:
        """Days exported of those from the first to the vendor's yesterday."""
        if self._now is None:
            return None
        exported, start = Progress.read(state.get("export")).exported, self._project.start
        done = 0 if exported is None else (exported - start).days + 1
        return LoadProgress(done, max(done, (self._known_today() - start).days), "days")

    def map(self, raw: RawObject, state: State) -> Mapped:
        """See `connectors.mixpanel.mapping`."""
        del state
        return map_event(raw, self._project.zone)

    def close(self) -> None:
        """Removes the spool and closes connections."""
        self._forget()
        self._http.close()

    def next_window(self, progress: Progress, today: date) -> tuple[date, date] | None:
        """The days to export next, both inclusive; None where the vendor has no finished day beyond the last.

        Until something was found, windows are calendar years: they are empty and cost one call each.
        """
        project, yesterday = self._project, today - DAY
        first = project.start if progress.exported is None else progress.exported + DAY
        if first > yesterday:
            return None
        if progress.loaded:
            days = project.window_days or (1 if project.paced else _CATCH_UP_DAYS)
            return first - LOOK_BACK_DAYS * DAY, min(first + (days - 1) * DAY, yesterday)
        days = project.window_days or int(project.paced)
        if progress.found and days:
            return first, min(first + (days - 1) * DAY, yesterday)
        return first, min(date(first.year, 12, 31), yesterday)

    def _complete(self, progress: Progress) -> datetime | None:
        """The end of the last exported day, in the project's zone."""
        if not progress.loaded or progress.exported is None:
            return None
        midnight = datetime.combine(progress.exported + DAY, datetime.min.time())
        return midnight.replace(tzinfo=self._project.zone or UTC).astimezone(UTC)

    def _today(self) -> date:
        """The vendor's day. Paced, it is asked for every few minutes only."""
        due = self._asked_at + (_TIME_CHECK_SECONDS if self._project.paced else 0.0)
        if self._now is None or self._monotonic() >= due:
            self._now = self._http.time(f"{self._project.url}/")
            self._asked_at = self._monotonic()
        return self._known_today()

    def _known_today(self) -> date:
        assert self._now is not None, "the time was asked for, or an export told it"
        return self._now.astimezone(self._project.zone or UTC).date()

    def _export(self, window: tuple[date, date]) -> ExportWindow | None:
        """The export of these days; None where the vendor says that the last of them is still to come."""
        if self._open is not None and self._open[0] == window:
            return self._open[1]
        self._forget()
        doubts: frozenset[str] = frozenset()
        for _ in range(_DOUBTFUL_EXPORTS):
            exported = self._ask(window)
            if exported is None:
                return None
            if not exported.doubts or exported.doubts == doubts:
                self._open = (window, exported)
                return exported
            doubts = exported.doubts
            exported.close()
        raise RetriableError(f"Mixpanel's export from {window[0]} to {window[1]} came damaged in different ways.")

    def _ask(self, window: tuple[date, date]) -> ExportWindow | None:
        parameters = {
            "project_id": self._project.project_id,
            "from_date": window[0].isoformat(),
            "to_date": window[1].isoformat(),
            "time_in_ms": "true",
        }
        url = f"{self._project.url}{_EXPORT}"
        answer = self._http.get(url, parameters, pace=EXPORTS, read=read_window, tolerate=(400,))
        self._now, self._asked_at = answer.at, self._monotonic()
        if answer.status == 400:
            if _FUTURE in answer.body:
                return None
            raise FatalError(f"Mixpanel refuses the export from {window[0]} to {window[1]}: {answer.body[:300]}")
        exported: ExportWindow = answer.body
        return exported

    def _probe(self) -> Answer:
        yesterday = (self._today() - DAY).isoformat()
        asked = {"project_id": self._project.project_id, "from_date": yesterday, "to_date": yesterday, "limit": "1"}
        answer = self._http.get(f"{self._project.url}{_EXPORT}", asked, pace=EXPORTS, read=read_window)
        exported: ExportWindow = answer.body
        exported.close()
        if exported.doubts:
            raise TruncatedBodyError("What Mixpanel's address answers is not an export.")
        return answer

    def _forget(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None
