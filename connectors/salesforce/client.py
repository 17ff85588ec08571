"""Salesforce REST: describe, and queries that also see deleted records."""

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
from prometheus_client import Gauge

from connectors.http import Answer, Outcome, VendorHttp, Verdict
from connectors.salesforce.oauth import SalesforceToken
from vitals.errors import FatalError, RetriableError

API_VERSION = "v67.0"
"""Pinned: fields and limits change with the version."""

USED = Gauge("vitals_salesforce_daily_requests_used", "Requests of the organisation in the last 24 hours.")
ALLOWED = Gauge("vitals_salesforce_daily_requests_allowed", "Requests that the organisation may send in 24 hours.")

_DAILY_LIMIT_SECONDS = 900.0
_CONCURRENT_SECONDS = 5.0
_USAGE = re.compile(r"api-usage=(\d+)/(\d+)")


def classify(response: httpx.Response) -> Verdict | None:
    """Salesforce says with 403 what others say with 429; the error code tells it from a missing permission."""
    codes = error_codes(response.content) if response.status_code >= 400 else set()
    if "REQUEST_LIMIT_EXCEEDED" in codes:
        concurrent = "Concurrent" in response.text
        return Verdict(Outcome.AGAIN, _CONCURRENT_SECONDS if concurrent else _DAILY_LIMIT_SECONDS)
    if "QUERY_TIMEOUT" in codes or "SERVER_UNAVAILABLE" in codes or "UNKNOWN_EXCEPTION" in codes:
        return Verdict(Outcome.AGAIN)
    if "INVALID_SESSION_ID" in codes:
        return Verdict(Outcome.RENEW)
    return None


def error_codes(answer: bytes | str) -> set[str]:
    """Error codes of an answer: data errors are an array, token errors an object, errors of an edge HTML or nothing."""
    try:
        body = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return set()
    errors = body if isinstance(body, list) else [body]
    return {str(one.get("errorCode") or one.get("error")) for one in errors if isinstance(one, dict)}


class FieldsChangedError(RetriableError):
    """The query names a field that this user cannot read any more: the object is to be described again."""


class DailyShare:
    """Leaves the rest of the organisation's day to others, for all streams of the process together.

    Above the polite share, one query in a quarter of an hour shows whether there is more again.
    """

    def __init__(self, share: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._share = share
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._spent = ""
        self._until = float("-inf")

    def heed(self, headers: Mapping[str, str]) -> None:
        """Takes in how much of the day is used."""
        usage = _USAGE.search(headers.get("sforce-limit-info", ""))
        if usage is None:
            return
        used, allowed = int(usage[1]), int(usage[2])
        USED.set(used)
        ALLOWED.set(allowed)
        with self._lock:
            if used > self._share * allowed:
                self._spent = f"{used} of the day's {allowed}"
                self._until = self._monotonic() + _DAILY_LIMIT_SECONDS
            else:
                self._until = float("-inf")

    def leave(self) -> None:
        """Passes while there is some of the share left.

        Raises:
            RetriableError: with the seconds after which one stream may look again.
        """
        with self._lock:
            wait = self._until - self._monotonic()
            if wait > 0:
                raise RetriableError(f"Salesforce: {self._spent} requests are used.", wait)
            if self._until > float("-inf"):
                # This one looks; the others wait for what it sees.
                self._until = self._monotonic() + _DAILY_LIMIT_SECONDS


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one query, each once. `complete` tells that nothing follows within the query's bounds."""

    records: Sequence[dict[str, Any]]
    complete: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Described:
    """Types of the fields of an object that this user may read, without those that are made of others."""

    fields: Mapping[str, str]
    at: datetime


class SalesforceClient:
    """The calls that the streams need."""

    def __init__(self, http: VendorHttp, token: SalesforceToken, share: DailyShare) -> None:
        self._http = http
        self._token = token
        self._share = share

    def now(self) -> datetime:
        """Salesforce's time, from the version list, which counts against no limit."""
        return self._http.time(f"{self._token.instance_url}/services/data/")

    def describe(self, object_name: str) -> Described:
        """Fields of an object that this user may read, with their types."""
        answer = self._http.get(f"{self.place}/sobjects/{object_name}/describe", pace="data")
        fields = answer.body["fields"]
        # A person's Name is kept although it is made of others; addresses come as their parts, files not at all.
        made = {field.get("compoundFieldName") for field in fields} - {"Name", None}
        kept = {
            str(field["name"]): str(field["type"])
            for field in fields
            if field["name"] not in made and field["type"] not in ("address", "location", "base64")
        }
        return Described(kept, answer.at)

    def count(self, object_name: str, condition: str) -> int:
        """How many records meet a condition, deleted ones among them."""
        self._share.leave()
        asked = {"q": f"SELECT COUNT() FROM {object_name} WHERE {condition}"}  # noqa: S608 - SOQL reads only
        answer = self._http.get(f"{self.place}/queryAll", asked, pace="data")
        self._share.heed(answer.headers)
        return int(answer.body["totalSize"])

    def query_all(self, soql: str, limit: int) -> Records:
        """Records of a query with `LIMIT limit`, deleted ones among them.

        The batch may be shorter than the limit. Its locator is not followed: a locator is server state that expires,
        while a keyset goes on from any record.

        Raises:
            FieldsChangedError: a field is not there any more.
        """
        self._share.leave()
        asked = {"q": f"{soql} LIMIT {limit}"}
        answer = self._http.get(f"{self.place}/queryAll", asked, pace="data", tolerate=(400,))
        self._share.heed(answer.headers)
        if answer.status != 200:
            if "INVALID_FIELD" in error_codes(answer.body):
                raise FieldsChangedError(f"Salesforce: {answer.body[:300]}")
            raise FatalError(f"Salesforce refuses a query: {answer.body[:300]}")
        given = answer.body["records"]
        once = {str(record["Id"]): record for record in given}
        return Records(tuple(once.values()), bool(answer.body["done"]) and len(given) < limit, answer.at)

    def probe(self, object_name: str) -> Answer:
        """One id of an object."""
        asked = {"q": f"SELECT Id FROM {object_name} LIMIT 1"}  # noqa: S608 - SOQL reads only
        return self._http.get(f"{self.place}/query", asked, pace="data")

    def close(self) -> None:
        """Closes connections."""
        self._http.close()

    @property
    def place(self) -> str:
        """Where the pinned version's resources are."""
        return f"{self._token.instance_url}/services/data/{API_VERSION}"


def literal(moment: datetime) -> str:
    """An instant as SOQL writes it: UTC, milliseconds, no quotes."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
