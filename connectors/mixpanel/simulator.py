"""Mixpanel's raw export over a simulated world: whole days of feature events as one stream of JSON lines."""

import asyncio
import base64
import binascii
import re
import zlib
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from connectors.mixpanel import credentials
from connectors.simulation.calendar import DAY, epoch, iso_day
from connectors.simulation.gate import VendorFront, VendorGate, source_now, vendor_path
from connectors.simulation.identifiers import insert_id
from connectors.simulation.limits import RequestWindow
from connectors.simulation.stage import Simulation
from connectors.simulation.world import Ints, World

NAME = "mixpanel"

FAULTS: Mapping[str, str] = {
    "terminated_early": "an export cut and ended by the line `terminated early`, under 200",
}
"""Kinds of fault that only this vendor has."""

EVENT_NAME = "Feature Used"

_PER_HOUR = 60
_PER_SECOND = 3
_LIMIT_MAX = 100_000
_LINES_A_CHUNK = 1_000
_GZIP_FROM = 1_400
_WHERE = re.compile(r'\s*properties\["\$?time"\]\s*(>=|<=|>|<)\s*datetime\((\d+)\)\s*')


class MixpanelFront(VendorFront):
    """Sixty exports an hour and three a second, and no hint of when to come back."""

    name = "mixpanel"

    def __init__(self, simulation: Simulation) -> None:
        super().__init__(simulation)
        self._hour = RequestWindow(_PER_HOUR, 3_600.0, simulation.wall)
        self._second = RequestWindow(_PER_SECOND, 1.0, simulation.wall)

    def windows(self, path: str) -> Iterable[RequestWindow]:
        """Both limits hold for every export of the project."""
        return (self._second, self._hour) if path.startswith("/api/") else ()

    def throttled(self, request: Request, _retry_after: float | None, window: RequestWindow | None) -> Response:
        """429 that names the queries in the last hour."""
        used = f"{_PER_HOUR + 1}/{_PER_HOUR} queries running in the last hour"
        if window is self._second:
            used = f"{_PER_SECOND + 1}/{_PER_SECOND} queries running in the last second"
        project = credentials.PROJECT_ID
        message = f"Query rate limit exceeded for project_id: {project}. 1/100 queries running concurrently and {used}."
        return JSONResponse({"request": _asked(request), "error": message}, 429)

    def unauthorized(self, request: Request) -> Response:
        """Wrong user name or secret."""
        return _refused(request, 401, "Invalid credentials")


@dataclass(frozen=True, slots=True)
class _Export:
    """What one request asks for: rows of `World.events`, and how to write them."""

    world: World
    rows: Ints
    in_milliseconds: bool


class MixpanelSimulator:
    """The export over `simulation.world` as of each request's source time, for a project whose zone is UTC."""

    def __init__(self, simulation: Simulation, front: MixpanelFront) -> None:
        self._simulation = simulation
        self._front = front

    async def export(self, request: Request) -> Response:
        """`GET /api/2.0/export`: both days inclusive, nothing of what source time has not reached."""
        if refusal := self._refusal(request):
            return refusal
        export = self._asked_for(request)
        if isinstance(export, Response):
            return export
        path, faults = vendor_path(request.scope), self._simulation.faults
        if len(export.rows) and faults.take("mixpanel", path, "duplicates"):
            export = _Export(export.world, np.concatenate([export.rows, export.rows[:3]]), export.in_milliseconds)
        cut = faults.take("mixpanel", path, "terminated_early") is not None
        lines = _lines(export, cut=cut)
        headers = {"vary": "Accept-Encoding"}
        # A line takes some 300 bytes; five of them exceed what is worth compressing.
        if "gzip" in request.headers.get("accept-encoding", "") and len(export.rows) * 300 > _GZIP_FROM:
            return StreamingResponse(
                _compressed(lines), media_type="text/plain", headers={**headers, "content-encoding": "gzip"}
            )
        return StreamingResponse(lines, media_type="text/plain", headers=headers)

    def _asked_for(self, request: Request) -> _Export | Response:
        now, asked = source_now(request), request.query_params
        try:
            first, last = epoch(_day(asked["from_date"])), epoch(_day(asked["to_date"]))
            names = orjson.loads(asked["event"]) if "event" in asked else [EVENT_NAME]
            limit = int(asked.get("limit", _LIMIT_MAX))
            bounds = _bounds(asked.get("where", ""))
        except KeyError as missing:
            return _refused(request, 400, f"{missing.args[0]} is a required parameter")
        except ValueError as wrong:
            return _refused(request, 400, str(wrong))
        if asked["to_date"] > iso_day(now):
            return _refused(request, 400, "to_date cannot be later than today")
        if first > last:
            return _refused(request, 400, "from_date cannot be later than to_date")
        if not 1 <= limit <= _LIMIT_MAX:
            return _refused(request, 400, f"limit cannot be greater than {_LIMIT_MAX}")
        world = self._simulation.world
        low = max([first, *(at for sign, at in bounds if sign == ">=")])
        high = min([last + DAY, now + 1, *(at for sign, at in bounds if sign == "<")])
        event_time = world.events.event_time
        rows = np.arange(*np.searchsorted(event_time, [low, max(low, high)]), dtype=np.int64)
        if EVENT_NAME not in names:
            rows = rows[:0]
        return _Export(world, rows[:limit] if "limit" in asked else rows, asked.get("time_in_ms", "false") == "true")

    def _refusal(self, request: Request) -> Response | None:
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        try:
            user, _, secret = base64.b64decode(encoded).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            user, secret = "", ""
        if scheme != "Basic" or (user, secret) != (credentials.USERNAME, credentials.SECRET):
            return self._front.unauthorized(request)
        project = request.query_params.get("project_id")
        if project is None:
            return _refused(request, 400, "project_id is a required parameter")
        return None if project == credentials.PROJECT_ID else _refused(request, 403, "No access to this project")


