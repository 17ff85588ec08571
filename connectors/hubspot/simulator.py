"""HubSpot's CRM API over a simulated world: lists, a search whose index lags, batches, associations, OAuth, limits."""

import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.hubspot import simulated_search
from connectors.hubspot.credentials import HubSpotCredentials
from connectors.hubspot.simulated_door import NAME, HubSpotFront, invalid, json_of, limited, problem
from connectors.hubspot.simulated_ids import company_id
from connectors.hubspot.simulated_merges import Merge, Merges, merges_of
from connectors.hubspot.simulated_objects import (
    DEFAULT_PROPERTIES,
    OBJECT_TYPES,
    PORTAL,
    Properties,
    Shelf,
    hubspot_time,
    plural,
    shelf_of,
)
from connectors.hubspot.simulated_portal import PortalEndpoints
from connectors.simulation.gate import VendorGate, source_now, vendor_path
from connectors.simulation.injection import Injection
from connectors.simulation.stage import Simulation
from connectors.simulation.world import NEVER, World

FAULTS: Mapping[str, str] = {
    "secondly": "429 with the policy SECONDLY and no Retry-After",
    "daily": "429 with the policy DAILY and no Retry-After",
    "locked": "423: the account is locked",
    "migrating": "477: the account moves to another data centre; `retry_after` seconds, 30 unless given",
    "edge_dns": "530, as for a malformed token",
    "cursor_expired": "400 for the `after` of a list",
    "partial_batch": "207 without one of a batch's objects, for a reason that passes",
    "search_lag": "a search in the index of `seconds` before its ordinary lag",
}
"""Kinds of fault that only this vendor has."""

INDEX_LAG_SECONDS = 15
"""How far the search index lags behind the store."""

_VERSIONS = frozenset({"2026-03", "2026-09", "v3"})
_ACCESS_SECONDS = 1_800
_LIST_MOST, _BATCH_MOST, _ASSOCIATIONS_MOST = 100, 100, 1_000
# (primary, unlabeled) types of an association with a company.
_ASSOCIATION_TYPES = {"deals": (5, 341), "tickets": (26, 339)}


