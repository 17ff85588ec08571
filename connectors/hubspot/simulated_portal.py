"""The simulated portal itself: owners, pipelines, details and the day's use of the API."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.hubspot.simulated_door import HubSpotFront, invalid, json_of
from connectors.hubspot.simulated_ids import owner_id
from connectors.hubspot.simulated_objects import PORTAL, hubspot_time, plural
from connectors.simulation.calendar import DAY
from connectors.simulation.gate import source_now
from connectors.simulation.stage import Simulation

_OWNERS_MOST = 500
_STAGES: dict[str, list[tuple[str, str | None, str]]] = {
    "deals": [("appointmentscheduled", "0.2", "false"), ("closedwon", "1.0", "true"), ("closedlost", "0.0", "true")],
    "tickets": [("1", None, "false"), ("4", None, "true")],
}


class PortalEndpoints:
    """What does not concern single objects; `refusal` says why a request gets no answer."""

    def __init__(
        self, simulation: Simulation, front: HubSpotFront, refusal: Callable[[Request], Response | None]
    ) -> None:
        self._simulation = simulation
        self._front = front
        self._refusal = refusal

    def routes(self) -> list[Route]:
        """The paths of both generations."""
        places = [
            ("/crm/owners/{version}", self.owners),
            ("/crm/{version}/owners", self.owners),
            # The official client asks with a slash at the end.
            ("/crm/{version}/owners/", self.owners),
            ("/crm/pipelines/{version}/{type}", self.pipelines),
            ("/crm/{version}/pipelines/{type}", self.pipelines),
            ("/account-info/{version}/api-usage/daily/private-apps", self.usage),
            ("/account-info/{version}/details", self.details),
        ]
        return [Route(path, endpoint) for path, endpoint in places]

    async def owners(self, request: Request) -> Response:
        """`GET …/owners`."""
        if refusal := self._refusal(request):
            return refusal
        asked, world = request.query_params, self._simulation.world
        limit, after = asked.get("limit", "100"), asked.get("after", "0")
        if not limit.isdigit() or not 1 <= int(limit) <= _OWNERS_MOST or not after.isdigit():
            return invalid(f"limit must be from 1 to {_OWNERS_MOST}")
        created = hubspot_time(world.history_start)
        owners = [] if asked.get("archived") == "true" else sorted(world.owners, key=lambda one: int(owner_id(one)))
        page = [one for one in owners if int(owner_id(one)) >= int(after)]
        results = []
        for one in page[: int(limit)]:
            first, _, last = one.name.partition(" ")
            results.append(
                {
                    "id": owner_id(one), "email": one.email, "type": "PERSON", "firstName": first, "lastName": last,
                    "userId": int(owner_id(one)) + 1, "createdAt": created, "updatedAt": created, "archived": False,
                }
            )  # fmt: skip
        body: dict[str, Any] = {"results": results}
        if len(page) > int(limit):
            body["paging"] = {"next": {"after": str(int(owner_id(page[int(limit) - 1])) + 1)}}
        return json_of(body)

    async def pipelines(self, request: Request) -> Response:
        """`GET …/pipelines/{deals|tickets}`: the one pipeline of each, with its stages."""
        if refusal := self._refusal(request):
            return refusal
        kind = plural(request.path_params["type"])
        if kind not in _STAGES:
            return invalid("Unknown object type")
        shown = [
            {"id": stage, "label": stage, "displayOrder": place, "archived": False,
             "metadata": {"isClosed": closed, **({"probability": chance} if chance else {"ticketState": "OPEN"})}}
            for place, (stage, chance, closed) in enumerate(_STAGES[kind])
        ]  # fmt: skip
        pipeline = {
            "id": "default" if kind == "deals" else "0",
            "label": "Pipeline",
            "displayOrder": 0,
            "stages": shown,
        }
        return json_of({"results": [pipeline]})

    async def usage(self, request: Request) -> Response:
        """`GET /account-info/{version}/api-usage/daily/private-apps`."""
        if refusal := self._refusal(request):
            return refusal
        now, daily = source_now(request), self._front.daily
        row = {
            "name": "private-apps-api-calls-daily",
            "usageLimit": daily.count,
            "currentUsage": daily.used,
            "collectedAt": hubspot_time(now),
            "fetchStatus": "SUCCESS",
            "resetsAt": hubspot_time(now - now % DAY + DAY),
        }
        return json_of({"results": [row]})

    async def details(self, request: Request) -> Response:
        """`GET /account-info/{version}/details`."""
        if refusal := self._refusal(request):
            return refusal
        return json_of(
            {
                "portalId": PORTAL, "accountType": "DEVELOPER_TEST", "timeZone": "UTC", "utcOffset": "+00:00",
                "companyCurrency": "USD", "additionalCurrencies": [], "uiDomain": "app.hubspot.com",
                "dataHostingLocation": "na1",
            }
        )  # fmt: skip
