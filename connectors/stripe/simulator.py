"""Stripe billing over a simulated world: lists newest first, single objects, and 30 days of events."""

import base64
import binascii
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.simulation.billing_ledger import BillingLedger, Mutation, Shelf
from connectors.simulation.billing_records import customer_id, invoice_status, price, price_id, status_at
from connectors.simulation.calendar import DAY
from connectors.simulation.gate import VendorFront, VendorGate, source_now, vendor_path
from connectors.simulation.limits import RequestWindow
from connectors.simulation.listing import ListError, ListRequest
from connectors.simulation.stage import Simulation
from connectors.simulation.world import PLAN_PRICES_CENTS, Account, Invoice, Subscription, World
from connectors.stripe import credentials

NAME = "stripe"

FAULTS: Mapping[str, str] = {
    "lock_timeout": "429 lock_timeout without a rate-limit reason",
}
"""Kinds of fault that only this vendor has."""

API_VERSION = "2026-08-26.dahlia"
_PER_SECOND = 25
_EVENT_SECONDS = 30 * DAY
_TYPES_MAX = 20
_SINGULAR = {"customers": "customer", "subscriptions": "subscription", "invoices": "invoice", "events": "event"}


Item = TypeVar("Item")

_LEDGERS: WeakKeyDictionary[Simulation, BillingLedger] = WeakKeyDictionary()


def ledger_of(simulation: Simulation) -> BillingLedger:
    """The ledger of a simulation's present world, made anew only when its billing has changed."""
    kept = _LEDGERS.get(simulation)
    if kept is None or not kept.holds(simulation.world):
        kept = _LEDGERS[simulation] = BillingLedger(simulation.world)
    return kept


def error(status: int, message: str, headers: dict[str, str] | None = None, **more: str) -> Response:
    """Stripe's error body."""
    body: dict[str, Any] = {"type": "api_error" if status >= 500 else "invalid_request_error", "message": message}
    if "code" in more:
        body["doc_url"] = f"https://stripe.com/docs/error-codes/{more['code'].replace('_', '-')}"
    return _json({"error": {**body, **more}}, status, headers)


class StripeFront(VendorFront):
    """25 requests a second for the account in test mode, and for each endpoint."""

    name = "stripe"

    def __init__(self, simulation: Simulation) -> None:
        super().__init__(simulation)
        self._account = RequestWindow(_PER_SECOND, 1.0, simulation.wall)
        self._endpoints: dict[str, RequestWindow] = defaultdict(
            lambda: RequestWindow(_PER_SECOND, 1.0, simulation.wall)
        )

    def windows(self, path: str) -> Iterable[RequestWindow]:
        """The endpoint's limit, then the account's; the bare host is no endpoint."""
        if not path.startswith("/v1/"):
            return ()
        return (self._endpoints[path.split("/")[2] if path.count("/") > 1 else ""], self._account)

    def throttled(self, _request: Request, _retry_after: float | None, window: RequestWindow | None) -> Response:
        """429 with the reason in a header."""
        reason = "global-rate" if window is self._account else "endpoint-rate"
        headers = {"stripe-rate-limited-reason": reason, "stripe-should-retry": "true"}
        return error(429, "Request rate limit exceeded.", headers, code="rate_limit")

    def unauthorized(self, _request: Request) -> Response:
        """The key is unknown."""
        return error(401, "Invalid API Key provided: sk_test_****")

    def headers(self, request: Request) -> dict[str, str]:
        """The id of the request, and the version that answered it."""
        return {
            "request-id": f"req_{secrets.token_hex(7)}",
            "stripe-version": request.headers.get("stripe-version", API_VERSION),
        }


