"""Structured logs and the Prometheus endpoint that every Vitals process has."""

import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from vitals.settings import Settings


def configure_logging(settings: Settings) -> None:
    """Sends structured log lines to standard error: JSON, or coloured text with `VITALS_LOG_FORMAT=console`."""
    level = logging.getLevelNamesMapping()[settings.log_level]
    logging.basicConfig(format="%(message)s", level=max(level, logging.WARNING))
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if settings.log_format == "json" else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks
            if settings.log_format == "json"
            else structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=__import__("sys").stderr),
        cache_logger_on_first_use=True,
    )


class Health:
    """Whether this process is ready for work; `/healthz` answers 503 until it is."""

    def __init__(self) -> None:
        self._ready = threading.Event()

    def ready(self) -> None:
        """Marks the process ready."""
        self._ready.set()

    @property
    def is_ready(self) -> bool:
        """Whether `ready` was called."""
        return self._ready.is_set()


def serve_telemetry(host: str, port: int, health: Health) -> int:
    """Serves `/metrics` and `/healthz` from a daemon thread and returns the port (0 picks a free one)."""

    class Endpoint(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(REGISTRY))
            elif self.path == "/healthz":
                ready = health.is_ready
                self._answer(200 if ready else 503, "text/plain", b"ready\n" if ready else b"starting\n")
            else:
                self._answer(404, "text/plain", b"not found: try /metrics or /healthz\n")

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Scrapes are not worth a log line each."""

    server = ThreadingHTTPServer((host, port), Endpoint)
    threading.Thread(target=server.serve_forever, name="telemetry", daemon=True).start()
    return int(server.server_address[1])
