"""The API as an application: its routes, what they share, and its life."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import structlog
from fastapi import FastAPI
from psycopg_pool import PoolTimeout
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import ASGIApp

from api import accounts, health, live, metrics_values, page, pipeline, problems, profiles, quality, reference, summary
from api.auth import routes as auth_routes
from api.auth.attempts import AttemptLimit
from api.auth.passwords import Passwords
from api.auth.tokens import TokenSigner, session_secret
from api.context import ApiContext
from api.database import connection_pool
from api.edge import LARGEST_BODY, Edge
from api.fanout import Fanout
from api.history import PortfolioHistory
from api.kafka_offsets import EndOffsets
from api.live_streams import LiveStreams
from vitals.clock import Clock, WallClock
from vitals.errors import FatalError
from vitals.settings import Settings

log = structlog.get_logger()

START_SECONDS = 30.0

DESCRIPTION = (
    "Health of accounts, live and over time. Sign in with POST /v1/auth/login. Errors are application/problem+json; "
    "every answer with figures says in its receipt what they rest on."
)
TAGS = [
    {"name": "auth", "description": "Signing in and out."},
    {"name": "summary", "description": "The portfolio in one answer."},
    {"name": "accounts", "description": "Accounts, their scores and metric values."},
    {"name": "pipeline", "description": "What became of every event."},
    {"name": "quality", "description": "What the data quality checks found."},
    {"name": "process", "description": "This process."},
]


class Readiness(BaseModel):
    """Whether this process is ready."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ready"}]})

    status: str = Field(description="`ready`.", examples=["ready"])


class Api(FastAPI):
    """FastAPI with problems in its document."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made once."""
        if self.openapi_schema is None:
            problems.complete(super().openapi())
        assert self.openapi_schema is not None
        return self.openapi_schema


def create_app(settings: Settings, clock: Clock | None = None, dist: Path = page.DIST) -> ASGIApp:
    """The application. Its lifespan opens the pool and runs the fan-out.

    dist: folder of the built dashboard.

    Raises:
        UserError: no session secret outside dev.
    """
    clock = clock or WallClock()
    tokens = TokenSigner(session_secret(settings), clock)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        pool = connection_pool(settings.postgres_dsn.get_secret_value())
        streams = LiveStreams(settings.redis_url.get_secret_value())
        async with pool:
            try:
                await pool.wait(START_SECONDS)
            except PoolTimeout as error:
                raise FatalError("PostgreSQL does not answer, is it running? See VITALS_POSTGRES_DSN.") from error
            fanout = Fanout(streams, pool, clock)
            app.state.context = ApiContext(
                settings=settings,
                clock=clock,
                pool=pool,
                tokens=tokens,
                passwords=Passwords(),
                attempts=AttemptLimit(clock),
                history=PortfolioHistory(clock),
                fanout=fanout,
                end_offsets=EndOffsets(settings, clock),
            )
            following = asyncio.create_task(fanout.run(), name="fanout")
            following.add_done_callback(_report)
            try:
                yield
            finally:
                following.cancel()
                with suppress(asyncio.CancelledError):
                    await following
                await streams.close()

    app = Api(
        title="Vitals API",
        version=version("vitals"),
        description=DESCRIPTION,
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        max_body_size=LARGEST_BODY,
    )
    problems.install(app)
    for module in (auth_routes, summary, accounts, health, metrics_values, profiles, pipeline, quality, live):
        app.include_router(module.router)

    @app.get("/healthz", tags=["process"], summary="Readiness")
    async def healthz() -> Readiness:
        """200 once the process serves requests."""
        return Readiness(status="ready")

    reference.install(app)
    page.install(app, dist)
    return Edge(app, settings.public_url)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("the fan-out ended", exc_info=task.exception())