class HubSpotSimulator:
    """The endpoints over `simulation.world` as of each request's source time."""

    def __init__(self, simulation: Simulation, front: HubSpotFront, index_lag: int) -> None:
        self._simulation = simulation
        self._front = front
        self._index_lag = index_lag
        self._credentials = HubSpotCredentials()
        self.merges = merges_of(simulation)

    async def token(self, request: Request) -> Response:
        """`POST /oauth/{version}/token`: refresh, with every field in the body."""
        form, known = dict(parse_qsl((await request.body()).decode(errors="replace"))), self._credentials
        if (form.get("client_id"), form.get("client_secret")) != (known.client_id, known.client_secret):
            return _token_error("invalid_client", "BAD_CLIENT_ID", "missing or unknown client id or secret")
        if form.get("grant_type") != "refresh_token":
            return _token_error("unsupported_grant_type", "BAD_GRANT_TYPE", "grant_type is not supported")
        tokens = self._simulation.tokens
        if form.get("refresh_token") != tokens.refresh_token(NAME, known.refresh_token):
            return _token_error("invalid_grant", "BAD_REFRESH_TOKEN", "refresh token is invalid, expired or revoked")
        return JSONResponse(
            {
                "token_type": "bearer",
                "access_token": tokens.issue(NAME, "C", _ACCESS_SECONDS),
                "refresh_token": form["refresh_token"],
                "expires_in": _ACCESS_SECONDS,
                "hub_id": PORTAL,
                "user_id": 9_911,
                "scopes": ["oauth", "crm.objects.companies.read", "crm.objects.deals.read", "tickets"],
                "token_use": "access_token",
            }
        )

    async def list(self, request: Request) -> Response:
        """`GET …/{objectType}`: by id, 100 a page, archived objects or the others."""
        shelf = self._shelf(request)
        if isinstance(shelf, Response):
            return shelf
        asked, path = request.query_params, vendor_path(request.scope)
        limit, after = asked.get("limit", "10"), asked.get("after", "0")
        if not limit.isdigit() or not 1 <= int(limit) <= _LIST_MOST:
            return invalid(f"limit must be from 1 to {_LIST_MOST}")
        expired = "after" in asked and self._taken(path, "cursor_expired")
        if not after.isdigit() or expired:
            return invalid("The after cursor is not valid")
        rows = shelf.rows(archived=asked.get("archived") == "true")
        rows = rows[shelf.ids[rows] >= int(after)]
        page, more = rows[: int(limit)].tolist(), len(rows) > int(limit)
        wanted = tuple(filter(None, asked.get("properties", "").split(",")))
        results = [self._record(shelf, row, wanted, associations=asked.get("associations")) for row in page]
        if results and self._taken(path, "duplicates"):
            results.append(results[0])
        body: dict[str, Any] = {"results": results}
        if more:
            following = str(shelf.ids[page[-1]] + 1)
            link = request.url.include_query_params(after=following)
            body["paging"] = {"next": {"after": following, "link": str(link)}}
        return json_of(body)

    async def search(self, request: Request) -> Response:
        """`POST …/{objectType}/search`, in an index that lags behind the store."""
        lag = self._index_lag
        fault = self._simulation.faults.take(NAME, vendor_path(request.scope), "search_lag")
        if fault is not None:
            lag += math.ceil(fault.seconds)
        store, shelf = self._shelf(request), self._shelf(request, lag)
        if isinstance(shelf, Response) or isinstance(store, Response):
            return shelf if isinstance(shelf, Response) else Response(status_code=500)
        try:
            asked = simulated_search.parse(await _body(request))
            # An object that is gone from the store is gone from the index at once.
            rows = shelf.rows(archived=False)
            rows = rows[np.isin(shelf.ids[rows], store.ids[store.rows(archived=False)])]
            found = simulated_search.matching(asked, shelf, rows)
        except simulated_search.SearchError as refused:
            return invalid(str(refused))
        page, until = found[asked.offset : asked.offset + asked.limit].tolist(), asked.offset + asked.limit
        body: dict[str, Any] = {
            "total": len(found),
            "results": [self._record(shelf, row, asked.properties) for row in page],
        }
        if until < len(found):
            body["paging"] = {"next": {"after": str(until)}}
        return json_of(body)

    async def batch_read(self, request: Request) -> Response:
        """`POST …/{objectType}/batch/read`: 207 where some do not exist; a merged company gives its winner."""
        shelf = self._shelf(request)
        if isinstance(shelf, Response):
            return shelf
        asked = await _body(request)
        ids = _inputs(asked, _BATCH_MOST)
        if ids is None:
            return invalid(f"inputs holds from 1 to {_BATCH_MOST} ids")
        now, archived = source_now(request), request.query_params.get("archived") == "true"
        merges = self.merges.with_those_of(self._simulation.world)
        results: dict[int, dict[str, Any]] = {}
        missing = []
        for one in ids:
            number = merges.winner_of(one, now) if shelf.object_type == "companies" else one
            row = shelf.row_of(number)
            if row is None or (shelf.archived_at[row] < NEVER) != archived:
                missing.append(str(one))
            else:
                results[number] = self._record(shelf, row, tuple(asked.get("properties") or ()))
        errors = _not_found(missing)
        if results and self._taken(vendor_path(request.scope), "partial_batch"):
            lost, _ = results.popitem()
            errors.append(
                {
                    "status": "error",
                    "category": "INTERNAL_ERROR",
                    "message": "internal error",
                    "context": {"ids": [str(lost)]},
                }
            )
        return _batch(list(results.values()), errors, now)

    async def read(self, request: Request) -> Response:
        """`GET …/{objectType}/{id}`, the winner for a merged company; `DELETE` archives a company."""
        shelf = self._shelf(request)
        if isinstance(shelf, Response):
            return shelf
        asked, text = request.query_params, request.path_params["object_id"]
        number = int(text) if text.isdigit() else 0
        merges = self.merges.with_those_of(self._simulation.world)
        row = shelf.row_of(merges.winner_of(number, source_now(request)))
        if row is None or (shelf.archived_at[row] < NEVER) != (asked.get("archived") == "true"):
            return problem(404, "OBJECT_NOT_FOUND", f"Object not found. objectId are usually numeric: {text}")
        if request.method == "DELETE":
            if shelf.object_type != "companies":
                return problem(405, "METHOD_NOT_ALLOWED", "The simulator archives companies only")
            accounts = self._simulation.world.accounts
            account = next(one for one in accounts if company_id(one.external_id) == shelf.ids[row])
            self._simulation.inject(Injection("account_changed", account=account.external_id, deleted=True))
            return Response(status_code=204)
        wanted = tuple(filter(None, asked.get("properties", "").split(",")))
        return json_of(self._record(shelf, row, wanted, associations=asked.get("associations")))

    async def merge(self, request: Request) -> Response:
        """`POST …/companies/merge` with `primaryObjectId` and `objectIdToMerge`."""
        shelf = self._shelf(request)
        if isinstance(shelf, Response):
            return shelf
        asked = await _body(request)
        winner, loser = (str((asked or {}).get(name, "")) for name in ("primaryObjectId", "objectIdToMerge"))
        known = all(one.isdigit() and shelf.row_of(int(one)) is not None for one in (winner, loser))
        if shelf.object_type != "companies" or not known or winner == loser:
            return invalid("primaryObjectId and objectIdToMerge are two companies")
        self.merges.add(Merge(int(winner), int(loser), source_now(request)))
        merged = self._shelf(request)
        row = None if isinstance(merged, Response) else merged.row_of(int(winner))
        assert not isinstance(merged, Response) and row is not None  # noqa: PT018 - it was there before
        return json_of(self._record(merged, row, ()))

    async def associations(self, request: Request) -> Response:
        """`POST …/associations/{from}/{to}/batch/read`; ids without any are missing, and reported by 207."""
        shelf = self._shelf(request, kind=request.path_params["from"])
        if isinstance(shelf, Response):
            return shelf
        if plural(request.path_params["to"]) != "companies" or shelf.object_type == "companies":
            return invalid("The simulator associates deals and tickets with companies only")
        ids = _inputs(await _body(request), _ASSOCIATIONS_MOST)
        if ids is None:
            return invalid(f"inputs holds from 1 to {_ASSOCIATIONS_MOST} ids")
        dated = request.path_params.get("version") is not None
        primary, unlabeled = _ASSOCIATION_TYPES[shelf.object_type]
        results, missing = [], []
        for one in dict.fromkeys(ids):
            row = shelf.row_of(one)
            company = None if row is None else shelf.company(row)
            if company is None:
                missing.append(str(one))
                continue
            types = [
                {"category": "HUBSPOT_DEFINED", "typeId": primary, "label": "Primary"},
                {"category": "HUBSPOT_DEFINED", "typeId": unlabeled, "label": None},
            ]
            # A number in v4, text since.
            to = {"toObjectId": str(company) if dated else company, "associationTypes": types}
            results.append({"from": {"id": str(one)}, "to": [to]})
        errors = [
            {
                "status": "error",
                "category": "OBJECT_NOT_FOUND",
                "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
                "message": f"No company is associated with {one}.",
                "context": {"fromObjectId": [one]},
            }
            for one in missing
        ]
        return _batch(results, errors, source_now(request))

    def _shelf(self, request: Request, lag: int = 0, kind: str = "") -> Shelf | Response:
        """The objects that a request is about, unless it is refused."""
        if refusal := self.refusal(request):
            return refusal
        object_type = plural(kind or request.path_params["type"])
        if object_type is None:
            return invalid("Unable to infer object type from: " + (kind or request.path_params["type"]))
        return shelf_of(self._simulation.world, self.merges, object_type, source_now(request) - lag)

    def refusal(self, request: Request) -> Response | None:
        """Why a request gets no answer: credentials, version, ordered faults."""
        path = vendor_path(request.scope)
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        known = given == self._credentials.access_token or self._simulation.tokens.accepts(NAME, given)
        if scheme != "Bearer" or not known:
            return problem(401, "INVALID_AUTHENTICATION", "Authentication credentials not found or not valid.")
        if request.path_params.get("version", "v3") not in _VERSIONS:
            return problem(404, "NOT_FOUND", "No such version")
        if self._taken(path, "secondly"):
            return limited("SECONDLY")
        if self._taken(path, "daily"):
            return limited("DAILY")
        if self._taken(path, "locked"):
            return problem(423, "LOCKED", "The account is locked while a large change is under way.")
        if (moving := self._simulation.faults.take(NAME, path, "migrating")) is not None:
            answer = problem(477, "MIGRATION_IN_PROGRESS", "This account is moving to another data centre.")
            answer.headers["retry-after"] = str(math.ceil(30.0 if moving.retry_after is None else moving.retry_after))
            return answer
        if self._taken(path, "edge_dns"):
            return Response("error code: 1016", 530, media_type="text/plain")
        return None

    def _taken(self, path: str, kind: str) -> bool:
        return self._simulation.faults.take(NAME, path, kind) is not None

    def _record(
        self, shelf: Shelf, row: int, wanted: Sequence[str], *, associations: str | None = None
    ) -> dict[str, Any]:
        every, number = shelf.properties(row), str(shelf.ids[row])
        shown = _chosen(every, wanted or DEFAULT_PROPERTIES[shelf.object_type])
        archived_at = int(shelf.archived_at[row])
        record: dict[str, Any] = {
            "id": number,
            "properties": shown,
            "createdAt": every["createdate"],
            "updatedAt": every["hs_lastmodifieddate"],
            "archived": archived_at < NEVER,
            "url": f"https://app.hubspot.com/contacts/{PORTAL}/record/{OBJECT_TYPES[shelf.object_type][1]}/{number}",
        }
        if archived_at < NEVER:
            record["archivedAt"] = hubspot_time(archived_at)
        if associations and "companies" in associations.split(",") and shelf.object_type != "companies":
            kind = f"{OBJECT_TYPES[shelf.object_type][0]}_to_company"
            company = str(shelf.company(row))
            linked = [{"id": company, "type": kind}, {"id": company, "type": f"{kind}_unlabeled"}]
            record["associations"] = {"companies": {"results": linked}}
        return record


