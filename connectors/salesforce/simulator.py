"""Salesforce REST over a simulated world: tokens, describe, SOQL queries with locators, limits and deletes."""

import base64
import binascii
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import jwt
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.salesforce.bulk_simulator import FAULTS as BULK_FAULTS
from connectors.salesforce.bulk_simulator import BulkSimulator
from connectors.salesforce.credentials import SalesforceCredentials, credentials_of
from connectors.simulation.calendar import DAY, epoch
from connectors.simulation.crm_records import KEY_PREFIXES, RECYCLE_BIN_SECONDS, SCHEMAS, rows
from connectors.simulation.gate import VendorFront, VendorGate, base_url, source_now, vendor_path
from connectors.simulation.identifiers import base62, salesforce_id
from connectors.simulation.limits import RequestWindow
from connectors.simulation.soql import Query, Row, SoqlError, datetime_text, parse, run
from connectors.simulation.stage import Simulation
from connectors.simulation.world import World

NAME = "salesforce"

FAULTS: Mapping[str, str] = {
    "locator_expired": "400 INVALID_QUERY_LOCATOR for a nextRecordsUrl",
    "concurrent": "403 REQUEST_LIMIT_EXCEEDED of the concurrency limit",
    "field_removed": "400 INVALID_FIELD for the last field of the query",
    **BULK_FAULTS,
    "cdc_gap": "change events without data, as after an overload",
    "cdc_expired": "INVALID_ARGUMENT for the replay id of a subscription",
    "cdc_dropped": "UNAVAILABLE in the middle of a subscription",
}
"""Kinds of fault that only this vendor has."""

_VERSIONS = {"66.0": "Spring '26", "67.0": "Summer '26", "68.0": "Winter '27"}
_SESSION_SECONDS = 7_200.0
_DAILY_REQUESTS = 100_000
_BATCH = 2_000
_SMALLEST_BATCH = 200
_LOCATOR_SECONDS = 2 * DAY
_OPEN_LOCATORS = 50
_TOKEN_PATH = "/services/oauth2/token"  # noqa: S105 - a path
_JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTION_SECONDS = 300


def error(status: int, code: str, message: str) -> JSONResponse:
    """A data error, which is an array."""
    return JSONResponse([{"message": message, "errorCode": code}], status)


class SalesforceFront(VendorFront):
    """The daily allocation, counted on every reply, and Salesforce's own answers at the door."""

    name = "salesforce"
    token_path = _TOKEN_PATH

    def __init__(self, simulation: Simulation, daily_requests: int) -> None:
        super().__init__(simulation)
        self.daily = RequestWindow(daily_requests, DAY, simulation.wall)

    def windows(self, path: str) -> Iterable[RequestWindow]:
        """Every call but the token and the version list counts against the rolling day."""
        return () if path in (_TOKEN_PATH, "/services/data", "/services/data/") else (self.daily,)

    def throttled(self, _request: Request, _retry_after: float | None, _window: RequestWindow | None) -> Response:
        """403 without any hint of when to come back."""
        return error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")

    def unauthorized(self, _request: Request) -> Response:
        """The session is over."""
        return error(401, "INVALID_SESSION_ID", "Session expired or invalid")

    def headers(self, _request: Request) -> dict[str, str]:
        """How much of the day is used up."""
        return {"sforce-limit-info": f"api-usage={self.daily.used}/{self.daily.count}"}


