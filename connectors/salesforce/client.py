"""Salesforce REST: describe, and queries that also see deleted records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connectors.http import Answer, VendorHttp
from connectors.salesforce.limits import REQUESTS, error_codes
from connectors.salesforce.oauth import SalesforceToken
from vitals.errors import FatalError, RetriableError

API_VERSION = "v67.0"
"""Pinned: fields and limits change with the version."""


class FieldsChangedError(RetriableError):
    """The query names a field that this user cannot read any more: the object is to be described again."""


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

    def __init__(self, http: VendorHttp, token: SalesforceToken) -> None:
        self._http = http
        self._token = token

    def now(self) -> datetime:
        """Salesforce's time, from the version list, which counts against no limit."""
        return self._http.time(f"{self._token.instance_url}/services/data/")

    def describe(self, object_name: str) -> Described:
        """Fields of an object that this user may read, with their types."""
        answer = self._http.get(f"{self.place}/sobjects/{object_name}/describe", pace=REQUESTS)
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
        asked = {"q": f"SELECT COUNT() FROM {object_name} WHERE {condition}"}  # noqa: S608 - SOQL reads only
        answer = self._http.get(f"{self.place}/queryAll", asked, pace=REQUESTS)
        return int(answer.body["totalSize"])

    def query_all(self, soql: str, limit: int) -> Records:
        """Records of a query with `LIMIT limit`, deleted ones among them.

        The batch may be shorter than the limit. Its locator is not followed: a locator is server state that expires,
        while a keyset goes on from any record.

        Raises:
            FieldsChangedError: a field is not there any more.
        """
        asked = {"q": f"{soql} LIMIT {limit}"}
        answer = self._http.get(f"{self.place}/queryAll", asked, pace=REQUESTS, tolerate=(400,))
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
        return self._http.get(f"{self.place}/query", asked, pace=REQUESTS)

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
