"""Intercom's searches, its one scroll, and single objects, at a pinned API version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connectors.http import Answer, TruncatedBodyError, VendorHttp
from connectors.intercom.limits import REQUESTS

API_VERSION = "2.14"
"""Pinned: without the header the app's default version answers, and changes when somebody edits the app."""

PER_PAGE = 150
"""Rows of a page of a search: the most that Intercom gives."""

_REFUSED_CURSOR = (400, 404, 422)


class ScrollTakenError(Exception):
    """Somebody else in the workspace holds the app's one scroll."""


class ScrollLostError(Exception):
    """The scroll expired or broke: it begins again, because it cannot go on from a place."""


class CursorRefusedError(Exception):
    """Intercom does not take the place in a search any more."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """The workspace's own time zone, by which contacts are searched, as Intercom writes it."""

    timezone: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ScrollPage:
    """Part of all companies; without any it is the end. `repeated`: the part before may have been answered unseen."""

    companies: Sequence[dict[str, Any]]
    scroll: str | None
    at: datetime
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """Part of a search; `after` is the place of the next one, None at the end."""

    rows: Sequence[dict[str, Any]]
    after: str | None
    at: datetime


class IntercomClient:
    """The calls that the stream needs."""

    def __init__(self, http: VendorHttp, url: str) -> None:
        self._http = http
        self._url = url

    def workspace(self) -> Workspace:
        """The workspace of the access token."""
        answer = self._get("/me")
        app = _object(answer.body, "type").get("app")
        return Workspace(str(app.get("timezone") or "") if isinstance(app, Mapping) else "", answer.at)

    def companies(self, scroll: str | None) -> ScrollPage:
        """The first companies of a new scroll, or the next of one that is open.

        Raises:
            ScrollTakenError: another scroll is open in the workspace.
            ScrollLostError: this scroll is no more.
        """
        asked = {} if scroll is None else {"scroll_param": scroll}
        answer = self._get("/companies/scroll", asked, tolerate=(400, 404, 500))
        if answer.status == 500:
            raise ScrollLostError(_reason(answer))
        if answer.status != 200:
            raise (ScrollTakenError if scroll is None else ScrollLostError)(_reason(answer))
        body = _object(answer.body, "data")
        return ScrollPage(body["data"], body.get("scroll_param"), answer.at, answer.repeated)

    def company(self, company_id: str) -> dict[str, Any] | None:
        """One company by Intercom's id, None where there is none."""
        return self._one(f"/companies/{company_id}")

    def contact(self, contact_id: str) -> dict[str, Any] | None:
        """One contact with all its companies, None where there is none."""
        contact = self._one(f"/contacts/{contact_id}")
        return None if contact is None else self.complete(contact)

    def conversation(self, conversation_id: str) -> dict[str, Any] | None:
        """One conversation, None where there is none."""
        return self._one(f"/conversations/{conversation_id}")

    def conversations(self, since: int, until: int, after: str | None) -> Found:
        """Conversations updated from one epoch second to another, both included, the oldest change first.

        Raises:
            CursorRefusedError: `after` is not valid any more.
        """
        # Both operators are documented as inclusive, against their names: what comes too much, the stream drops.
        bounds = [
            {"field": "updated_at", "operator": ">", "value": since - 1},
            {"field": "updated_at", "operator": "<", "value": until + 1},
        ]
        return self._search("conversations", {"operator": "AND", "value": bounds}, "ascending", after)

    def contacts(self, days_after: int, after: str | None) -> Found:
        """Contacts updated on the days after that of an epoch second, in the workspace's zone, the newest first.

        Raises:
            CursorRefusedError: `after` is not valid any more.
        """
        query = {"field": "updated_at", "operator": ">", "value": days_after}
        found = self._search("contacts", query, "descending", after)
        return Found([self.complete(contact) for contact in found.rows], found.after, found.at)

    def complete(self, contact: dict[str, Any]) -> dict[str, Any]:
        """A contact with every company: the list inside it holds the first ten only."""
        companies = contact.get("companies")
        if not isinstance(companies, Mapping) or not companies.get("has_more"):
            return contact
        rows: list[Any] = []
        pages: Mapping[str, Any] = {}
        while not pages or pages.get("next"):
            page = int(pages.get("page") or 0) + 1
            answer = self._get(f"/contacts/{contact['id']}/companies", {"page": page, "per_page": 50}, tolerate=(404,))
            if answer.status != 200:
                return contact
            # Example and schema of Intercom's own description disagree on the name.
            body = _object(answer.body, "companies" if "companies" in answer.body else "data")
            rows += body.get("data") or body.get("companies") or ()
            pages = body.get("pages") or {"page": page}
        return {**contact, "companies": {**companies, "data": rows, "has_more": False}}

    def probe(self, what: str) -> Answer:
        """One of the companies, contacts or conversations. It opens no scroll: an app has only one."""
        if what == "companies":
            answer = self._http.send("POST", f"{self._url}/companies/list", params={"per_page": 1}, pace=REQUESTS)
        else:
            query = {"field": "updated_at", "operator": ">", "value": 0}
            asked = {"query": query, "pagination": {"per_page": 1}}
            answer = self._http.send("POST", f"{self._url}/{what}/search", json=asked, pace=REQUESTS)
        _object(answer.body, "pages")
        return answer

    def close(self) -> None:
        """Closes connections."""
        self._http.close()

    def _search(self, what: str, query: Mapping[str, Any], order: str, after: str | None) -> Found:
        pagination = {"per_page": PER_PAGE} | ({} if after is None else {"starting_after": after})
        asked = {"query": query, "sort": {"field": "updated_at", "order": order}, "pagination": pagination}
        tolerated = () if after is None else _REFUSED_CURSOR
        answer = self._http.send("POST", f"{self._url}/{what}/search", json=asked, pace=REQUESTS, tolerate=tolerated)
        if answer.status != 200:
            raise CursorRefusedError(_reason(answer))
        # Contacts come as `data`, conversations under their own name.
        body = _object(answer.body, "pages")
        rows = body.get(what, body.get("data"))
        if not isinstance(rows, list):
            raise TruncatedBodyError(f"Intercom's search has no {what}.")
        following = (body["pages"] or {}).get("next")
        return Found(rows, following.get("starting_after") if isinstance(following, Mapping) else None, answer.at)

    def _one(self, path: str) -> dict[str, Any] | None:
        answer = self._get(path, tolerate=(404,))
        return _object(answer.body, "id") if answer.status == 200 else None

    def _get(self, path: str, asked: Mapping[str, Any] | None = None, tolerate: Sequence[int] = ()) -> Answer:
        return self._http.get(f"{self._url}{path}", asked, pace=REQUESTS, tolerate=tolerate)


def _object(body: Any, member: str) -> dict[str, Any]:
    if not isinstance(body, dict) or member not in body:
        raise TruncatedBodyError(f"Intercom's answer has no {member}.")
    return body


def _reason(answer: Answer) -> str:
    return " ".join(str(answer.body).split())[:300]