def _chosen(every: Properties, wanted: Sequence[str]) -> Properties:
    """The properties asked for, and those that HubSpot always gives; unknown names are passed over."""
    always = ("createdate", "hs_lastmodifieddate", "hs_object_id")
    return {name: every[name] for name in dict.fromkeys((*wanted, *always)) if name in every}


def _inputs(body: Any, most: int) -> list[int] | None:
    try:
        ids = [int(one["id"]) for one in body["inputs"]]
    except (KeyError, TypeError, ValueError):
        return None
    return ids if 0 < len(ids) <= most else None


async def _body(request: Request) -> Any:
    try:
        return orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        return None


def _not_found(ids: Sequence[str]) -> list[dict[str, Any]]:
    if not ids:
        return []
    message = "Could not get some objects, they may be deleted or not exist. Check that ids are valid."
    return [{"status": "error", "category": "OBJECT_NOT_FOUND", "message": message, "context": {"ids": list(ids)}}]


def _batch(results: Sequence[dict[str, Any]], errors: Sequence[dict[str, Any]], now: int) -> Response:
    body: dict[str, Any] = {
        "status": "COMPLETE",
        "results": results,
        "startedAt": hubspot_time(now),
        "completedAt": hubspot_time(now),
    }
    if not errors:
        return json_of(body)
    return json_of({**body, "numErrors": len(errors), "errors": errors}, 207)


