"""Stripe's lists, events and single objects, at a pinned API version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from connectors.http import Answer, Outcome, TruncatedBodyError, VendorHttp, Verdict
from connectors.http import classify as general
from vitals.errors import RetriableError

API_VERSION = "2026-08-26.dahlia"
"""Pinned: without the header each account answers in its own default version."""

PER_REQUEST = 100

_NOT_SOON_SECONDS = 60.0
_DAY_SECONDS = 86_400


def classify(response: httpx.Response) -> Verdict | None:
    """Stripe may say whether to repeat a request at once; where it does not, the general table holds."""
    should = response.headers.get("stripe-should-retry")
    if response.status_code == 429:
        # Without a reason it is a lock of an object, or too many requests at once, and no rate.
        return Verdict(Outcome.AGAIN, limit=response.headers.get("stripe-rate-limited-reason"))
    if should == "true":
        return Verdict(Outcome.AGAIN)
    if should == "false" and general(response).outcome is Outcome.AGAIN:
        return Verdict(Outcome.AGAIN, _NOT_SOON_SECONDS)
    return None


class ListRefusedError(RetriableError):
    """The object after which a list was to go on is gone: the list begins again."""


@dataclass(frozen=True, slots=True)
class ListPage:
    """Part of a list, newest first."""

    items: Sequence[dict[str, Any]]
    has_more: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class EventsSpan:
    """Events of the feed up to before the epoch second `until`, or up to Stripe's time `at` where that is None."""

    events: list[dict[str, Any]]
    until: int | None
    at: datetime


class StripeClient:
    """The calls that the stream needs. Each resource is an endpoint of its own in the rate limits."""

    def __init__(self, http: VendorHttp, url: str) -> None:
        self._http = http
        self._url = url

    def now(self) -> datetime:
        """Stripe's time."""
        return self._http.time(f"{self._url}/")

    def page(self, resource: str, after: str | None, parameters: Mapping[str, Any]) -> ListPage:
        """Up to 100 objects that are older than the object `after`.

        Raises:
            ListRefusedError: `after` does not exist any more.
        """
        asked = {**parameters, "limit": PER_REQUEST, **({"starting_after": after} if after else {})}
        answer = self._http.get(
            f"{self._url}/v1/{resource}",
            asked,
            pace=resource.partition("/")[0],
            tolerate=() if after is None else (400,),
        )
        if answer.status != 200:
            raise ListRefusedError(f"Stripe refuses to go on in {resource}: {answer.body[:300]}")
        return _list(answer.body, answer.at)

    def events(self, since: int, types: Sequence[str]) -> EventsSpan:
        """Events from an epoch second on, oldest first, each once.

        The newest page comes first, so all of them are read before the oldest is known. After a long pause that is one
        day's events at a time.
        """
        parameters: dict[str, Any] = {"created[gte]": since, "types[]": list(types)}
        page = self.page("events", None, parameters)
        at, until = page.at, None
        if page.has_more and at.timestamp() - since > _DAY_SECONDS:
            until = since + _DAY_SECONDS
            parameters["created[lt]"] = until
            page = self.page("events", None, parameters)
        found = {event["id"]: event for event in page.items}
        while page.has_more and page.items:
            page = self.page("events", page.items[-1]["id"], parameters)
            found.update((event["id"], event) for event in page.items)
        return EventsSpan(list(reversed(found.values())), until, at)

    def event(self, event_id: str) -> dict[str, Any] | None:
        """One event as the feed has it; None where it is gone."""
        answer = self._http.get(f"{self._url}/v1/events/{event_id}", pace="events", tolerate=(404,))
        return None if answer.status != 200 else dict(answer.body)

    def get(self, resource: str, object_id: str) -> dict[str, Any] | None:
        """The object as it is now; None where it is gone."""
        answer = self._http.get(f"{self._url}/v1/{resource}/{object_id}", pace=resource, tolerate=(404,))
        if answer.status != 200:
            return None
        found: dict[str, Any] = answer.body
        return self.whole(found) if resource == "invoices" else found

    def whole(self, invoice: dict[str, Any]) -> dict[str, Any]:
        """The invoice with all its lines: ten of them come inside it."""
        lines = invoice.get("lines")
        if not isinstance(lines, dict) or not lines.get("has_more"):
            return invoice
        everything: dict[str, Any] = {}
        after: str | None = None
        while True:
            page = self.page(f"invoices/{invoice['id']}/lines", after, {})
            everything.update((line["id"], line) for line in page.items)
            if not page.has_more or not page.items:
                return {**invoice, "lines": {**lines, "data": list(everything.values()), "has_more": False}}
            after = str(page.items[-1]["id"])

    def probe(self, resource: str) -> Answer:
        """One object of a list."""
        return self._http.get(f"{self._url}/v1/{resource}", {"limit": 1}, pace=resource)

    def close(self) -> None:
        """Closes connections."""
        self._http.close()


def _list(body: Any, at: datetime) -> ListPage:
    if not isinstance(body, dict) or not isinstance(body.get("data"), list):
        raise TruncatedBodyError("Stripe's list has no data.")
    once = {item["id"]: item for item in body["data"]}
    return ListPage(tuple(once.values()), bool(body.get("has_more")), at)
