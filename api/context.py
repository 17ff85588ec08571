"""What the routes of one API process share, made once by `api.app` and reached through the request."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from api.auth.attempts import AttemptLimit
from api.auth.passwords import Passwords
from api.auth.tokens import TokenSigner
from api.database import Pool
from api.fanout import Fanout
from api.history import PortfolioHistory
from api.kafka_offsets import EndOffsets
from vitals.clock import Clock
from vitals.settings import Settings


@dataclass(frozen=True)
class ApiContext:
    """The shared parts. `secure_cookies` follows from an https `public_url`."""

    settings: Settings
    clock: Clock
    pool: Pool
    tokens: TokenSigner
    passwords: Passwords
    attempts: AttemptLimit
    history: PortfolioHistory
    fanout: Fanout
    end_offsets: EndOffsets

    @property
    def secure_cookies(self) -> bool:
        """Whether cookies travel over https only."""
        return self.settings.public_url.startswith("https://")


def context_of(connection: HTTPConnection) -> ApiContext:
    """The context of the application that a request or websocket came to."""
    context = connection.app.state.context
    assert isinstance(context, ApiContext)
    return context


Context = Annotated[ApiContext, Depends(context_of)]
