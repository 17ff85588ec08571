"""Zendesk Support over a simulated world: OAuth with rotation, incremental exports, tickets and organizations by id."""

import base64
import binascii
import math
from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from connectors.simulation.calendar import epoch
from connectors.simulation.gate import VendorFront, VendorGate, base_url, source_now, vendor_path
from connectors.simulation.limits import RequestWindow
from connectors.simulation.stage import Simulation
from connectors.simulation.support_records import metric_set, organization, organization_id, ticket
from connectors.simulation.ticket_versions import Position, TicketVersions, ratings, ticket_versions
from connectors.simulation.world import NEVER, Surveys, Tickets, World
from connectors.zendesk import credentials

NAME = "zendesk"

FAULTS: Mapping[str, str] = {
    "empty_page": "a page without rows and with end_of_stream false",
}
"""Kinds of fault that only this vendor has."""

_TOKEN_PATH = "/oauth/tokens"  # noqa: S105 - a path
_ACCESS_SECONDS = 172_800
_REFRESH_SECONDS = 7_776_000
_ACCOUNT_PER_MINUTE = 700
_EXPORTS_PER_MINUTE = 10
_PAGE = 1_000
_NAMED_MAX = 100
# The server keeps changes of the last minute back, and refuses a start that is too recent.
_HIDDEN_SECONDS = 60
_RECENT_SECONDS = 300


_Made = tuple[Tickets, Mapping[int, int], Surveys]
_VERSIONS: WeakKeyDictionary[Simulation, tuple[_Made, TicketVersions]] = WeakKeyDictionary()


def versions_of(simulation: Simulation, world: World) -> TicketVersions:
    """The versions of a simulation's tickets in its present world, made anew only when these have changed."""
    made = (world.tickets, world.deleted_tickets, world.surveys)
    kept = _VERSIONS.get(simulation)
    if kept is None or any(old is not new for old, new in zip(kept[0], made, strict=True)):
        kept = _VERSIONS[simulation] = (made, ticket_versions(*made))
    return kept[1]


class ZendeskFront(VendorFront):
    """The account's limit and that of the incremental exports, both by the minute."""

    name = "zendesk"
    token_path = _TOKEN_PATH

    def __init__(self, simulation: Simulation) -> None:
        super().__init__(simulation)
        self.account = RequestWindow(_ACCOUNT_PER_MINUTE, 60.0, simulation.wall)
        self.exports = RequestWindow(_EXPORTS_PER_MINUTE, 60.0, simulation.wall)

    def windows(self, path: str) -> Iterable[RequestWindow]:
        """Exports share one limit, whichever resource they read."""
        if path == _TOKEN_PATH:
            return ()
        return (self.exports, self.account) if "/incremental/" in path else (self.account,)

    def throttled(self, _request: Request, retry_after: float | None, window: RequestWindow | None) -> Response:
        """Plain text for the exports, JSON for the account; `Retry-After` in whole seconds where there is one."""
        headers = {} if retry_after is None else {"retry-after": str(math.ceil(retry_after))}
        if window is self.account:
            description = "Number of allowed API requests per minute exceeded"
            return JSONResponse({"error": "APIRateLimitExceeded", "description": description}, 429, headers)
        text = "Number of allowed incremental ticket export API requests per minute exceeded"
        return PlainTextResponse(text, 429, headers)

    def unauthorized(self, _request: Request) -> Response:
        """The token is expired, withdrawn or unknown."""
        description = "The access token provided is expired, revoked, malformed or invalid for other reasons."
        return JSONResponse({"error": "invalid_token", "error_description": description}, 401)

    def headers(self, _request: Request) -> dict[str, str]:
        """The account's limit, which can show plenty while that of the exports is used up."""
        remaining = str(self.account.count - self.account.used)
        return {
            "x-rate-limit": str(self.account.count),
            "x-rate-limit-remaining": remaining,
            "ratelimit-limit": str(self.account.count),
            "ratelimit-remaining": remaining,
            "ratelimit-reset": str(math.ceil(self.account.resets_in)),
        }


