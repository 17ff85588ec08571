"""Zendesk Support's incremental exports, objects by id, and the OAuth token by client credentials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connectors.authorization import TokenAuthorization
from connectors.http import Answer, CredentialsError, TruncatedBodyError, VendorHttp
from connectors.zendesk.limits import EXPORTS, OBJECTS
from vitals.errors import FatalError, RetriableError

PAGE_OBJECTS = 1_000
NAMED_MAX = 100
"""Objects that one request may name."""

_TOO_RECENT = "Too recent start_time"
_REFUSED_TOKEN = "Zendesk refuses the client credentials ({reason}): check VITALS_ZENDESK_CLIENT_ID and _CLIENT_SECRET."  # noqa: S105


def client_credentials(http: VendorHttp, url: str, client_id: str, client_secret: str) -> TokenAuthorization:
    """Tokens of a confidential OAuth client: no refresh token is involved, so none can be lost between processes."""
    asked = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": client_secret,
        "scope": "read",
    }

    def obtain() -> str:
        answer = http.send("POST", f"{url}/oauth/tokens", json=asked, tolerate=(400, 401, 403))
        if answer.status not in (200, 201):
            reason = " ".join(str(answer.body).split())[:200]
            raise CredentialsError(_REFUSED_TOKEN.format(reason=reason), answer.status)
        try:
            return str(answer.body["access_token"])
        except (KeyError, TypeError) as error:
            raise RetriableError("Zendesk's token answer has no access_token.") from error

    return TokenAuthorization(obtain)


@dataclass(frozen=True, slots=True)
class OrganizationsPage:
    """Part of the time export. `end_time` is the epoch second of its last item, where the next request begins."""

    organizations: Sequence[dict[str, Any]]
    end_time: int
    end_of_stream: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class TicketsPage:
    """Part of the cursor export; each ticket holds its `metric_set`."""

    tickets: Sequence[dict[str, Any]]
    after_cursor: str | None
    end_of_stream: bool
    at: datetime


class CursorRefusedError(RetriableError):
    """Zendesk does not know a cursor any more: the export begins again from a time."""


class ZendeskClient:
    """The calls that the stream needs."""

    def __init__(self, http: VendorHttp, url: str) -> None:
        self._http = http
        self._url = url
        self._objects = f"{url}/api/v2"
        self._api = f"{self._objects}/incremental"

    def organizations(self, start_time: int) -> OrganizationsPage:
        """Organizations changed since an epoch second, those of that second too; none where it is too recent."""
        asked = {"start_time": start_time, "per_page": PAGE_OBJECTS}
        answer = self._http.get(f"{self._api}/organizations.json", asked, pace=EXPORTS, tolerate=(422,))
        if answer.status == 422:
            if _TOO_RECENT not in answer.body:
                raise FatalError(f"Zendesk refuses the organizations from {start_time}: {answer.body[:300]}")
            return OrganizationsPage((), start_time, True, answer.at)
        body = _object(answer.body)
        return OrganizationsPage(
            body["organizations"], int(body.get("end_time") or start_time), bool(body["end_of_stream"]), answer.at
        )

    def tickets(self, *, cursor: str | None, start_time: int) -> TicketsPage:
        """Tickets after a cursor, or where there is none yet from an epoch second on.

        Raises:
            CursorRefusedError: the cursor is not valid any more.
        """
        place: dict[str, Any] = {"start_time": start_time} if cursor is None else {"cursor": cursor}
        asked = {**place, "per_page": PAGE_OBJECTS, "include": "metric_sets"}
        answer = self._http.get(
            f"{self._api}/tickets/cursor.json", asked, pace=EXPORTS, tolerate=() if cursor is None else (400, 410, 422)
        )
        if answer.status != 200:
            raise CursorRefusedError(f"Zendesk refuses the stored cursor: {answer.body[:300]}")
        body = _object(answer.body)
        return TicketsPage(_with_metrics(body), body.get("after_cursor"), bool(body["end_of_stream"]), answer.at)

    def ready_in(self) -> float:
        """Seconds until a cycle of both exports would not wait for their rate."""
        return self._http.ready_in(EXPORTS, 2)

    def tickets_named(self, ticket_ids: Sequence[str]) -> list[dict[str, Any]]:
        """These tickets as they are now, each with its `metric_set`; up to 100. Those that are gone are left out."""
        body = self._named("tickets", ticket_ids, {"include": "metric_sets"})
        # The export's exact version is not told here; both move with any change that matters.
        return [{"generated_timestamp": _epoch(ticket.get("updated_at")), **ticket} for ticket in _with_metrics(body)]

    def organizations_named(self, organization_ids: Sequence[str]) -> list[dict[str, Any]]:
        """These organizations as they are now; up to 100. Those that are gone are left out."""
        return list(self._named("organizations", organization_ids, {})["organizations"])

    def _named(self, resource: str, ids: Sequence[str], more: Mapping[str, str]) -> dict[str, Any]:
        asked = {"ids": ",".join(ids[:NAMED_MAX]), **more}
        body = self._http.get(f"{self._objects}/{resource}/show_many.json", asked, pace=OBJECTS).body
        if not isinstance(body, dict) or not isinstance(body.get(resource), list):
            raise TruncatedBodyError(f"Zendesk's answer has no {resource}.")
        return body

    def probe(self, export: str) -> Answer:
        """One object of an export from ten minutes ago on, which Zendesk answers for whoever may export."""
        start = int(self._http.time(f"{self._url}/").timestamp()) - 600
        return self._http.get(f"{self._api}/{export}.json", {"start_time": start, "per_page": 1}, pace=EXPORTS)

    def close(self) -> None:
        """Closes connections."""
        self._http.close()


def _with_metrics(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tickets of an answer: depending on the endpoint, side-loads stand beside them or inside each."""
    beside = {one["ticket_id"]: one for one in body.get("metric_sets") or ()}
    return [
        {**ticket, "metric_set": beside[ticket["id"]]} if ticket.get("id") in beside else ticket
        for ticket in body["tickets"]
    ]


def _epoch(updated_at: Any) -> int | None:
    try:
        return int(datetime.fromisoformat(updated_at).timestamp())
    except (TypeError, ValueError):
        return None


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict) or "end_of_stream" not in body:
        raise TruncatedBodyError("Zendesk's export has no end_of_stream.")
    return body
