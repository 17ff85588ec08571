"""Zendesk's limits, which of them refused a request, and what the headers say of the account's."""

from collections.abc import Iterator, Mapping

import httpx

from connectors.http import Outcome, Verdict, retry_after
from connectors.pace import Announced, Pace

EXPORTS = "exports"
"""Requests for the incremental exports, which share one limit and count against the account's too."""

OBJECTS = "objects"
"""Requests for single objects, which count against the account's limit."""

_ACCOUNT = "account"
_OF_EXPORTS = "incremental"


def paces(*, counted: bool) -> dict[str, tuple[Pace, ...]]:
    """10 exports a minute, both of a cycle at once: the stream rests between cycles, and takes webhooks meanwhile.

    The account's own limit is shared with everything else that calls Zendesk: a seventh of it is taken.
    """
    exports = Pace(EXPORTS, 10 if counted else None, 60.0, burst=2)
    account = Pace(_ACCOUNT, 100 if counted else None, 60.0, burst=20, share=1 / 7)
    return {EXPORTS: (exports, account), OBJECTS: (account,)}


def classify(response: httpx.Response) -> Verdict | None:
    """Which limit refused a request; None leaves an answer to the general table."""
    if response.status_code != 429:
        return None
    limit = EXPORTS if _OF_EXPORTS in response.text else _ACCOUNT
    return Verdict(Outcome.AGAIN, retry_after(response.headers), limit)


def announced(headers: Mapping[str, str]) -> Iterator[Announced]:
    """The account's limit; none of the headers tells of that of the exports."""
    limit = headers.get("x-rate-limit", "")
    if limit.isdigit() and int(limit):
        yield Announced(_ACCOUNT, int(limit))