class ZendeskSimulator:
    """The endpoints over `simulation.world` as of each request's source time."""

    def __init__(self, simulation: Simulation, front: ZendeskFront) -> None:
        self._simulation = simulation
        self._front = front

    async def token(self, request: Request) -> Response:
        """`POST /oauth/tokens`: client credentials, and refresh, which ends the old pair at once."""
        tokens = self._simulation.tokens
        try:
            asked = orjson.loads(await request.body())
            lifetime, grant = int(asked.get("expires_in", _ACCESS_SECONDS)), asked["grant_type"]
        except (ValueError, KeyError, TypeError, AttributeError):
            return _token_error("invalid_request", "The request is missing a required parameter.")
        if (asked.get("client_id"), asked.get("client_secret")) != (
            credentials.CLIENT_ID,
            credentials.CLIENT_SECRET,
        ):
            return _token_error("invalid_client", "Client authentication failed.", 401)
        answer = {"token_type": "bearer", "scope": asked.get("scope", "read"), "expires_in": lifetime}
        if grant == "refresh_token":
            if asked.get("refresh_token") != tokens.refresh_token("zendesk", credentials.REFRESH_TOKEN):
                return _token_error("invalid_grant", "The provided refresh token is invalid, expired or revoked.")
            answer["refresh_token"] = tokens.rotate("zendesk", "zd-refresh-")
            answer["refresh_token_expires_in"] = int(asked.get("refresh_token_expires_in", _REFRESH_SECONDS))
        elif grant != "client_credentials":
            return _token_error("unsupported_grant_type", "The grant type is not supported.")
        return JSONResponse({"access_token": tokens.issue("zendesk", "", lifetime), **answer})

    async def tickets(self, request: Request) -> Response:
        """`GET /api/v2/incremental/tickets/cursor.json`: cursor mode, from `start_time` or `cursor`."""
        if refusal := self._refusal(request):
            return refusal
        now, world = source_now(request), self._simulation.world
        versions = versions_of(self._simulation, world)
        cursor = request.query_params.get("cursor")
        if cursor is not None:
            after = _decoded(cursor)
            if after is None:
                return _invalid("Invalid cursor")
        else:
            start = _start_time(request, now)
            if isinstance(start, Response):
                return start
            after = Position(start, 0)
        size = _page_size(request)
        found, more = versions.page(after, now, now - _HIDDEN_SECONDS, size)
        path = vendor_path(request.scope)
        if self._simulation.faults.take("zendesk", path, "empty_page"):
            found, more = [], True
        api = f"{base_url(request)}/api/v2"
        body: dict[str, Any] = {"tickets": [ticket(world, versions, version, api) for version in found]}
        if "metric_sets" in request.query_params.get("include", "").split(","):
            body["metric_sets"] = [metric_set(world, versions, version, api) for version in found]
        if found:
            after = Position(int(versions.since[found[-1]]), int(versions.ticket_id[found[-1]]))
        if found and self._simulation.faults.take("zendesk", path, "duplicates"):
            # The next page starts again with this page's last ticket.
            after = Position(after.second, after.ticket_id - 1)
        carried = {name: request.query_params[name] for name in ("include", "per_page") if name in request.query_params}
        next_cursor = base64.b64encode(f"{after.second}.0||{after.ticket_id}".encode()).decode()
        after_url = request.url.replace(path="", query="").include_query_params(**carried, cursor=next_cursor)
        return _json(
            {
                **body,
                "after_url": f"{api}/incremental/tickets/cursor.json?{after_url.query}",
                "after_cursor": next_cursor,
                "before_url": None,
                "before_cursor": None,
                "end_of_stream": not more,
            }
        )

    async def organizations(self, request: Request) -> Response:
        """`GET /api/v2/incremental/organizations.json`: time mode; items of the last second come again."""
        if refusal := self._refusal(request):
            return refusal
        now, size = source_now(request), _page_size(request)
        start = _start_time(request, now)
        if isinstance(start, Response):
            return start
        api = f"{base_url(request)}/api/v2"
        timed = []
        for account in self._simulation.world.accounts:
            item = organization(account, now, api)
            if item is not None and start <= (updated := epoch(item["updated_at"])) <= now - _HIDDEN_SECONDS:
                timed.append((updated, account.index, item))
        timed.sort(key=lambda entry: entry[:2])
        page = timed[:size]
        while len(page) < len(timed) and page[-1][0] == start:
            # More items in one second than a page holds: a longer page, or the next one would repeat this one.
            page = timed[: len(page) + 1]
        end_time = page[-1][0] if page else start
        return _json(
            {
                "organizations": [item for _, _, item in page],
                "count": len(page),
                "next_page": f"{api}/incremental/organizations.json?start_time={end_time}&per_page={size}",
                "end_time": end_time,
                "end_of_stream": len(page) == len(timed),
            }
        )

    async def many_tickets(self, request: Request) -> Response:
        """`GET /api/v2/tickets/show_many.json?ids=`: up to 100, as they are now, no minute held back."""
        ids = self._asked_ids(request)
        if isinstance(ids, Response):
            return ids
        now, world = source_now(request), self._simulation.world
        versions = versions_of(self._simulation, world)
        found = versions.current(ids, now)
        api = f"{base_url(request)}/api/v2"
        body: dict[str, Any] = {
            "tickets": [ticket(world, versions, version, api) for version in found],
            "count": len(found),
            "next_page": None,
            "previous_page": None,
        }
        if "metric_sets" in request.query_params.get("include", "").split(","):
            body["metric_sets"] = [metric_set(world, versions, version, api) for version in found]
        return _json(body)

    async def many_organizations(self, request: Request) -> Response:
        """`GET /api/v2/organizations/show_many.json?ids=`: up to 100."""
        ids = self._asked_ids(request)
        if isinstance(ids, Response):
            return ids
        now, api = source_now(request), f"{base_url(request)}/api/v2"
        accounts = [
            account for account in self._simulation.world.accounts if organization_id(account.index) in set(ids)
        ]
        found = [one for account in accounts if (one := organization(account, now, api)) is not None]
        return _json({"organizations": found, "count": len(found), "next_page": None, "previous_page": None})

    def _asked_ids(self, request: Request) -> list[int] | Response:
        if refusal := self._refusal(request):
            return refusal
        ids = [one for one in request.query_params.get("ids", "").split(",") if one]
        if not ids or len(ids) > _NAMED_MAX or not all(one.isdigit() for one in ids):
            return JSONResponse({"error": "InvalidValue", "description": "Invalid ids"}, 400)
        return [int(one) for one in ids]

    def _refusal(self, request: Request) -> Response | None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme == "Bearer":
            return None if self._simulation.tokens.accepts("zendesk", given) else self._front.unauthorized(request)
        expected = base64.b64encode(f"{credentials.EMAIL}/token:{credentials.API_TOKEN}".encode()).decode()
        if scheme == "Basic" and given == expected:
            return None
        return JSONResponse({"error": "Couldn't authenticate you"}, 401)


