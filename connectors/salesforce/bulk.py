"""Query jobs of Bulk API 2.0, for a first load that would take too many of the day's requests by REST.

A job's results are the records that a REST query would give, as CSV. They are turned into the same JSON, so that
mappings, raw objects and dead letters do not depend on the way that a record came.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from connectors.http import TruncatedBodyError, VendorHttp
from connectors.salesforce.client import API_VERSION
from connectors.salesforce.limits import REQUESTS, error_codes
from connectors.salesforce.oauth import SalesforceToken
from vitals.errors import FatalError

RECORDS_A_REQUEST = 10_000

# A long text area holds up to 131,072 characters, of which any may be a quote.
_LONGEST_FIELD = 300_000
_NUMBERS = frozenset({"currency", "double", "percent"})
# Errors of an object, an edition or a day that Bulk does not serve; REST does.
_REST_INSTEAD = frozenset({"INVALIDENTITY", "LIMIT_EXCEEDED", "API_DISABLED_FOR_ORG", "FUNCTIONALITY_NOT_ENABLED"})
_REST_INSTEAD_STATUSES = (400, 403, 404, 405)


@dataclass(frozen=True, slots=True)
class JobState:
    """`state` is Salesforce's, or `Gone`; `message` says why a job failed."""

    state: str
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class JobResults:
    """A part of a job's results; `locator` is where the next begins, None behind the last."""

    records: Sequence[dict[str, Any]]
    locator: str | None


class JobGoneError(Exception):
    """The job or its results are not there any more."""


class BulkJobs:
    """The calls about jobs."""

    def __init__(self, http: VendorHttp, token: SalesforceToken) -> None:
        self._http = http
        self._token = token

    def create(self, soql: str) -> tuple[str, datetime] | str:
        """The id of a new job and Salesforce's time; or the reason why REST has to do it."""
        asked = {
            "operation": "queryAll",
            "query": soql,
            "contentType": "CSV",
            "columnDelimiter": "COMMA",
            "lineEnding": "LF",
        }
        answer = self._http.send("POST", self._place, json=asked, pace=REQUESTS, tolerate=_REST_INSTEAD_STATUSES)
        if answer.status in (200, 201):
            return str(answer.body["id"]), answer.at
        reason = " ".join(str(answer.body).split())[:300]
        if answer.status in (404, 405) or error_codes(answer.body) & _REST_INSTEAD:
            return reason
        raise FatalError(f"Salesforce refuses a bulk query: {reason}")

    def state(self, job: str) -> JobState:
        """How far a job is."""
        answer = self._http.get(f"{self._place}/{job}", pace=REQUESTS, tolerate=(404,))
        if answer.status == 404:
            return JobState("Gone", "the job is not there any more", answer.at)
        return JobState(str(answer.body["state"]), str(answer.body.get("errorMessage") or ""), answer.at)

    def results(self, job: str, locator: str | None, object_name: str, types: Mapping[str, str]) -> JobResults:
        """Records of a complete job from a locator on; `types` are Salesforce's types of the fields.

        Raises:
            JobGoneError: results are kept for some days only.
        """
        asked = {"maxRecords": RECORDS_A_REQUEST, **({"locator": locator} if locator else {})}

        def read(response: httpx.Response) -> tuple[list[dict[str, Any]], str | None]:
            records = csv_records(response.read(), object_name, types)
            promised = response.headers.get("sforce-numberofrecords", "")
            if promised.isdigit() and int(promised) != len(records):
                raise TruncatedBodyError(f"{len(records)} of {promised} records came.")
            following = response.headers.get("sforce-locator", "null")
            # The last page says so with the text "null".
            return records, None if following == "null" else following

        answer = self._http.get(f"{self._place}/{job}/results", asked, pace=REQUESTS, read=read, tolerate=(400, 404))
        if answer.status != 200:
            raise JobGoneError(" ".join(str(answer.body).split())[:300])
        return JobResults(*answer.body)

    def abort(self, job: str) -> None:
        """Ends a job that takes too long; one that is over cannot be ended, and need not."""
        self._http.send("PATCH", f"{self._place}/{job}", json={"state": "Aborted"}, pace=REQUESTS, tolerate=(400, 404))

    def delete(self, job: str) -> None:
        """Removes a job with its results."""
        self._http.send("DELETE", f"{self._place}/{job}", pace=REQUESTS, read=lambda _: None, tolerate=(400, 404))

    def pause(self, seconds: float) -> None:
        """Waits for a job."""
        self._http.pause(seconds)

    @property
    def _place(self) -> str:
        return f"{self._token.instance_url}/services/data/{API_VERSION}/jobs/query"


def csv_records(body: bytes, object_name: str, types: Mapping[str, str]) -> list[dict[str, Any]]:
    """The records of a CSV page in the form in which REST gives them.

    Nulls and empty texts are both empty there, and null by REST too. A column such as `Owner.Name` becomes an object.

    Raises:
        TruncatedBodyError: it is not whole.

    >>> csv_records(b'"Id","IsDeleted"\\n"001","false"\\n', "Account", {"IsDeleted": "boolean"})[0]["IsDeleted"]
    False
    """
    csv.field_size_limit(_LONGEST_FIELD)
    try:
        # NUL bytes do occur in texts, and no reader of CSV takes them.
        rows = csv.reader(io.StringIO(body.decode().replace("\0", ""), newline=""), strict=True)
        header = next(rows, [])
        found = []
        for row in rows:
            if len(row) != len(header):
                raise TruncatedBodyError(f"A line has {len(row)} fields instead of {len(header)}.")
            record: dict[str, Any] = {}
            for name, text in zip(header, row, strict=True):
                _put(record, name, _value(text, types.get(name, "string"), name))
            place = f"/services/data/{API_VERSION}/sobjects/{object_name}/{record.get('Id')}"
            found.append({"attributes": {"type": object_name, "url": place}, **record})
    except (UnicodeDecodeError, csv.Error) as error:
        raise TruncatedBodyError(f"The results are not whole CSV: {error}.") from error
    return found


def _put(record: dict[str, Any], name: str, value: Any) -> None:
    parent, _, own = name.rpartition(".")
    if not parent:
        record[name] = value
    elif value is None:
        record.setdefault(parent, None)
    else:
        record[parent] = {**(record.get(parent) or {}), own: value}


def _value(text: str, kind: str, name: str) -> Any:
    if text == "":
        return None
    try:
        if kind == "boolean":
            return {"true": True, "false": False}[text.lower()]
        if kind == "int":
            return int(text)
        if kind in _NUMBERS:
            return float(text)
    except (KeyError, ValueError) as error:
        raise TruncatedBodyError(f"{name} is not of type {kind}: {text[:40]!r}.") from error
    # CSV ends an instant in Z where REST writes the offset.
    return text.removesuffix("Z") + "+0000" if kind == "datetime" and text.endswith("Z") else text