class StripeSimulator:
    """The endpoints over `simulation.world` as of each request's source time."""

    def __init__(self, simulation: Simulation, front: StripeFront) -> None:
        self._simulation = simulation
        self._front = front

    async def list_customers(self, request: Request) -> Response:
        """`GET /v1/customers`."""
        email = request.query_params.get("email")

        def render(account: Account, now: int) -> dict[str, Any]:
            return self._ledger().records.customer(account, now)

        def matches(account: Account, now: int) -> bool:
            return email is None or render(account, now)["email"] == email

        return self._list(request, "customers", self._ledger().customers, matches, render, {"email"})

    async def list_subscriptions(self, request: Request) -> Response:
        """`GET /v1/subscriptions`: without `status`, canceled ones are hidden."""
        asked = request.query_params
        status, customer, wanted_price = asked.get("status"), asked.get("customer"), asked.get("price")

        def matches(one: Subscription, now: int) -> bool:
            state = status_at(one, now)
            if customer is not None and customer_id(self._simulation.world.accounts[one.account]) != customer:
                return False
            if wanted_price is not None and wanted_price != price_id(one.plan_at(now)):
                return False
            if status is None:
                return state != "canceled"
            return status == "all" or state == status or (status == "ended" and state == "canceled")

        def render(one: Subscription, now: int) -> dict[str, Any]:
            return self._ledger().records.subscription(one, now)

        known = {"status", "customer", "price"}
        return self._list(request, "subscriptions", self._ledger().subscriptions, matches, render, known)

    async def list_invoices(self, request: Request) -> Response:
        """`GET /v1/invoices`."""
        asked = request.query_params
        status, customer, subscription = asked.get("status"), asked.get("customer"), asked.get("subscription")

        def matches(one: Invoice, now: int) -> bool:
            if customer is not None and customer_id(self._simulation.world.accounts[one.account]) != customer:
                return False
            if subscription is not None and one.subscription_id != subscription:
                return False
            return status is None or invoice_status(one, now) == status

        def render(one: Invoice, now: int) -> dict[str, Any]:
            return self._ledger().records.invoice(one, now)

        known = {"status", "customer", "subscription"}
        return self._list(request, "invoices", self._ledger().invoices, matches, render, known)

    async def list_events(self, request: Request) -> Response:
        """`GET /v1/events`: the last 30 days; `type` with one wildcard at its end, or up to 20 `types[]`."""
        asked = request.query_params
        types = [value for key, value in asked.multi_items() if key == "types[]" or key.startswith("types[")]
        kind = asked.get("type")
        if kind is not None and types:
            return error(400, "You may only specify one of these parameters: type, types.", param="type")
        if len(types) > _TYPES_MAX:
            return error(400, f"You may specify at most {_TYPES_MAX} types.", param="types")

        def matches(one: Mutation, _now: int) -> bool:
            if kind is not None:
                return one.kind.startswith(kind[:-1]) if kind.endswith("*") else one.kind == kind
            return not types or one.kind in types

        def render(one: Mutation, _now: int) -> dict[str, Any]:
            return self._ledger().event(one, API_VERSION)

        known = {"type", "types", "delivery_success"}
        return self._list(request, "events", self._ledger().events, matches, render, known)

    async def get(self, request: Request) -> Response:
        """`GET /v1/{resource}/{id}` of a customer, a subscription or an invoice."""
        if refusal := self._refusal(request):
            return refusal
        resource, name = request.path_params["resource"], request.path_params["name"]
        if resource not in ("customers", "subscriptions", "invoices"):
            return _unrecognized(request)
        found = self._ledger().render(resource, name, source_now(request))
        return _missing(resource, name, "id", 404) if found is None else _json(found)

    async def get_event(self, request: Request) -> Response:
        """`GET /v1/events/{id}`, gone after 30 days."""
        if refusal := self._refusal(request):
            return refusal
        now, name = source_now(request), request.path_params["name"]
        found = self._ledger().events.get(name, now)
        if found is None or found.created_at < now - _EVENT_SECONDS:
            return _missing("events", name, "id", 404)
        return _json(self._ledger().event(found, API_VERSION))

    async def lines(self, request: Request) -> Response:
        """`GET /v1/invoices/{id}/lines`."""
        if refusal := self._refusal(request):
            return refusal
        name = request.path_params["name"]
        found = self._ledger().invoices.get(name, source_now(request))
        if found is None:
            return _missing("invoices", name, "id", 404)
        return _envelope(f"/v1/invoices/{name}/lines", self._ledger().records.lines(found), more=False)

    async def prices(self, request: Request) -> Response:
        """`GET /v1/prices`: that of each plan, and the list price."""
        return self._refusal(request) or _envelope(
            "/v1/prices", [price(plan) for plan in (None, *PLAN_PRICES_CENTS)], more=False
        )

    def _list(
        self,
        request: Request,
        resource: str,
        shelf: Shelf[Item],
        matches: Callable[[Item, int], bool],
        render: Callable[[Item, int], dict[str, Any]],
        known: set[str],
    ) -> Response:
        if refusal := self._refusal(request):
            return refusal
        now = source_now(request)
        oldest = now - _EVENT_SECONDS if resource == "events" else 0
        try:
            asked = ListRequest.parse(request.query_params.multi_items(), now, known)
            found, more = asked.page(shelf, now, oldest, _SINGULAR[resource], lambda item: matches(item, now))
        except ListError as refused:
            return error(400, str(refused), code=refused.code, param=refused.param)
        items = [render(item, now) for item in found]
        if items and self._simulation.faults.take("stripe", vendor_path(request.scope), "duplicates"):
            items.append(items[-1])
        return _envelope(f"/v1/{resource}", items, more=more)

    def _ledger(self) -> BillingLedger:
        return ledger_of(self._simulation)

    def _refusal(self, request: Request) -> Response | None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        key = _basic_user(given) if scheme == "Basic" else given
        if scheme not in ("Basic", "Bearer") or not key:
            return error(401, "You did not provide an API key.")
        if key != credentials.KEY:
            return self._front.unauthorized(request)
        if self._simulation.faults.take("stripe", vendor_path(request.scope), "lock_timeout"):
            message = "This object cannot be accessed right now because another API request is accessing it."
            return error(429, message, code="lock_timeout")
        return None