async def _lines(export: _Export, *, cut: bool) -> AsyncIterator[bytes]:
    total = len(export.rows) // 2 if cut else len(export.rows)
    for start in range(0, total, _LINES_A_CHUNK):
        yield _chunk(export, export.rows[start : min(start + _LINES_A_CHUNK, total)])
        await asyncio.sleep(0)  # other requests have their turn between two chunks
    if cut:
        yield b"terminated early\n"


def _chunk(export: _Export, rows: Ints) -> bytes:
    events, world = export.world.events, export.world.name
    scale = 1_000 if export.in_milliseconds else 1
    lines = []
    for number, event_time, company, user, feature, lines_changed, files in zip(
        events.row[rows].tolist(),
        events.event_time[rows].tolist(),
        events.company[rows].tolist(),
        events.user[rows].tolist(),
        events.feature[rows].tolist(),
        events.lines_changed[rows].tolist(),
        events.files[rows].tolist(),
        strict=True,
    ):
        name = events.users[user]
        properties = {
            "time": event_time * scale,
            "distinct_id": name,
            "$insert_id": insert_id(f"{world}:{number}"),
            "$user_id": name,
            "company_id": events.company_ids[company],
            "feature": events.features[feature],
            "lines_changed": lines_changed,
            "files": files,
            "mp_lib": "python",
            "$mp_api_endpoint": "api.mixpanel.com",
            "mp_processing_time_ms": event_time * 1_000 + 100 + abs(number) % 800,
        }
        lines.append(orjson.dumps({"event": EVENT_NAME, "properties": properties}, option=orjson.OPT_APPEND_NEWLINE))
    return b"".join(lines)


async def _compressed(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    compressor = zlib.compressobj(level=1, wbits=31)
    async for chunk in chunks:
        yield compressor.compress(chunk)
    yield compressor.flush()


def _day(text: str) -> str:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        raise ValueError(f"{text} is not a date of the form YYYY-MM-DD")
    return text


def _bounds(where: str) -> list[tuple[str, int]]:
    """Bounds on `$time` joined by `and`, in the half-open forms `>=` and `<`."""
    bounds = []
    for part in where.split(" and ") if where else ():
        match = _WHERE.fullmatch(part)
        if match is None:
            raise ValueError("this simulator reads only bounds on $time in where")
        sign, at = match[1], int(match[2])
        bounds.append((">=" if sign[0] == ">" else "<", at + 1 if sign in (">", "<=") else at))
    return bounds


def _asked(request: Request) -> str:
    return f"{vendor_path(request.scope)}?{request.url.query}"


def _refused(request: Request, status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": message, "request": _asked(request)}, status)


def declared(world: World, now: int) -> dict[str, int]:
    """How many events the project holds at `now`."""
    events = world.events
    visible = int(np.searchsorted(events.event_time, now, side="right"))
    unknown = int((events.company[:visible] >= len(world.accounts)).sum())
    return {"events": visible, "events_of_accounts": visible - unknown, "events_of_unknown": unknown}


def create_app(simulation: Simulation) -> Starlette:
    """The ASGI application of this vendor."""
    front = MixpanelFront(simulation)
    simulator = MixpanelSimulator(simulation, front)
    return Starlette(
        routes=[Route("/api/2.0/export", simulator.export)],
        middleware=[Middleware(VendorGate, front)],
    )
