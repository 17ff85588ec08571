"""Intercom over a simulated world: searches, the company scroll, single objects, and edits of contacts."""

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.intercom import search_query
from connectors.intercom import simulated_records as records
from connectors.intercom.conversation_versions import Position, conversation_versions
from connectors.intercom.search_query import QueryError, Search
from connectors.intercom.simulated_door import IntercomDoor, IntercomFront, refusal
from connectors.simulation.gate import VendorGate, source_now, vendor_path
from connectors.simulation.stage import Simulation
from connectors.simulation.world import World

NAME = "intercom"

FAULTS: Mapping[str, str] = {
    "search_lag": "a search that sees the workspace as it was `seconds` earlier still",
    "scroll_exists": "the company scroll is held by somebody else",
    "scroll_expired": "the open company scroll expires before this request",
    "scroll_broken": "a 500 that asks to restart the company scroll",
}
"""Kinds of fault that only this vendor has."""

TIMEZONE = "America/New_York"
"""The workspace's zone, by whose days contacts are searched."""

INDEX_SECONDS = 20
"""How far searches are behind the objects themselves."""

SCROLL_PAGE = 100
SCROLL_SECONDS = 60.0

_DEFAULT_PAGE = {"conversations": 20, "contacts": 50}
_MOST_LISTED = 10_000


@dataclass(slots=True)
class _Scroll:
    """The app's one scroll over the companies that were there at its begin."""

    param: str
    companies: list[dict[str, Any]]
    used_at: float
    place: int = 0


@dataclass(slots=True)
class _Edits:
    """What requests changed in the workspace. It lasts as long as the process."""

    deleted: set[str] = field(default_factory=set)
    archived: set[str] = field(default_factory=set)
    merged: dict[str, str] = field(default_factory=dict)

    def hidden(self, contact_id: str) -> bool:
        """Whether searches do not show a contact any more."""
        return contact_id in self.deleted or contact_id in self.archived or contact_id in self.merged


