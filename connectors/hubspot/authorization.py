"""HubSpot's OAuth: access tokens of half an hour for a refresh token that does not expire."""

import structlog

from connectors.authorization import TokenAuthorization
from connectors.http import VendorHttp
from vitals.errors import FatalError, RetriableError

log = structlog.get_logger()

_REFUSED = (
    "HubSpot refuses the refresh token ({reason}): authorise the app again and set VITALS_HUBSPOT_REFRESH_TOKEN, and "
    "check VITALS_HUBSPOT_CLIENT_ID and _CLIENT_SECRET."
)


def token_path(version: str) -> str:
    """The path of the token call: `v1` until 16 February 2027, a date such as `2026-03` since."""
    return f"/oauth/{version}/token"


class RefreshedTokens:
    """Access tokens of one installation of an OAuth app; `authorization` is shared by the account's streams.

    HubSpot gives the same refresh token back. Should it ever give another one, that one is used for as long as this
    process lives, and the log says so.
    """

    def __init__(
        self, http: VendorHttp, url: str, version: str, client_id: str, client_secret: str, refresh_token: str
    ) -> None:
        self._http = http
        self._url = url + token_path(version)
        self._client = {"client_id": client_id, "client_secret": client_secret}
        self._refresh_token = refresh_token
        self.authorization = TokenAuthorization(self._obtain)

    def _obtain(self) -> str:
        # In the body and never in the query, which proxies log.
        form = {"grant_type": "refresh_token", "refresh_token": self._refresh_token, **self._client}
        answer = self._http.send("POST", self._url, form=form, tolerate=(400, 401, 403))
        if answer.status != 200:
            raise FatalError(_REFUSED.format(reason=" ".join(answer.body.split())[:200]))
        try:
            token = str(answer.body["access_token"])
        except (KeyError, TypeError) as error:
            raise RetriableError("HubSpot's token answer has no access_token.") from error
        returned = answer.body.get("refresh_token")
        if returned and returned != self._refresh_token:
            log.warning("hubspot_refresh_token_changed", advice="authorise the app again before the next restart")
            self._refresh_token = str(returned)
        return token
