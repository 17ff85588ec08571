"""Amplitude's Export API over a simulated world: hours of upload, a zip of gzipped JSON lines built as it is sent."""

import asyncio
import base64
import binascii
import gzip
import io
import re
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from connectors.amplitude.credentials import PROJECTS, REGION_PATHS, Project
from connectors.amplitude.uploads import HOUR, Uploads, json_lines, upload_times
from connectors.simulation.gate import VendorFront, VendorGate, source_now, vendor_path
from connectors.simulation.limits import RequestWindow
from connectors.simulation.stage import Simulation
from connectors.simulation.world import Ints, World

NAME = "amplitude"

FAULTS: Mapping[str, str] = {
    "too_large": "400, as if the export exceeded 4 GB",
    "gateway_timeout": "504, as if the export took too long",
    "broken_member": "a zip that is whole around a gzip member cut in the middle, under 200",
    "no_directory": "a zip that ends before its central directory, under 200",
    "late_upload": "a third of the events come an hour later, under the time of that upload; forgotten by a restart",
    "flat_members": "a zip whose members lie in no folder",
}
"""Kinds of fault that only this vendor has."""

LARGEST_EXPORT_BYTES = 4 * 1024**3
"""Above it an export is refused. Tests lower it."""

_BYTES_AN_EVENT = 220
_LONGEST_SPAN_HOURS = 365 * 24
_PARTITIONS = 2
_REPEATED = 3


class AmplitudeFront(VendorFront):
    """No limit is documented for exports; a throttling answer gives no hint."""

    name = NAME

    def throttled(self, _request: Request, _retry_after: float | None, _window: RequestWindow | None) -> Response:
        """429 that says which limit was hit."""
        return _refused(429, "too_many_requests", "Exceeded concurrent limit with 5 concurrent requests")

    def unauthorized(self, _request: Request) -> Response:
        """Wrong keys, or the keys of a project of another region."""
        return _refused(401, "unauthorized", "Invalid API key or secret key")


@dataclass(frozen=True, slots=True)
class _Export:
    """What one request asks for: places in `World.events` with their upload times, and how they are written."""

    world: World
    project: Project
    places: Ints
    times: Ints
    folder: bool = True
    repeats: bool = False
    broken: bool = False


