"""The process of `vitals api`."""

import signal
import socket
from types import FrameType

import structlog
import uvicorn
from starlette.types import ASGIApp

from api.app import create_app
from vitals.errors import UserError
from vitals.settings import Settings, load_settings
from vitals.telemetry import Health, configure_logging, serve_telemetry

log = structlog.get_logger()

STOP_SECONDS = 3


class ApiServer(uvicorn.Server):
    """A server that reports ready once it listens, not only once its application has started."""

    def __init__(self, settings: Settings, app: ASGIApp, health: Health) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.api_port,
                loop="uvloop",
                http="h11",
                # Of the two on the websockets package, the one that does not rest on its deprecated part.
                ws="websockets-sansio",
                ws_max_size=16 * 1024,
                # A snapshot would hold up the event loop for tens of milliseconds while it is compressed.
                ws_per_message_deflate=False,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=STOP_SECONDS,
            )
        )
        self._health = health

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens, then reports ready."""
        await super().startup(sockets)
        if self.started:
            self._health.ready()


def serve() -> None:
    """Serves until SIGTERM or SIGINT.

    Raises:
        UserError: a setting is wrong, the port is taken, or PostgreSQL does not answer.
    """
    settings = load_settings()
    configure_logging(settings)
    structlog.contextvars.bind_contextvars(process="api")
    health = Health()
    server = ApiServer(settings, create_app(settings), health)
    # The server ends in order on either signal and then raises it again.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    with _listener(settings) as listener:
        metrics_port = serve_telemetry(settings.host, settings.metrics_port, health)
        log.info("starting", host=settings.host, port=settings.api_port, metrics_port=metrics_port)
        server.run([listener])
    if not server.started:
        raise UserError(f"The API did not start on {settings.host}:{settings.api_port}: its log says why.")


def _listener(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.api_port), family=family, backlog=2048)
    except OSError as error:
        raise UserError(
            f"The API cannot listen on {settings.host}:{settings.api_port} ({error.strerror}): free the port or set "
            "VITALS_API_PORT to another one."
        ) from error


def _end(signal_number: int, frame: FrameType | None) -> None:
    del signal_number, frame
    raise SystemExit(0)
