"""What every long-running Vitals process does alike: settings, logs, telemetry, and a clean end on a signal."""

import gc
import signal
import threading
from types import FrameType

import structlog

from vitals.settings import Settings, load_settings
from vitals.telemetry import Health, configure_logging, serve_telemetry

log = structlog.get_logger()


def start_process(name: str) -> tuple[Settings, Health, threading.Event]:
    """Settings, health and the event that a SIGTERM or SIGINT sets.

    Raises:
        UserError: a setting is wrong.
    """
    settings = load_settings()
    configure_logging(settings)
    structlog.contextvars.bind_contextvars(process=name)
    health = Health()
    port = serve_telemetry(settings.host, settings.metrics_port, health)
    stopping = threading.Event()

    def stop(signal_number: int, frame: FrameType | None) -> None:
        del frame
        log.info("stopping", signal=signal.Signals(signal_number).name)
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log.info("started", metrics_port=port)
    return settings, health, stopping


def tune_collector() -> None:
    """Lets Python's cycle collector run rarely: batches of messages and what is decoded of them are many objects
    without cycles, freed by reference counts alone, and walking them again and again halves the speed of a bulk load.
    """
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)
