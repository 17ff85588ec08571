"""HubSpot's CRM reads: lists, searches, batches, associations and owners, and what its errors mean."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connectors.http import Answer, TruncatedBodyError, VendorHttp
from connectors.hubspot.accounts import is_id
from connectors.hubspot.limits import READS, SEARCHES
from vitals.errors import RetriableError

LIST_OBJECTS = 100
SEARCH_OBJECTS = 200
BATCH_OBJECTS = 100
ASSOCIATION_OBJECTS = 1_000
OWNERS = 500


@dataclass(frozen=True, slots=True)
class Records:
    """One page, each object once. `after` names the next page; None is the end."""

    records: Sequence[dict[str, Any]]
    after: str | None
    at: datetime


class CursorRefusedError(RetriableError):
    """HubSpot does not know a list's cursor any more: the list begins again."""


class HubSpotClient:
    """The calls that the streams need. `version` is the segment of the paths: a date such as `2026-09`, or `v3`."""

    def __init__(self, http: VendorHttp, url: str, version: str) -> None:
        dated = version[:1].isdigit()
        self._http = http
        self._objects = f"{url}/crm/objects/{version}" if dated else f"{url}/crm/{version}/objects"
        # The associations of v3 tell no labels, and so no primary company.
        self._associations = f"{url}/crm/associations/{version}" if dated else f"{url}/crm/v4/associations"
        self._owners = f"{url}/crm/owners/{version}" if dated else f"{url}/crm/{version}/owners"

    def page(self, object_type: str, properties: Sequence[str], *, after: str | None, archived: bool) -> Records:
        """A page of all objects, or of all archived ones.

        Raises:
            CursorRefusedError: `after` is not valid any more.
        """
        asked = {"limit": LIST_OBJECTS, "properties": ",".join(properties), "archived": "true" if archived else "false"}
        if after is not None:
            asked["after"] = after
        answer = self._http.get(
            f"{self._objects}/{object_type}", asked, pace=READS, tolerate=() if after is None else (400,)
        )
        if answer.status == 400:
            raise CursorRefusedError(f"HubSpot refuses the cursor {after}: {answer.body[:300]}")
        return _records(answer)

    def search(
        self, object_type: str, modified: str, properties: Sequence[str], *, since: datetime, after_id: int
    ) -> Records:
        """Objects modified since an instant whose id is greater than `after_id`, by id; `after` tells that more follow.

        A search gives up beyond 10,000 objects, so its own offset is never used.
        """
        asked = {
            "filterGroups": [
                {
                    "filters": [
                        # Figures in filters are text: some versions refuse JSON numbers.
                        {"propertyName": modified, "operator": "GTE", "value": str(int(since.timestamp() * 1000))},
                        {"propertyName": "hs_object_id", "operator": "GT", "value": str(after_id)},
                    ]
                }
            ],
            "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
            "properties": list(properties),
            "limit": SEARCH_OBJECTS,
        }
        return _records(self._http.send("POST", f"{self._objects}/{object_type}/search", json=asked, pace=SEARCHES))

    def read(
        self, object_type: str, ids: Iterable[str], properties: Sequence[str], *, archived: bool = False
    ) -> list[dict[str, Any]]:
        """The objects with these ids, without those that do not exist; for a merged one its winner, each once."""
        found: dict[str, dict[str, Any]] = {}
        wanted = list(ids)
        for place in range(0, len(wanted), BATCH_OBJECTS):
            asked = {
                "inputs": [{"id": one} for one in wanted[place : place + BATCH_OBJECTS]],
                "properties": list(properties),
                "propertiesWithHistory": [],
            }
            answer = self._http.send(
                "POST",
                f"{self._objects}/{object_type}/batch/read",
                params={"archived": "true" if archived else "false"},
                json=asked,
                pace=READS,
            )
            found.update((str(one["id"]), one) for one in _with_ids(_whole_batch(answer)))
        return list(found.values())

    def companies_of(self, object_type: str, ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """The companies associated with each object that has any, as HubSpot tells them: ids with their labels."""
        found: dict[str, list[dict[str, Any]]] = {}
        for place in range(0, len(ids), ASSOCIATION_OBJECTS):
            asked = {"inputs": [{"id": one} for one in ids[place : place + ASSOCIATION_OBJECTS]]}
            url = f"{self._associations}/{object_type}/companies/batch/read"
            results = _whole_batch(self._http.send("POST", url, json=asked, pace=READS))
            try:
                for one in results:
                    found.setdefault(str(one["from"]["id"]), []).extend(dict(to) for to in one["to"])
            except (KeyError, TypeError, ValueError) as error:
                raise TruncatedBodyError("HubSpot's answer has an association without its ends.") from error
        return found

    def owners(self) -> dict[str, str]:
        """Names of the owners by id, those of former ones too."""
        names: dict[str, str] = {}
        for archived in ("false", "true"):
            after: str | None = None
            while True:
                asked = {"limit": OWNERS, "archived": archived} | ({} if after is None else {"after": after})
                page = _records(self._http.get(self._owners, asked, pace=READS))
                for one in page.records:
                    name = " ".join(filter(None, (one.get("firstName"), one.get("lastName"))))
                    names[str(one["id"])] = name or str(one.get("email") or one["id"])
                after = page.after
                if after is None:
                    break
        return names

    def probe(self, object_type: str) -> Answer:
        """One object of a list, or one owner (`owners`)."""
        url = self._owners if object_type == "owners" else f"{self._objects}/{object_type}"
        answer = self._http.get(url, {"limit": 1}, pace=READS)
        _results(answer.body)
        return answer

    def count(self, object_type: str) -> int | None:
        """How many objects there are, those that are archived apart; None where a search does not tell."""
        answer = self._http.send("POST", f"{self._objects}/{object_type}/search", json={"limit": 1}, pace=SEARCHES)
        _results(answer.body)
        total = answer.body.get("total")
        return total if isinstance(total, int) else None

    def close(self) -> None:
        """Closes connections."""
        self._http.close()


def _records(answer: Answer) -> Records:
    results = _with_ids(_results(answer.body))
    paging = answer.body.get("paging")
    following = paging.get("next") if isinstance(paging, Mapping) else None
    once = {str(one["id"]): one for one in results}
    return Records(tuple(once.values()), str(following["after"]) if following else None, answer.at)


def _whole_batch(answer: Answer) -> list[dict[str, Any]]:
    """The results of a batch; 207 may only say that something does not exist."""
    results = _results(answer.body)
    for error in answer.body.get("errors") or ():
        if error.get("category") != "OBJECT_NOT_FOUND":
            raise RetriableError(f"HubSpot answered part of a batch: {str(error.get('message'))[:200]}")
    return results


def _with_ids(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Objects, whose ids every walk and every lookup goes by."""
    if not all(isinstance(one, dict) and is_id(one.get("id")) for one in results):
        raise TruncatedBodyError("HubSpot's answer has an object without an id.")
    return results


def _results(body: Any) -> list[dict[str, Any]]:
    if not isinstance(body, dict) or not isinstance(body.get("results"), list):
        raise TruncatedBodyError("HubSpot's answer has no results.")
    results: list[dict[str, Any]] = body["results"]
    return results
