"""Salesforce REST: a token by client credentials, describe, and queries that also see deleted records."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson

from connectors.http import Outcome, TokenAuthorization, VendorHttp, Verdict
from vitals.errors import FatalError, RetriableError

API_VERSION = "v67.0"
"""Pinned: fields and limits change with the version."""

_DAILY_LIMIT_SECONDS = 900.0
_CONCURRENT_SECONDS = 5.0
# Share of the organisation's daily requests after which this connector leaves the rest to others.
_POLITE_SHARE = 0.8
_USAGE = re.compile(r"api-usage=(\d+)/(\d+)")
_REFUSED_TOKEN = "Salesforce refuses the client credentials ({reason}): check VITALS_SALESFORCE_CLIENT_ID and _SECRET."  # noqa: S105


def classify(response: httpx.Response) -> Verdict | None:
    """Salesforce says with 403 what others say with 429; the error code tells it from a missing permission."""
    codes = error_codes(response) if response.status_code >= 400 else set()
    if "REQUEST_LIMIT_EXCEEDED" in codes:
        concurrent = "Concurrent" in response.text
        return Verdict(Outcome.AGAIN, _CONCURRENT_SECONDS if concurrent else _DAILY_LIMIT_SECONDS)
    if "QUERY_TIMEOUT" in codes or "SERVER_UNAVAILABLE" in codes or "UNKNOWN_EXCEPTION" in codes:
        return Verdict(Outcome.AGAIN)
    if "INVALID_SESSION_ID" in codes:
        return Verdict(Outcome.RENEW)
    return None


def error_codes(response: httpx.Response) -> set[str]:
    """Error codes of an answer: data errors are an array, token errors an object, errors of an edge HTML or nothing."""
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return set()
    errors = body if isinstance(body, list) else [body]
    return {str(one.get("errorCode") or one.get("error")) for one in errors if isinstance(one, dict)}


class SalesforceToken:
    """Access tokens by client credentials, and the instance that they are for. Shared by the connector's streams."""

    def __init__(self, http: VendorHttp, url: str, client_id: str, client_secret: str) -> None:
        self._http = http
        self._url = url
        self._form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        self.authorization = TokenAuthorization(self._obtain)
        self._instance_url = ""

    @property
    def instance_url(self) -> str:
        """Where the data is, as the token's answer says."""
        self.authorization.header()
        return self._instance_url

    def _obtain(self) -> str:
        answer = self._http.send(
            "POST", f"{self._url}/services/oauth2/token", form=self._form, tolerate=(400, 401, 403)
        )
        if answer.status != 200:
            raise FatalError(_REFUSED_TOKEN.format(reason=" ".join(answer.body.split())[:200]))
        try:
            token, self._instance_url = str(answer.body["access_token"]), str(answer.body["instance_url"]).rstrip("/")
        except (KeyError, TypeError) as error:
            raise RetriableError("Salesforce's token answer has no access_token or instance_url.") from error
        return token


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one query, each once. `complete` tells that nothing follows within the query's bounds."""

    records: Sequence[dict[str, Any]]
    complete: bool
    at: datetime


class SalesforceClient:
    """The calls that the streams need."""

    def __init__(self, http: VendorHttp, token: SalesforceToken, polite_share: float = _POLITE_SHARE) -> None:
        self._http = http
        self._token = token
        self._polite_share = polite_share
        self._spent: str | None = None

    def now(self) -> datetime:
        """Salesforce's time, from the version list, which counts against no limit."""
        return self._http.time(f"{self._token.instance_url}/services/data/")

    def fields(self, object_name: str) -> frozenset[str]:
        """Fields of an object that this user may read."""
        answer = self._http.get(f"{self._data}/sobjects/{object_name}/describe", pace="data")
        return frozenset(str(field["name"]) for field in answer.body["fields"])

    def query_all(self, soql: str, limit: int) -> Records:
        """Records of a query with `LIMIT limit`, deleted ones among them.

        The batch may be shorter than the limit. Its locator is not followed: a locator is server state that expires,
        while a keyset goes on from any record.
        """
        self._leave_share()
        answer = self._http.get(f"{self._data}/queryAll", {"q": f"{soql} LIMIT {limit}"}, pace="data")
        usage = _USAGE.search(answer.headers.get("sforce-limit-info", ""))
        if usage and int(usage[1]) > self._polite_share * int(usage[2]):
            self._spent = f"{usage[1]} of the day's {usage[2]}"
        given = answer.body["records"]
        once = {str(record["Id"]): record for record in given}
        return Records(tuple(once.values()), bool(answer.body["done"]) and len(given) < limit, answer.at)

    def close(self) -> None:
        """Closes connections."""
        self._http.close()

    @property
    def _data(self) -> str:
        return f"{self._token.instance_url}/services/data/{API_VERSION}"

    def _leave_share(self) -> None:
        """Above the polite share of the day, one query in a quarter of an hour shows whether there is more again."""
        spent, self._spent = self._spent, None
        if spent is not None:
            raise RetriableError(f"Salesforce: {spent} requests are used.", _DAILY_LIMIT_SECONDS)


def literal(moment: datetime) -> str:
    """An instant as SOQL writes it: UTC, milliseconds, no quotes."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