def _start_time(request: Request, now: int) -> int | Response:
    text = request.query_params.get("start_time", "")
    if not text.isdigit():
        return _invalid("start_time is a required epoch time in seconds")
    if int(text) > now - _RECENT_SECONDS:
        return _invalid("Too recent start_time. Use a start_time older than 5 minutes")
    return int(text)


def _page_size(request: Request) -> int:
    text = request.query_params.get("per_page", "")
    return min(max(int(text), 1), _PAGE) if text.isdigit() else _PAGE


def _decoded(cursor: str) -> Position | None:
    try:
        second, _, ticket_id = base64.b64decode(cursor, validate=True).decode().partition("||")
        return Position(int(float(second)), int(ticket_id))
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None


def _invalid(description: str) -> JSONResponse:
    return JSONResponse({"error": "InvalidValue", "description": description}, 422)


def _token_error(code: str, description: str, status: int = 400) -> JSONResponse:
    return JSONResponse({"error": code, "error_description": description}, status)


def _json(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")


async def _not_found(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"error": "RecordNotFound", "description": "Not found"}, 404)


def declared(world: World, now: int) -> dict[str, int]:
    """How many objects of each kind the account shows at `now`."""
    tickets = world.tickets
    opened = tickets.opened_at <= now
    # A ticket that is solved before it is opened counts as solved once it is there.
    solved = opened & (tickets.solved_at <= now) & (tickets.solved_at < NEVER)
    changed_at = np.where(solved, np.maximum(tickets.opened_at, tickets.solved_at), tickets.opened_at)
    rated_at, _ = ratings(tickets, world.surveys)
    changed_at = np.where(rated_at <= now, rated_at, changed_at)
    return {
        "organizations": sum(account.created_at <= now for account in world.accounts),
        "tickets": int(opened.sum()),
        "solved_tickets": int(solved.sum()),
        "rated_tickets": int((rated_at <= now).sum()),
        # What an incremental export holds back: the tickets that changed in the last minute.
        "tickets_exported": int((opened & (changed_at <= now - _HIDDEN_SECONDS)).sum()),
    }


def create_app(simulation: Simulation) -> Starlette:
    """The ASGI application of this vendor."""
    front = ZendeskFront(simulation)
    simulator = ZendeskSimulator(simulation, front)
    exports = "/api/v2/incremental"
    routes = [Route(_TOKEN_PATH, simulator.token, methods=["POST"])]
    for ending in ("", ".json"):
        routes.append(Route(f"{exports}/tickets/cursor{ending}", simulator.tickets))
        routes.append(Route(f"{exports}/organizations{ending}", simulator.organizations))
        routes.append(Route(f"/api/v2/tickets/show_many{ending}", simulator.many_tickets))
        routes.append(Route(f"/api/v2/organizations/show_many{ending}", simulator.many_organizations))
    return Starlette(routes=routes, middleware=[Middleware(VendorGate, front)], exception_handlers={404: _not_found})
