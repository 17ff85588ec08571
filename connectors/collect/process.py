"""The collect process: a thread each for the HTTP server, the committer, webhooks, identities and the source clock."""

import contextlib
import socket
import threading

import uvicorn

from connectors.catalogue import identity_source_enabled, webhooks_of
from connectors.collect.app import create_app
from connectors.collect.committer import CollectStream, Committer
from connectors.collect.inbox import Inbox
from connectors.collect.source_time import SourceTime
from connectors.identities import IdentityIndex, follow_identities
from connectors.webhooks.deliveries import RECORD, WEBHOOKS, DeliveryWriter
from connectors.webhooks.endpoint import WebhookEndpoint
from vitals.avro import AvroSerde, Registry
from vitals.clock import WallClock
from vitals.errors import RetriableError, UserError
from vitals.process import start_process

DRAIN_SECONDS = 9
"""Longest wait for the requests of a server that stops: a little more than a request waits for its commit."""


def run_collect() -> None:
    """Serves until a signal ends the process; requests in hand are answered first.

    Raises:
        UserError: the port is taken, or a setting is wrong.
        FatalError: the schemas are not registered.
    """
    settings, health, stopping = start_process("collect")
    registry = Registry(settings.registry_url)
    serde = AvroSerde(registry)
    with contextlib.suppress(RetriableError):  # The committer waits for the registry and says so.
        for record_name in ("Event", "Progress"):
            registry.writer_id(CollectStream.topics[0], record_name)
        registry.writer_id(WEBHOOKS, RECORD)
    listening = _listen(settings.host, settings.collect_port)
    source_time = SourceTime(settings.source_clock_url)
    inbox = Inbox(source_time)
    index = IdentityIndex(has_identity_source=identity_source_enabled(settings))
    stream = CollectStream(
        inbox, settings.pseudonym_key.get_secret_value().encode(), correct_skew=not source_time.simulated
    )
    committer = Committer(stream, inbox, source_time, index, settings, serde, WallClock())
    deliveries = DeliveryWriter(settings, serde)
    webhooks = WebhookEndpoint(webhooks_of(settings), deliveries, WallClock(), settings.public_collect_url)
    app = create_app(inbox, stream, settings.collect_write_key.get_secret_value(), webhooks)
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=DRAIN_SECONDS)
    )
    drained = threading.Event()
    serving = threading.Thread(target=server.run, args=([listening],), name="http")
    committing = threading.Thread(target=committer.run, args=(drained,), name="committer")
    threads = [
        threading.Thread(target=source_time.follow, args=(drained,), name="source clock"),
        threading.Thread(target=follow_identities, args=(settings, serde, index, drained), name="identities"),
        threading.Thread(target=deliveries.run, args=(drained,), name="webhooks"),
        committing,
        serving,
    ]
    for thread in threads:
        thread.daemon = True
        thread.start()
    vital = [thread for thread in threads if thread.name != "source clock" or source_time.simulated]
    while not stopping.wait(0.2):
        if committer.opened.is_set() and not health.is_ready:
            health.ready()
        dead = [thread.name for thread in vital if not thread.is_alive()]
        if dead:
            # A thread ends only by a defect: end the process, so that its supervisor starts it afresh.
            raise SystemExit(f"vitals: the thread of {', '.join(dead)} ended unexpectedly; see the log.")
    server.should_exit = True
    serving.join(DRAIN_SECONDS + 2)
    drained.set()
    committing.join(5.0)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=512
        )
    except OSError as error:
        raise UserError(
            f"The collect endpoint cannot listen on {host}:{port} ({error.strerror}): set VITALS_COLLECT_PORT or "
            "VITALS_HOST, or end what uses the port."
        ) from error