class SalesforceSimulator:
    """The endpoints over `simulation.world` as of each request's source time."""

    def __init__(self, simulation: Simulation, front: SalesforceFront) -> None:
        self._simulation = simulation
        self._front = front
        # Results that a nextRecordsUrl walks through: (opened at, query, rows), the oldest first.
        self._locators: OrderedDict[str, tuple[int, Query, list[Row]]] = OrderedDict()

    async def token(self, request: Request) -> Response:
        """`POST /services/oauth2/token`: client credentials, refresh with rotation where it is on, and assertions."""
        form = dict(parse_qsl((await request.body()).decode(errors="replace")))
        known, tokens, grant = credentials_of(self._simulation), self._simulation.tokens, form.get("grant_type")
        rotated = {}
        if grant == _JWT_GRANT:
            if refusal := _wrong_assertion(form.get("assertion", ""), known, base_url(request)):
                return refusal
        else:
            client_id, secret = _basic(request) or (form.get("client_id", ""), form.get("client_secret", ""))
            if client_id != known.client_id:
                return _token_error("invalid_client_id", "client identifier invalid")
            if secret != known.client_secret:
                return _token_error("invalid_client", "invalid client credentials")
            if grant not in ("client_credentials", "refresh_token"):
                return _token_error("unsupported_grant_type", "grant type not supported")
        if grant == "refresh_token":
            if form.get("refresh_token") != tokens.refresh_token("salesforce", known.refresh_token):
                return _token_error("invalid_grant", "expired access/refresh token")
            if known.rotates_refresh_tokens:
                rotated = {"refresh_token": tokens.rotate("salesforce", "5Aep861")}
        organization = salesforce_id("00D", self._simulation.world.name)
        runs_as = salesforce_id("005", "integration")
        return JSONResponse(
            {
                "access_token": tokens.issue("salesforce", f"{organization[:15]}!", _SESSION_SECONDS, sliding=True),
                **rotated,
                "signature": base64.b64encode(base62(str(source_now(request)), 32).encode()).decode(),
                "scope": "api refresh_token",
                "instance_url": base_url(request),
                "id": f"{base_url(request)}/id/{organization}/{runs_as}",
                "token_type": "Bearer",
                "issued_at": str(source_now(request) * 1000),
            }
        )

    async def versions(self, _request: Request) -> Response:
        """`GET /services/data/`, open to anyone."""
        return JSONResponse(
            [
                {"label": label, "url": f"/services/data/v{version}", "version": version}
                for version, label in _VERSIONS.items()
            ]
        )

    async def describe(self, request: Request) -> Response:
        """`GET …/sobjects/{Object}/describe`."""
        if refusal := self.refusal(request):
            return refusal
        name = request.path_params["name"]
        if name not in SCHEMAS:
            return error(404, "NOT_FOUND", "The requested resource does not exist")
        fields = [
            {
                "name": field,
                "label": field.removesuffix("__c").replace("_", " "),
                "type": kind,
                "compoundFieldName": None,
                "nillable": field not in ("Id", "IsDeleted", "Name", "OwnerId", "SystemModstamp", "CreatedDate"),
                "calculated": False,
                "custom": field.endswith("__c"),
            }
            for field, kind in SCHEMAS[name].items()
            if "." not in field
        ]
        return JSONResponse(
            {
                "name": name,
                "label": name,
                "keyPrefix": KEY_PREFIXES[name],
                "queryable": True,
                "custom": False,
                "fields": fields,
            }
        )

    async def query(self, request: Request) -> Response:
        """`GET …/query?q=` and `…/queryAll?q=`, the latter with soft-deleted records."""
        if refusal := self.refusal(request):
            return refusal
        try:
            query = parse(request.query_params.get("q", ""), SCHEMAS.get)
        except SoqlError as refused:
            return error(400, refused.code, str(refused))
        if query.fields and self._simulation.faults.take("salesforce", vendor_path(request.scope), "field_removed"):
            return error(400, "INVALID_FIELD", f"No such column '{query.fields[-1]}' on entity '{query.object_name}'.")
        deleted = request.url.path.rstrip("/").lower().endswith("queryall")
        found = run(query, rows(self._simulation.world, query.object_name, source_now(request), deleted=deleted))
        if query.count_only:
            return JSONResponse({"totalSize": len(found), "done": True, "records": []})
        locator = salesforce_id("01g", f"{source_now(request)}:{len(self._locators)}:{request.url.query}")
        if len(found) > _batch_size(request):
            self._locators[locator] = (source_now(request), query, found)
            self._locators.move_to_end(locator)
            while len(self._locators) > _OPEN_LOCATORS:
                self._locators.popitem(last=False)
        return self._page(request, locator, query, found, 0)

    async def more(self, request: Request) -> Response:
        """`GET …/query/{locator}-{offset}`, the next page of a result."""
        if refusal := self.refusal(request):
            return refusal
        locator, _, offset = request.path_params["locator"].rpartition("-")
        opened_at, query, found = self._locators.get(locator, (None, None, None))
        if self._simulation.faults.take("salesforce", vendor_path(request.scope), "locator_expired"):
            self._locators.pop(locator, None)
            opened_at = None
        if query is None or found is None or opened_at is None or source_now(request) - opened_at > _LOCATOR_SECONDS:
            return error(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        if not offset.isdigit() or int(offset) >= len(found):
            return error(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        return self._page(request, locator, query, found, int(offset))

    async def deleted(self, request: Request) -> Response:
        """`GET …/sobjects/{Object}/deleted/?start=&end=`, at most 15 days back."""
        if refusal := self.refusal(request):
            return refusal
        if request.path_params["name"] not in SCHEMAS:
            return error(404, "NOT_FOUND", "The requested resource does not exist")
        now = source_now(request)
        try:
            start, end = epoch(request.query_params["start"]), epoch(request.query_params["end"])
        except (KeyError, ValueError):
            return error(400, "MALFORMED_ID", "start and end are dates in ISO 8601")
        earliest = now - RECYCLE_BIN_SECONDS
        if start >= end or start < earliest:
            return error(400, "INVALID_REPLICATION_DATE", "start date is not within the allowed range")
        found = [
            {"id": row["Id"], "deletedDate": row["SystemModstamp"]}
            for row in rows(self._simulation.world, request.path_params["name"], now, deleted=True)
            if row.get("IsDeleted") and start <= epoch(row["SystemModstamp"]) < end
        ]
        return JSONResponse(
            {
                "deletedRecords": found,
                "earliestDateAvailable": datetime_text(earliest),
                "latestDateCovered": datetime_text(min(end, now)),
            }
        )

    async def limits(self, request: Request) -> Response:
        """`GET …/limits`."""
        if refusal := self.refusal(request):
            return refusal
        daily = self._front.daily
        return JSONResponse({"DailyApiRequests": {"Max": daily.count, "Remaining": daily.count - daily.used}})

    def refusal(self, request: Request) -> Response | None:
        """The answer to a request without a session, of an unknown version, or above the concurrency limit."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme not in ("Bearer", "OAuth") or not self._simulation.tokens.accepts("salesforce", token):
            return self._front.unauthorized(request)
        if request.path_params.get("version") not in _VERSIONS:
            return error(404, "NOT_FOUND", "The requested resource does not exist")
        if self._simulation.faults.take("salesforce", vendor_path(request.scope), "concurrent"):
            message = "ConcurrentRequests (Concurrent API Requests) Limit exceeded."
            return error(403, "REQUEST_LIMIT_EXCEEDED", message)
        return None

    def _page(self, request: Request, locator: str, query: Query, found: list[Row], offset: int) -> Response:
        version, until = request.path_params["version"], offset + _batch_size(request)
        records = [_record(row, query, version) for row in found[offset:until]]
        if self._simulation.faults.take("salesforce", vendor_path(request.scope), "duplicates") and records:
            records.append(records[0])
        body: dict[str, Any] = {"totalSize": len(found), "done": until >= len(found)}
        if until < len(found):
            body["nextRecordsUrl"] = f"/services/data/v{version}/query/{locator}-{until}"
        return JSONResponse({**body, "records": records})


def _record(row: Row, query: Query, version: str) -> dict[str, Any]:
    place = f"/services/data/v{version}/sobjects"
    record: dict[str, Any] = {
        "attributes": {"type": query.object_name, "url": f"{place}/{query.object_name}/{row['Id']}"}
    }
    for field in query.fields:
        parent, _, name = field.rpartition(".")
        if parent:
            url = f"{place}/User/{row[f'{parent}Id']}"
            record.setdefault(parent, {"attributes": {"type": "User", "url": url}})[name] = row[field]
        else:
            record[field] = row[field]
    return record


def _batch_size(request: Request) -> int:
    for option in request.headers.get("sforce-query-options", "").split(","):
        name, _, value = option.strip().partition("=")
        if name.lower() == "batchsize" and value.isdigit():
            return min(max(int(value), _SMALLEST_BATCH), _BATCH)
    return _BATCH


def _basic(request: Request) -> tuple[str, str] | None:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme != "Basic":
        return None
    try:
        user, _, password = base64.b64decode(encoded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password


def _wrong_assertion(assertion: str, known: SalesforceCredentials, own_url: str) -> Response | None:
    try:
        claims = jwt.decode(
            assertion,
            known.public_key,
            algorithms=["RS256"],
            audience=["https://login.salesforce.com", "https://test.salesforce.com", own_url],
            options={"require": ["iss", "sub", "aud", "exp"]},
        )
    except (jwt.PyJWTError, ValueError, TypeError):
        return _token_error("invalid_grant", "invalid assertion")
    if claims["exp"] > time.time() + _ASSERTION_SECONDS:
        return _token_error("invalid_grant", "expiration in claim set must be within 5 minutes")
    if claims["iss"] != known.client_id:
        return _token_error("invalid_client_id", "client identifier invalid")
    if claims["sub"] != known.username:
        return _token_error("invalid_grant", "user hasn't approved this consumer")
    return None


def _token_error(code: str, description: str) -> JSONResponse:
    return JSONResponse({"error": code, "error_description": description}, 400)


def declared(world: World, now: int) -> dict[str, int]:
    """How many objects of each kind the organization shows at `now`."""
    return {
        "accounts": sum(account.created_at <= now for account in world.accounts),
        "opportunities": sum(account.first_activity_at <= now for account in world.accounts)
        + sum(one.created_at <= now for one in world.opportunities),
        "users": len(world.owners) if world.history_start <= now else 0,
        "cases": int((world.tickets.opened_at <= now).sum()),
        "activities": sum(bool(row["IsClosed"]) for row in rows(world, "Task", now, deleted=True))
        + sum(epoch(row["EndDateTime"]) <= now for row in rows(world, "Event", now, deleted=False)),
    }


def create_app(simulation: Simulation, daily_requests: int = _DAILY_REQUESTS) -> Starlette:
    """The ASGI application of this vendor."""
    front = SalesforceFront(simulation, daily_requests)
    simulator = SalesforceSimulator(simulation, front)
    data = "/services/data/v{version}"
    routes = [
        Route(_TOKEN_PATH, simulator.token, methods=["POST"]),
        Route("/services/data", simulator.versions),
        Route("/services/data/", simulator.versions),
        Route(f"{data}/limits", simulator.limits),
        Route(f"{data}/limits/", simulator.limits),
        Route(f"{data}/query", simulator.query),
        Route(f"{data}/query/", simulator.query),
        Route(f"{data}/queryAll", simulator.query),
        Route(f"{data}/queryAll/", simulator.query),
        Route(f"{data}/query/{{locator}}", simulator.more),
        Route(f"{data}/queryAll/{{locator}}", simulator.more),
        Route(f"{data}/sobjects/{{name}}/describe", simulator.describe),
        Route(f"{data}/sobjects/{{name}}/describe/", simulator.describe),
        Route(f"{data}/sobjects/{{name}}/deleted", simulator.deleted),
        Route(f"{data}/sobjects/{{name}}/deleted/", simulator.deleted),
        *BulkSimulator(simulation, simulator.refusal, error).routes(data),
    ]
    return Starlette(routes=routes, middleware=[Middleware(VendorGate, front)])