def _basic_user(encoded: str) -> str:
    try:
        return base64.b64decode(encoded).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _missing(resource: str, name: str, param: str, status: int) -> Response:
    return error(status, f"No such {_SINGULAR[resource]}: '{name}'", code="resource_missing", param=param)


def _unrecognized(request: Request) -> Response:
    return error(404, f"Unrecognized request URL ({request.method}: {vendor_path(request.scope)}).")


async def _not_found(request: Request, _error: Exception) -> Response:
    return _unrecognized(request)


def _envelope(url: str, items: list[dict[str, Any]], *, more: bool) -> Response:
    return _json({"object": "list", "url": url, "has_more": more, "data": items})


def _json(body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, "application/json")


def declared(world: World, now: int) -> dict[str, int]:
    """How many objects of each kind the Stripe account shows at `now`."""
    paid = [one for one in world.invoices if one.paid_at is not None and one.paid_at <= now]
    return {
        "customers": sum(account.first_activity_at <= now for account in world.accounts),
        "subscriptions": sum(one.created_at <= now for one in world.subscriptions),
        "canceled_subscriptions": sum(
            one.canceled_at is not None and one.canceled_at <= now for one in world.subscriptions
        ),
        "invoices": sum(one.created_at <= now for one in world.invoices),
        "paid_invoices": len(paid),
        "paid_cents": sum(one.amount_cents for one in paid),
        "failed_payments": sum(at <= now and not succeeded for one in world.invoices for at, succeeded in one.attempts),
    }


def create_app(simulation: Simulation) -> Starlette:
    """The ASGI application of this vendor."""
    front = StripeFront(simulation)
    simulator = StripeSimulator(simulation, front)
    routes = [
        Route("/v1/customers", simulator.list_customers),
        Route("/v1/subscriptions", simulator.list_subscriptions),
        Route("/v1/invoices", simulator.list_invoices),
        Route("/v1/events", simulator.list_events),
        Route("/v1/prices", simulator.prices),
        Route("/v1/events/{name}", simulator.get_event),
        Route("/v1/invoices/{name}/lines", simulator.lines),
        Route("/v1/{resource}/{name}", simulator.get),
    ]
    return Starlette(routes=routes, middleware=[Middleware(VendorGate, front)], exception_handlers={404: _not_found})