class IntercomSimulator:
    """The endpoints over `simulation.world` as of each request's source time."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._zone = ZoneInfo(TIMEZONE)
        self._scroll: _Scroll | None = None
        self._scrolls = 0
        self._edits = _Edits()

    async def me(self, _request: Request) -> Response:
        """`GET /me`: the admin and the workspace."""
        world = self._simulation.world
        return _json(
            {
                "type": "admin",
                "id": records.TEAMMATE_ID,
                "email": "admin@vendor.example",
                "name": "Vitals",
                "email_verified": True,
                "app": {
                    "type": "app",
                    "id_code": records.APP_ID,
                    "name": world.name,
                    "created_at": world.history_start,
                    "secure": False,
                    "identity_verification": False,
                    "timezone": TIMEZONE,
                    "region": "US",
                },
                "has_inbox_seat": True,
            }
        )

    async def search_conversations(self, request: Request) -> Response:
        """`POST /conversations/search`."""
        search = search_query.parse(
            await _body(request), search_query.CONVERSATION_FIELDS, self._zone, _DEFAULT_PAGE["conversations"]
        )
        space, as_of = self._space(), self._searched_at(request)
        versions = space.versions
        current = versions.current(search.low, search.high, as_of)
        if not search.bounds_only:
            current = current[[search.matches(self._conversation(one, as_of)) for one in current.tolist()]]
        after, number = _decoded(search.starting_after)
        found = versions.following(current, after, descending=search.descending, most=search.per_page + 1).tolist()
        rows = [(versions.position(one), self._conversation(one, as_of)) for one in found]
        return self._answer(request, search, rows, number, len(current), "conversation")

    async def search_contacts(self, request: Request) -> Response:
        """`POST /contacts/search`: times are compared by day."""
        search = search_query.parse(
            await _body(request), search_query.CONTACT_FIELDS, self._zone, _DEFAULT_PAGE["contacts"]
        )
        space, as_of = self._space(), self._searched_at(request)
        listed = []
        for one in space.contacts.values():
            updated_at = one.updated_at(as_of)
            if updated_at is None or self._edits.hidden(one.contact_id):
                continue
            row = records.contact(space, one, updated_at)
            if search.matches(row):
                listed.append((Position(updated_at, int(one.contact_id[:15], 16)), row))
        listed.sort(key=lambda entry: entry[0], reverse=search.descending)
        after, number = _decoded(search.starting_after)
        if after is None:
            rows = listed
        else:
            rows = [one for one in listed if (one[0] < after if search.descending else one[0] > after)]
        return self._answer(request, search, rows, number, len(listed), "contact")

    async def conversation(self, request: Request) -> Response:
        """`GET /conversations/{id}`: as it is now."""
        space, now = self._space(), source_now(request)
        place = space.place_of.get(request.path_params["id"])
        if place is None or space.world.tickets.opened_at[place] > now:
            return refusal(request, 404, "not_found", "Resource Not Found")
        return _json(records.conversation(space, place, now, self._edits.merged))

    async def contact(self, request: Request) -> Response:
        """`GET`, and `DELETE`, of `/contacts/{id}`."""
        contact_id = request.path_params["id"]
        row = self._contact(contact_id, source_now(request))
        if row is None:
            return refusal(request, 404, "not_found", "User Not Found")
        if request.method == "DELETE":
            self._edits.deleted.add(contact_id)
            return _json({"id": contact_id, "external_id": row["external_id"], "type": "contact", "deleted": True})
        return _json(row)

    async def archive(self, request: Request) -> Response:
        """`POST /contacts/{id}/archive`."""
        contact_id = request.path_params["id"]
        row = self._contact(contact_id, source_now(request))
        if row is None:
            return refusal(request, 404, "not_found", "User Not Found")
        self._edits.archived.add(contact_id)
        return _json({"id": contact_id, "external_id": row["external_id"], "type": "contact", "archived": True})

    async def merge(self, request: Request) -> Response:
        """`POST /contacts/merge`: the conversations of `from` become those of `into`."""
        asked, now = await _body(request), source_now(request)
        source, target = (str(asked.get(name)) if isinstance(asked, Mapping) else "" for name in ("from", "into"))
        row = self._contact(target, now)
        if row is None or self._contact(source, now) is None or source == target:
            return refusal(request, 404, "not_found", "User Not Found")
        merged = {old: target if into == source else into for old, into in self._edits.merged.items()}
        self._edits.merged = {**merged, source: target}
        return _json(row)

    async def companies_of_contact(self, request: Request) -> Response:
        """`GET /contacts/{id}/companies`."""
        space, now = self._space(), source_now(request)
        one = space.contacts.get(request.path_params["id"])
        if one is None or self._contact(one.contact_id, now) is None:
            return refusal(request, 404, "not_found", "User Not Found")
        return self._list(request, [records.company(space.world.accounts[one.account], now)])

    async def scroll(self, request: Request) -> Response:
        """`GET /companies/scroll`: one at a time in the app, for a minute after each request."""
        faults, path, wall = self._simulation.faults, vendor_path(request.scope), self._simulation.wall()
        given = request.query_params.get("scroll_param")
        if faults.take(NAME, path, "scroll_broken"):
            self._scroll = None
            message = "Request failed due to an internal network error. Please restart the scroll operation."
            return refusal(request, 500, "server_error", message)
        if given is not None and faults.take(NAME, path, "scroll_expired"):
            self._scroll = None
        if self._scroll is not None and wall - self._scroll.used_at > SCROLL_SECONDS:
            self._scroll = None
        if given is None:
            if self._scroll is not None or faults.take(NAME, path, "scroll_exists"):
                return refusal(request, 400, "scroll_exists", "scroll already exists for this workspace")
            self._scrolls += 1
            param = records.uuid_of(f"scroll:{self._scrolls}:{source_now(request)}")
            self._scroll = _Scroll(param, self._companies(source_now(request)), wall)
        if self._scroll is None or given not in (None, self._scroll.param):
            return refusal(request, 404, "not_found", "scroll parameter not found")
        scroll = self._scroll
        scroll.used_at = wall
        rows = scroll.companies[scroll.place : scroll.place + SCROLL_PAGE]
        scroll.place += len(rows)
        if not rows:
            self._scroll = None
        return _json({"type": "list", "data": rows, "pages": None, "total_count": None, "scroll_param": scroll.param})

    async def list_companies(self, request: Request) -> Response:
        """`POST /companies/list`: pages by number, the first 10,000 only."""
        return self._list(request, self._companies(source_now(request))[:_MOST_LISTED])

    async def company(self, request: Request) -> Response:
        """`GET /companies/{id}`, by Intercom's id."""
        for row in self._companies(source_now(request)):
            if row["id"] == request.path_params["id"]:
                return _json(row)
        return refusal(request, 404, "company_not_found", "Company Not Found")

    async def contacts_of_company(self, request: Request) -> Response:
        """`GET /companies/{id}/contacts`."""
        space, now = self._space(), source_now(request)
        rows = [
            records.contact(space, one, updated_at)
            for one in space.contacts.values()
            if records.company_id(space.world.accounts[one.account].external_id) == request.path_params["id"]
            and (updated_at := one.updated_at(now)) is not None
            and not self._edits.hidden(one.contact_id)
        ]
        return self._list(request, rows)

    def _answer(
        self,
        request: Request,
        search: Search,
        rows: Sequence[tuple[Position, Any]],
        number: int,
        total: int,
        kind: str,
    ) -> Response:
        """Page `number` of a search that finds `total` in all; `rows` are those behind its place, in order."""
        page, following = rows[: search.per_page], None
        if len(rows) > len(page):
            last = page[-1][0]
            if len(page) > 1 and self._simulation.faults.take(NAME, vendor_path(request.scope), "duplicates"):
                last = page[-2][0]  # the next page starts again with this page's last row
            following = {"per_page": search.per_page, "starting_after": _encoded(last, number + 1)}
        pages: dict[str, Any] = {
            "type": "pages",
            "page": number,
            "per_page": search.per_page,
            "total_pages": -(-total // search.per_page),
        }
        if following is not None:
            pages["next"] = following
        return _json(
            {
                "type": f"{kind}.list" if kind == "conversation" else "list",
                "total_count": total,
                "pages": pages,
                "conversations" if kind == "conversation" else "data": [row for _, row in page],
            }
        )

    def _list(self, request: Request, rows: Sequence[Any]) -> Response:
        """A list by page number, whose `pages.next` is an address."""
        page, size = _whole(request, "page", 1), min(_whole(request, "per_page", 50), 60)
        total = -(-len(rows) // size)
        following = request.url.include_query_params(page=page + 1, per_page=size) if page < total else None
        pages = {"type": "pages", "page": page, "per_page": size, "total_pages": total}
        return _json(
            {
                "type": "list",
                "data": rows[(page - 1) * size : page * size],
                "pages": {**pages, "next": None if following is None else str(following)},
                "total_count": len(rows),
            }
        )

    def _space(self) -> records.Workspace:
        return records.workspace_of(self._simulation)

    def _searched_at(self, request: Request) -> int:
        lag = self._simulation.faults.take(NAME, vendor_path(request.scope), "search_lag")
        return source_now(request) - INDEX_SECONDS - (math.ceil(lag.seconds) if lag else 0)

    def _conversation(self, version: int, as_of: int) -> dict[str, Any]:
        space = self._space()
        return records.conversation(space, int(space.versions.place[version]), as_of, self._edits.merged)

    def _contact(self, contact_id: str, now: int) -> dict[str, Any] | None:
        space = self._space()
        one = space.contacts.get(contact_id)
        updated_at = None if one is None else one.updated_at(now)
        if one is None or updated_at is None or contact_id in self._edits.deleted or contact_id in self._edits.merged:
            return None
        return records.contact(space, one, updated_at)

    def _companies(self, now: int) -> list[dict[str, Any]]:
        rendered = (records.company(account, now) for account in self._simulation.world.accounts)
        return [one for one in rendered if one is not None]


async def _body(request: Request) -> Any:
    try:
        return orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise QueryError("The body is not JSON.") from error


def _whole(request: Request, name: str, otherwise: int) -> int:
    text = request.query_params.get(name, "")
    return max(1, int(text)) if text.isdigit() else otherwise


def _encoded(position: Position, page: int) -> str:
    return base64.b64encode(orjson.dumps([position.second * 1_000, position.number, page])).decode()


def _decoded(cursor: str | None) -> tuple[Position | None, int]:
    if cursor is None:
        return None, 1
    try:
        milliseconds, number, page = orjson.loads(base64.b64decode(cursor, validate=True))
        return Position(milliseconds // 1_000, number), page
    except (ValueError, TypeError) as error:
        raise QueryError("starting_after is not a place in this search.") from error


def _json(body: Any) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")


async def _not_found(request: Request, _error: Exception) -> Response:
    return refusal(request, 404, "not_found", "The requested resource does not exist")


async def _refused(request: Request, error: Exception) -> Response:
    return refusal(request, 400, "parameter_invalid", str(error))


def declared(world: World, now: int) -> dict[str, int]:
    """How many objects of each kind the workspace shows at `now`."""
    tickets = world.tickets
    opened = tickets.opened_at <= now
    versions = conversation_versions(tickets, world.surveys)
    return {
        "companies": sum(account.created_at <= now for account in world.accounts),
        "contacts": len(set(zip(tickets.account[opened].tolist(), tickets.requester[opened].tolist(), strict=True))),
        "conversations": int(opened.sum()),
        "closed_conversations": int((opened & (tickets.solved_at <= now)).sum()),
        "ratings": int((versions.rated_at <= now).sum()),
        # What a search shows: it is behind the objects themselves.
        "conversations_searchable": int((tickets.opened_at <= now - INDEX_SECONDS).sum()),
    }


def create_app(simulation: Simulation) -> Starlette:
    """The ASGI application of this vendor."""
    front, simulator = IntercomFront(simulation), IntercomSimulator(simulation)
    routes = [
        Route("/me", simulator.me),
        Route("/conversations/search", simulator.search_conversations, methods=["POST"]),
        Route("/conversations/{id}", simulator.conversation),
        Route("/contacts/search", simulator.search_contacts, methods=["POST"]),
        Route("/contacts/merge", simulator.merge, methods=["POST"]),
        Route("/contacts/{id}", simulator.contact, methods=["GET", "DELETE"]),
        Route("/contacts/{id}/archive", simulator.archive, methods=["POST"]),
        Route("/contacts/{id}/companies", simulator.companies_of_contact),
        Route("/companies/scroll", simulator.scroll),
        Route("/companies/list", simulator.list_companies, methods=["POST"]),
        Route("/companies/{id}", simulator.company),
        Route("/companies/{id}/contacts", simulator.contacts_of_company),
    ]
    handlers = {404: _not_found, QueryError: _refused}
    middleware = [Middleware(VendorGate, front), Middleware(IntercomDoor, front)]
    return Starlette(routes=routes, middleware=middleware, exception_handlers=handlers)