class AmplitudeSimulator:
    """The exports over `simulation.world` as of each request's source time, for one project in each region."""

    def __init__(self, simulation: Simulation, front: AmplitudeFront) -> None:
        self._simulation = simulation
        self._front = front
        self._uploads = Uploads()

    def export_of(self, region: str) -> Callable[[Request], object]:
        """`GET /api/2/export` of a region: both hours inclusive, of what was uploaded and can be exported already."""

        async def export(request: Request) -> Response:
            return self._export(request, PROJECTS[region])

        return export

    def _export(self, request: Request, project: Project) -> Response:
        if not _authorized(request, project):
            return self._front.unauthorized(request)
        try:
            first, last = _hour(request.query_params["start"]), _hour(request.query_params["end"])
        except (KeyError, ValueError):
            return _refused(400, "bad_request", "start and end are hours of the form YYYYMMDDTHH")
        if not 0 <= last - first < _LONGEST_SPAN_HOURS * HOUR:
            return _refused(400, "bad_request", "The range is from an hour to a later one and at most 365 days long")
        if self._ordered(request, "gateway_timeout"):
            return Response("<html><body><h1>504 Gateway Time-out</h1></body></html>", 504, media_type="text/html")
        export = self._asked_for(request, project, first, last + HOUR)
        if self._ordered(request, "too_large") or len(export.places) * _BYTES_AN_EVENT > LARGEST_EXPORT_BYTES:
            return _refused(400, "bad_request", "The export is larger than 4GB, choose a smaller time range")
        if not len(export.places):
            return _refused(404, "not_found", "There is no data for this time range")
        parts = _zip_parts(export, directory=not self._ordered(request, "no_directory"))
        return StreamingResponse(_spaced(parts), media_type="application/zip")

    def _asked_for(self, request: Request, project: Project, first: int, end: int) -> _Export:
        world, now = self._simulation.world, source_now(request)
        places, times = self._uploads.between(world.events, first, end)
        if len(places) and self._ordered(request, "late_upload"):
            late = places[2::3]
            self._uploads.hold(world.events.row[late], end + HOUR // 2)
            places, times = self._uploads.between(world.events, first, end)
        visible = _exportable(places, times, now)
        export = _Export(world, project, places[visible], times[visible])
        if not len(export.places):
            return export
        return replace(
            export,
            folder=not self._ordered(request, "flat_members"),
            repeats=self._ordered(request, "duplicates"),
            broken=self._ordered(request, "broken_member"),
        )

    def _ordered(self, request: Request, kind: str) -> bool:
        return self._simulation.faults.take(NAME, vendor_path(request.scope), kind) is not None


def _exportable(places: Ints, times: Ints, now: int) -> npt.NDArray[np.bool_]:
    """An hour shows two hours after its end, half of it after one; before that it does not."""
    ended = times - times % HOUR + HOUR
    half = (now >= ended + HOUR) & (places % 2 == 0)
    visible: npt.NDArray[np.bool_] = (now >= ended + 2 * HOUR) | half
    return visible


def _members(export: _Export) -> Iterator[tuple[str, bytes]]:
    """Name and gzipped lines of each hour's partitions."""
    hours, begins = np.unique(export.times // HOUR, return_index=True)
    for hour, begin, end in zip(hours.tolist(), begins, [*begins[1:], len(export.times)], strict=True):
        chosen = np.arange(begin, end)
        for partition in range(_PARTITIONS):
            rows = chosen[chosen % _PARTITIONS == partition]
            if not len(rows):
                continue
            places, times = export.places[rows], export.times[rows]
            lines = list(json_lines(export.world, export.project.project_id, places, times))
            if export.repeats:
                # The same stored events again, and the same uploads stored a second time.
                lines += lines[:_REPEATED]
                again = slice(0, _REPEATED)
                lines += json_lines(export.world, export.project.project_id, places[again], times[again], "again")
            name = f"{export.project.project_id}_{datetime.fromtimestamp(hour * HOUR, UTC):%Y-%m-%d}_{hour % 24}"
            folder = f"{export.project.project_id}/" if export.folder else ""
            packed = gzip.compress(b"".join(lines), compresslevel=1, mtime=0)
            yield f"{folder}{name}#{partition + 1}.json.gz", packed[: len(packed) // 2] if export.broken else packed


class _Sent(io.RawIOBase):
    """Where zipfile writes to: it cannot seek, as a connection cannot, and is emptied as it fills."""

    def __init__(self) -> None:
        super().__init__()
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, part: bytes) -> int:  # type: ignore[override]
        self._written += part
        return len(part)

    def taken(self) -> bytes:
        part = bytes(self._written)
        self._written.clear()
        return part


def _zip_parts(export: _Export, *, directory: bool) -> Iterator[bytes]:
    sent = _Sent()
    with zipfile.ZipFile(sent, "w", zipfile.ZIP_STORED) as archive:
        for name, packed in _members(export):
            archive.writestr(zipfile.ZipInfo(name), packed)
            yield sent.taken()
    if directory:
        yield sent.taken()


async def _spaced(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
        await asyncio.sleep(0)  # other requests have their turn between two members


def _authorized(request: Request, project: Project) -> bool:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        key, _, secret = base64.b64decode(encoded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return False
    return scheme == "Basic" and (key, secret) == (project.api_key, project.secret_key)


def _hour(text: str) -> int:
    if not re.fullmatch(r"\d{8}T\d\d", text):
        raise ValueError(f"{text} is not an hour of the form YYYYMMDDTHH")
    return int(datetime.strptime(text, "%Y%m%dT%H").replace(tzinfo=UTC).timestamp())


def _refused(status: int, kind: str, message: str) -> JSONResponse:
    return JSONResponse({"error": {"http_code": status, "type": kind, "message": message}}, status)


def declared(world: World, now: int) -> dict[str, int]:
    """How many events can be exported at `now`."""
    events = world.events
    uploaded = upload_times(events.row, events.event_time)
    visible = uploaded < now - now % HOUR - 2 * HOUR
    unknown = int((events.company[visible] >= len(world.accounts)).sum())
    count = int(visible.sum())
    return {"events": count, "events_of_accounts": count - unknown, "events_of_unknown": unknown}


def create_app(simulation: Simulation) -> Starlette:
    """The ASGI application of this vendor: the hosts of both regions, that of the EU below `/eu`."""
    front = AmplitudeFront(simulation)
    simulator = AmplitudeSimulator(simulation, front)
    return Starlette(
        routes=[Route(f"{path}/api/2/export", simulator.export_of(region)) for region, path in REGION_PATHS.items()],
        middleware=[Middleware(VendorGate, front)],
    )
