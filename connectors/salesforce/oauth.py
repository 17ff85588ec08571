"""How Salesforce gives access tokens: by client credentials, by a refresh token, or for a signed assertion (JWT)."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any, Protocol

import jwt

from connectors.authorization import TokenAuthorization
from connectors.http import CredentialsError, VendorHttp
from connectors.kept_token import KeptToken
from vitals.clock import Clock, WallClock
from vitals.errors import RetriableError, UserError

ASSERTION_LIFE = timedelta(minutes=3)
"""Salesforce refuses an assertion that is valid for longer."""


class Grant(Protocol):
    """One way to ask for a token."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Held while a token is asked for."""
        ...

    def form(self) -> dict[str, str]:
        """The request's fields. Raises `FatalError` where asking is known to be in vain."""
        ...

    def accepted(self, answer: Mapping[str, Any]) -> None:
        """Takes what else the answer brings, before its access token is used."""
        ...

    def refused(self, reason: str) -> str:
        """What a person is to do about a refusal."""
        ...


class ClientCredentials:
    """The application's own credentials; it acts as its "Run As" user."""

    def __init__(self, client_id: str, client_secret: str) -> None:
        self._form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}

    def exclusive(self) -> AbstractContextManager[None]:
        """Nothing is used up, so nothing is held."""
        return nullcontext()

    def form(self) -> dict[str, str]:
        """See `Grant`."""
        return self._form

    def accepted(self, answer: Mapping[str, Any]) -> None:
        """Nothing else comes."""

    def refused(self, reason: str) -> str:
        """See `Grant`."""
        return (
            f"Salesforce refuses the client credentials ({reason}): check VITALS_SALESFORCE_CLIENT_ID and "
            "VITALS_SALESFORCE_CLIENT_SECRET."
        )


class RefreshToken:
    """A user's consent. Where the application rotates refresh tokens, each use gives a new one and ends the old."""

    def __init__(self, client_id: str, client_secret: str, kept: KeptToken) -> None:
        self._client = {"client_id": client_id, "client_secret": client_secret}
        self._kept = kept
        self._asked_with = ""
        self._dead: dict[str, str] = {}

    def exclusive(self) -> AbstractContextManager[None]:
        """One refresh at a time, over all processes that share the file."""
        return self._kept.exclusive()

    def form(self) -> dict[str, str]:
        """See `Grant`. A token that was refused once is not sent again: it will not come back to life.

        Raises:
            FatalError: the token in force has been refused.
        """
        self._asked_with = self._kept.current()
        if self._asked_with in self._dead:
            raise CredentialsError(self._dead[self._asked_with], 401)
        return {"grant_type": "refresh_token", "refresh_token": self._asked_with, **self._client}

    def accepted(self, answer: Mapping[str, Any]) -> None:
        """Keeps a rotated token on the disk."""
        given = answer.get("refresh_token")
        if given and given != self._asked_with:
            self._kept.replace(str(given))

    def refused(self, reason: str) -> str:
        """See `Grant`; remembered for this token where Salesforce says that it is the token."""
        if "invalid_grant" not in reason:
            return (
                f"Salesforce refuses to refresh ({reason}): VITALS_SALESFORCE_CLIENT_ID and _CLIENT_SECRET must be "
                "those of the application that the refresh token was given to."
            )
        message = (
            f"Salesforce does not accept the refresh token any more ({reason}): authorize the application again, put "
            "the new token into VITALS_SALESFORCE_REFRESH_TOKEN and start the connector again."
        )
        self._dead[self._asked_with] = message
        return message


class JwtBearer:
    """A key whose certificate the application knows, for a user who is pre-authorized there."""

    def __init__(
        self, client_id: str, username: str, private_key: str, audience: str, clock: Clock | None = None
    ) -> None:
        self._claims = {"iss": client_id, "sub": username, "aud": audience}
        self._private_key = private_key
        self._clock = clock or WallClock()
        try:
            self.form()
        except (ValueError, TypeError, jwt.PyJWTError) as error:
            raise UserError("VITALS_SALESFORCE_PRIVATE_KEY is not an RSA private key in PEM form.") from error

    def exclusive(self) -> AbstractContextManager[None]:
        """Nothing is used up, so nothing is held."""
        return nullcontext()

    def form(self) -> dict[str, str]:
        """See `Grant`: a fresh assertion each time."""
        claims = {**self._claims, "exp": int((self._clock.now() + ASSERTION_LIFE).timestamp())}
        assertion = jwt.encode(claims, self._private_key, algorithm="RS256")
        return {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}

    def accepted(self, answer: Mapping[str, Any]) -> None:
        """Nothing else comes."""

    def refused(self, reason: str) -> str:
        """See `Grant`."""
        return (
            f"Salesforce refuses the signed assertion ({reason}): check VITALS_SALESFORCE_CLIENT_ID, _USERNAME and "
            "_LOGIN_URL, and that the application knows the certificate of _PRIVATE_KEY and pre-authorizes the user."
        )


class SalesforceToken:
    """Access tokens and the instance that they are for. Shared by the connector's streams."""

    def __init__(self, http: VendorHttp, url: str, grant: Grant) -> None:
        self._http = http
        self._url = url
        self._grant = grant
        self.authorization = TokenAuthorization(self._obtain)
        self._instance_url = ""
        self._organization_id = ""

    @property
    def organization_id(self) -> str:
        """The organisation, empty where the token's answer does not name it."""
        self.authorization.header()
        return self._organization_id

    @property
    def instance_url(self) -> str:
        """Where the data is, as the token's answer says."""
        self.authorization.header()
        return self._instance_url

    def _obtain(self) -> str:
        with self._grant.exclusive():
            answer = self._http.send(
                "POST", f"{self._url}/services/oauth2/token", form=self._grant.form(), tolerate=(400, 401, 403)
            )
            if answer.status != 200:
                raise CredentialsError(self._grant.refused(" ".join(str(answer.body).split())[:200]), answer.status)
            try:
                token = str(answer.body["access_token"])
                self._instance_url = str(answer.body["instance_url"]).rstrip("/")
            except (KeyError, TypeError) as error:
                raise RetriableError("Salesforce's token answer has no access_token or instance_url.") from error
            # …/id/<organisation>/<user>
            self._organization_id = str(answer.body.get("id") or "").rstrip("/").split("/")[-2:][0]
            self._grant.accepted(answer.body)
        return token
