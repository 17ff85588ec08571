"""The Export API as a stream: ranges of whole hours of upload, each taken once it can no longer change.

What the vendor can promise: an hour is complete two hours after its end, so every event that was *uploaded* before the
end of the last exported hour is known. Senders upload within seconds to a minute, so `complete_through` stays a margin
behind that end. A device that was offline for longer uploads later, under a later hour: the cursor brings its events,
and the topic's allowed lateness counts them where they belong.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx

from connectors.amplitude.archive import ExportArchive, LostPlaceError, Place, read_archive
from connectors.amplitude.mapping import map_event
from connectors.contract import LoadProgress, Mapped, Page, Probe, RawObject, State, Stream
from connectors.http import Answer, Outcome, TruncatedBodyError, VendorHttp, Verdict
from connectors.pace import Pace
from vitals.errors import FatalError, RetriableError

HOUR = timedelta(hours=1)
LAG = 2 * HOUR
"""From the end of an hour until it can be exported."""
LOOK_BACK_HOURS = 2
UPLOAD_MARGIN = timedelta(minutes=5)
LONGEST_SPAN_HOURS = 365 * 24
LONGEST_WINDOW_HOURS = LONGEST_SPAN_HOURS - LOOK_BACK_HOURS
PAGE_OBJECTS = 1_000

EXPORTS = "exports"
"""The kind of request that is limited."""

_EXPORT = "/api/2/export"
_ZIP_BEGINS = b"PK"
_NO_EVENTS, _TOO_LARGE, _TOO_SLOW = 404, 400, 504
# How often a paced stream asks for the vendor's time while it waits for the next hour, in wall seconds.
_TIME_CHECK_SECONDS = 300.0
_FORM = "%Y%m%dT%H"

Window = tuple[datetime, datetime]
"""First and last hour, both inclusive, each named by its beginning."""


@dataclass(frozen=True, slots=True)
class Project:
    """Where a project's exports are, and how they are asked for."""

    url: str
    start: date
    window_hours: int
    paced: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """The stream's only state entry.

    `exported` is the last hour exported; `loaded` tells that the first load is over. `span` is the length of the next
    export in hours: it doubles over ranges without events. `window` is an export that is being handed out, `after` the
    place of the last event handed out of it.
    """

    span: int
    exported: datetime | None = None
    loaded: bool = False
    window: Window | None = None
    after: Place | None = None

    @classmethod
    def read(cls, entry: Any, span: int) -> "Progress":
        """From its JSON form; None is the beginning, with exports of `span` hours."""
        if entry is None:
            return cls(span)
        window, after = entry["window"], entry["after"]
        return cls(
            span=entry["span"],
            exported=None if entry["exported"] is None else _hour(entry["exported"]),
            loaded=entry["loaded"],
            window=None if window is None else (_hour(window[0]), _hour(window[1])),
            after=None if after is None else (after[0], after[1], after[2]),
        )

    def json(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            "span": self.span,
            "exported": self.exported.strftime(_FORM) if self.exported else None,
            "loaded": self.loaded,
            "window": [hour.strftime(_FORM) for hour in self.window] if self.window else None,
            "after": list(self.after) if self.after else None,
        }


def paces() -> dict[str, tuple[Pace, ...]]:
    """No rate of exports is documented: only a refusal, which gives no hint, holds the next one back."""
    return {EXPORTS: (Pace(EXPORTS, None, 3_600.0, waits=(60.0, 600.0)),)}


def classify(response: httpx.Response) -> Verdict | None:
    """Amplitude's own verdict: a 504 to an export says "too much". None leaves an answer to the general table."""
    too_slow = response.status_code == _TOO_SLOW and response.request.url.path.endswith(_EXPORT)
    return Verdict(Outcome.REFUSED) if too_slow else None


