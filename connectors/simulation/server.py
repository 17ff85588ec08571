"""One process and one port for all simulated vendors, with the simulation's own controls under `/_sim`."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from connectors.simulation.calendar import epoch, iso
from connectors.simulation.faults import Fault
from connectors.simulation.injection import asked_for
from connectors.simulation.stage import Simulation
from connectors.simulation.truth_records import truth
from connectors.simulation.vendors import declared, simulators
from connectors.simulation.webhooks import WebhookSender
from vitals.errors import UserError


class Controls:
    """The endpoints under `/_sim`: the clock, the faults, injected items, webhooks, and what is visible now."""

    def __init__(self, simulation: Simulation, sender: WebhookSender) -> None:
        self._simulation, self._sender = simulation, sender

    async def clock(self, _request: Request) -> Response:
        """`GET /_sim/clock`."""
        return JSONResponse(self._clock())

    async def change_clock(self, request: Request) -> Response:
        """`POST /_sim/clock` with any of `speed`, `paused`, `advance_to`."""
        asked = await _object(request, {"speed", "paused", "advance_to"})
        advance_to = asked.get("advance_to")
        try:
            self._simulation.clock.change(
                speed=None if asked.get("speed") is None else float(asked["speed"]),
                paused=None if asked.get("paused") is None else bool(asked["paused"]),
                advance_to=epoch(advance_to) if isinstance(advance_to, str) else advance_to,
            )
        except (TypeError, ValueError) as error:
            raise UserError("speed is a number and advance_to an instant in ISO 8601.") from error
        return JSONResponse(self._clock())

    async def faults(self, _request: Request) -> Response:
        """`GET /_sim/faults`: the orders that wait."""
        return JSONResponse({"items": self._simulation.faults.waiting()})

    async def order_fault(self, request: Request) -> Response:
        """`POST /_sim/faults` with `vendor`, `kind` and what else the kind takes."""
        asked = await _object(request, set(Fault.__slots__) - {"fault_id"})
        try:
            fault = self._simulation.faults.order(Fault(**asked))
        except TypeError as error:
            raise UserError("a fault names its vendor and kind, and its figures are numbers.") from error
        return JSONResponse({"fault_id": fault.fault_id}, 201)

    async def clear_faults(self, _request: Request) -> Response:
        """`DELETE /_sim/faults`: withdraws every order."""
        self._simulation.faults.clear()
        return Response(status_code=204)

    async def inject(self, request: Request) -> Response:
        """`POST /_sim/inject` with `kind`, `account` and what else the kind takes."""
        at, ids = self._simulation.inject(asked_for(await _object(request, None)))
        return JSONResponse({"source_time": iso(at), "ids": ids}, 201)

    async def webhooks(self, _request: Request) -> Response:
        """`GET /_sim/webhooks`: the subscriptions, and what became of their deliveries."""
        return JSONResponse({"items": [subscription.shown() for subscription in self._sender.subscriptions]})

    async def subscribe(self, request: Request) -> Response:
        """`POST /_sim/webhooks` with `vendor`, `url`, and `secret` or `secrets` (the demonstration's unless given)."""
        asked = await _object(request, {"vendor", "url", "secret", "secrets"})
        given = asked.get("secrets") or ([asked["secret"]] if asked.get("secret") else [])
        texts = [asked.get("vendor"), asked.get("url"), *(given if isinstance(given, list) else [None])]
        if not all(isinstance(one, str) for one in texts):
            raise UserError("a webhook has a vendor and a url, and its secrets are texts.")
        made = self._sender.subscribe(asked["vendor"], asked["url"], given)
        return JSONResponse(made.shown(), 201)

    async def clear_webhooks(self, _request: Request) -> Response:
        """`DELETE /_sim/webhooks`: ends every subscription."""
        self._sender.clear()
        return Response(status_code=204)

    async def summary(self, _request: Request) -> Response:
        """`GET /_sim/summary`: how many objects of each kind the vendors show now."""
        now = self._simulation.clock.now_seconds()
        return JSONResponse({"source_time": iso(now), **declared(self._simulation.world, now)})

    async def truth(self, request: Request) -> Response:
        """`GET /_sim/truth`, of one `account` or of all, with `health=daily` by the day."""
        now, asked = self._simulation.clock.now_seconds(), request.query_params
        daily = asked.get("health") == "daily"
        found = truth(self._simulation.world, now, asked.get("account"), daily=daily)
        return Response(orjson.dumps(found), media_type="application/json")

    def _clock(self) -> dict[str, Any]:
        clock, world = self._simulation.clock, self._simulation.world
        return {
            "source_time": iso(clock.now()),
            "speed": clock.speed,
            "paused": clock.paused,
            "history_start": iso(world.history_start),
            "history_end": iso(world.history_end),
            "world": world.name,
        }


async def _object(request: Request, known: set[str] | None) -> dict[str, Any]:
    try:
        asked = orjson.loads(await request.body() or b"{}")
    except orjson.JSONDecodeError as error:
        raise UserError("the body is not JSON.") from error
    if not isinstance(asked, dict):
        raise UserError("the body is not a JSON object.")
    if known is not None and (unknown := sorted(set(asked) - known)):
        raise UserError(f"{unknown[0]} is not one of {', '.join(sorted(known))}.")
    return asked


async def _healthy(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _mistake(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)


def create_app(simulation: Simulation, vendors: Iterable[str] = (), sender: WebhookSender | None = None) -> Starlette:
    """The ASGI application of `vitals simulate`, with the named vendors or with all; it runs the sender of webhooks."""
    sending = sender or WebhookSender(simulation)
    controls = Controls(simulation, sending)
    routes: list[BaseRoute] = [
        Mount(f"/{vendor}", simulators()[vendor].create_app(simulation)) for vendor in vendors or simulators()
    ]
    routes += [
        Route("/_sim/clock", controls.clock, methods=["GET"]),
        Route("/_sim/clock", controls.change_clock, methods=["POST"]),
        Route("/_sim/faults", controls.faults, methods=["GET"]),
        Route("/_sim/faults", controls.order_fault, methods=["POST"]),
        Route("/_sim/faults", controls.clear_faults, methods=["DELETE"]),
        Route("/_sim/inject", controls.inject, methods=["POST"]),
        Route("/_sim/webhooks", controls.webhooks, methods=["GET"]),
        Route("/_sim/webhooks", controls.subscribe, methods=["POST"]),
        Route("/_sim/webhooks", controls.clear_webhooks, methods=["DELETE"]),
        Route("/_sim/summary", controls.summary),
        Route("/_sim/truth", controls.truth),
        Route("/healthz", _healthy),
    ]

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        sent = asyncio.create_task(sending.run())
        yield
        sent.cancel()
        with suppress(asyncio.CancelledError):
            await sent
        simulation.clock.close()

    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={UserError: _mistake})