def _token_error(error: str, status: str, message: str) -> JSONResponse:
    """Both the RFC's form and the old one, which older clients read."""
    return JSONResponse({"error": error, "error_description": message, "status": status, "message": message}, 400)


async def _no_such_path(request: Request, _error: Exception) -> Response:
    return problem(404, "NOT_FOUND", f"No such path: {request.url.path}")


def declared(world: World, now: int) -> dict[str, int]:
    """How many objects of each kind the portal shows at `now`, archived ones too."""
    nothing = Merges()
    return {name: len(shelf_of(world, nothing, name, now).ids) for name in OBJECT_TYPES}


def create_app(simulation: Simulation, index_lag: int | None = None) -> Starlette:
    """The ASGI application of this vendor; `index_lag` is how many seconds the search index lags."""
    front = HubSpotFront(simulation)
    simulator = HubSpotSimulator(simulation, front, INDEX_LAG_SECONDS if index_lag is None else index_lag)
    routes = [Route("/oauth/{oauth_version}/token", simulator.token, methods=["POST"])]
    for objects in ("/crm/objects/{version}/{type}", "/crm/{version}/objects/{type}"):
        routes += [
            Route(objects, simulator.list),
            Route(f"{objects}/search", simulator.search, methods=["POST"]),
            Route(f"{objects}/batch/read", simulator.batch_read, methods=["POST"]),
            Route(f"{objects}/merge", simulator.merge, methods=["POST"]),
            Route(f"{objects}/{{object_id}}", simulator.read, methods=["GET", "DELETE"]),
        ]
    for associations in ("/crm/associations/{version}", "/crm/v4/associations"):
        routes.append(Route(f"{associations}/{{from}}/{{to}}/batch/read", simulator.associations, methods=["POST"]))
    routes += PortalEndpoints(simulation, front, simulator.refusal).routes()
    return Starlette(routes=routes, middleware=[Middleware(VendorGate, front)], exception_handlers={404: _no_such_path})