class ExportStream(Stream):
    """`amplitude.export`. One thread sends its requests, so one export at a time is under way."""

    source = "amplitude"
    name = "amplitude.export"
    topics = ("events.product",)
    # Two hours of upload are read again, and with them events that a device kept for days.
    overlap = timedelta(days=6)

    def __init__(self, http: VendorHttp, project: Project, monotonic: Callable[[], float] | None = None) -> None:
        self._http = http
        self._project = project
        self._monotonic = monotonic or http.monotonic
        self._open: tuple[Window, ExportArchive] | None = None
        self._narrowed: tuple[datetime, int] | None = None
        self._now: datetime | None = None
        self._asked_at = float("-inf")

    def fetch(self, state: State) -> Page:
        """The next part of an export, or nothing before the vendor's next hour can be exported."""
        progress = Progress.read(state.get("export"), self._project.window_hours)
        window = progress.window or self.next_window(progress, self._last_hour())
        if window is None:
            return Page((), {}, self._complete(progress), more=False)
        archive = self._export(window)
        if archive is None:
            # The halves of the window are asked for instead, from its beginning.
            narrowed = replace(progress, window=None, after=None)
            return Page((), {"export": narrowed.json()}, self._complete(narrowed), more=True)
        try:
            objects, after = archive.after(progress.after, PAGE_OBJECTS)
        except LostPlaceError:
            # What was handed out already comes again, and is dropped by its ids.
            objects, after = archive.after(None, PAGE_OBJECTS)
        if after is not None:
            progress = replace(progress, window=window, after=after)
            return Page(objects, {"export": progress.json()}, self._complete(progress), more=True)
        return self._done(progress, window, objects)

    def probes(self) -> Sequence[Probe]:
        """The export of the last whole hour, of which only the beginning is read."""
        return (
            Probe("export", "the key access to the project's exports; a key of the other region has none", self._probe),
        )

    def progress(self, state: State) -> LoadProgress | None:
        """Days of upload exported of those from the first to the last hour that can be exported."""
        if self._now is None:
            return None
        exported = Progress.read(state.get("export"), self._project.window_hours).exported
        beginning, day = self._beginning(), timedelta(days=1)
        done = 0.0 if exported is None else (exported + HOUR - beginning) / day
        return LoadProgress(done, max(done, (self._last_known_hour() + HOUR - beginning) / day), "days")

    def map(self, raw: RawObject, state: State) -> Mapped:
        """See `connectors.amplitude.mapping`."""
        del state
        return map_event(raw)

    def close(self) -> None:
        """Removes the spool and closes connections."""
        self._forget()
        self._http.close()

    def next_window(self, progress: Progress, last: datetime) -> Window | None:
        """The hours to export next, the last of them at most `last`; None where there is none beyond those exported.

        Once the first load is over, the two hours before are exported again with every new one.
        """
        beginning = self._beginning()
        first = beginning if progress.exported is None else progress.exported + HOUR
        if first > last:
            return None
        if self._narrowed is not None and first <= self._narrowed[0]:
            return first, min(first + (self._narrowed[1] - 1) * HOUR, self._narrowed[0], last)
        end = min(first + (progress.span - 1) * HOUR, last)
        return (max(first - LOOK_BACK_HOURS * HOUR, beginning) if progress.loaded else first), end

    def _done(self, progress: Progress, window: Window, objects: list[RawObject]) -> Page:
        """The page that ends a window."""
        found = bool(objects) or progress.after is not None
        self._forget()
        if self._narrowed is not None and window[1] >= self._narrowed[0]:
            self._narrowed = None
        caught_up = window[1] >= self._last_known_hour()
        loaded = progress.loaded or caught_up
        usual = self._project.window_hours
        span = usual if found or loaded else min(progress.span * 2, LONGEST_SPAN_HOURS)
        done = Progress(span, window[1], loaded)
        return Page(objects, {"export": done.json()}, self._complete(done), more=not caught_up)

    def _complete(self, progress: Progress) -> datetime | None:
        """The margin before the end of the last exported hour."""
        if not progress.loaded or progress.exported is None:
            return None
        return progress.exported + HOUR - UPLOAD_MARGIN

    def _last_hour(self) -> datetime:
        """The last hour that can be exported. Paced, the vendor's time is asked for every few minutes only."""
        due = self._asked_at + (_TIME_CHECK_SECONDS if self._project.paced else 0.0)
        if self._now is None or self._monotonic() >= due:
            self._now = self._http.time(f"{self._project.url}/")
            self._asked_at = self._monotonic()
        return self._last_known_hour()

    def _last_known_hour(self) -> datetime:
        assert self._now is not None, "the time was asked for, or an export told it"
        return self._now.replace(minute=0, second=0, microsecond=0) - LAG - HOUR

    def _export(self, window: Window) -> ExportArchive | None:
        """The export of these hours, without events where there are none; None where it is too large for one answer.

        Raises:
            FatalError: one hour is too large for the Export API, or the request is wrong.
        """
        if self._open is not None and self._open[0] == window:
            return self._open[1]
        self._forget()
        first, last = (hour.strftime(_FORM) for hour in window)
        answer = self._http.get(
            f"{self._project.url}{_EXPORT}",
            {"start": first, "end": last},
            pace=EXPORTS,
            read=read_archive,
            tolerate=(_NO_EVENTS, _TOO_LARGE, _TOO_SLOW),
        )
        self._now, self._asked_at = answer.at, self._monotonic()
        if answer.status in (_TOO_LARGE, _TOO_SLOW):
            self._narrow(window, answer.status, answer.body)
            return None
        archive: ExportArchive = ExportArchive.empty() if answer.status == _NO_EVENTS else answer.body
        self._open = (window, archive)
        return archive

    def _narrow(self, window: Window, status: int, reason: str) -> None:
        """Half as many hours at a time until the end of `window`."""
        hours = (window[1] - window[0]) // HOUR + 1
        if hours > 1:
            self._narrowed = (window[1], hours // 2)
            return
        message = (
            f"Amplitude answers {status} to the export of the single hour {window[0]:{_FORM}}: {reason[:300]}. "
            "An hour of more than 4 GB needs Amplitude's storage export."
        )
        raise FatalError(message) if status == _TOO_LARGE else RetriableError(message)

    def _beginning(self) -> datetime:
        return datetime.combine(self._project.start, datetime.min.time(), UTC)

    def _probe(self) -> Answer:
        hour = self._last_hour().strftime(_FORM)
        # No events, or too many for one answer: both are said to whoever may export only.
        return self._http.get(
            f"{self._project.url}{_EXPORT}",
            {"start": hour, "end": hour},
            read=_require_archive,
            tolerate=(_NO_EVENTS, _TOO_LARGE, _TOO_SLOW),
        )

    def _forget(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None


def _hour(text: str) -> datetime:
    return datetime.strptime(text, _FORM).replace(tzinfo=UTC)


def _require_archive(response: httpx.Response) -> None:
    """Reads the beginning of an answer, which tells whether it is an export."""
    begin = b""
    for part in response.iter_bytes():
        begin += part
        if len(begin) >= len(_ZIP_BEGINS):
            break
    if not begin.startswith(_ZIP_BEGINS):
        raise TruncatedBodyError("What Amplitude's address answers is not an export.")
