"""The connectors' process: identities and orders are followed in a thread each, every stream runs in one of its own."""

import threading

from connectors.catalogue import require_connectors, streams_of
from connectors.conditions import ConditionBoard
from connectors.identities import IdentityIndex, follow_identities
from connectors.orders import Orders, follow_orders
from connectors.runner import StreamRunner
from connectors.watch import Watch
from vitals.avro import AvroSerde, Registry
from vitals.clock import WallClock
from vitals.errors import RetriableError
from vitals.process import start_process, tune_collector

ORDERS_SECONDS = 60.0


def run_connectors(names: tuple[str, ...]) -> None:
    """Runs the named connectors, or every enabled one that is polled, until a signal ends the process.

    Raises:
        UserError: no such connector, or its credentials are missing.
        RetriableError: Kafka does not say which streams are paused.
    """
    settings, health, stopping = start_process("connect")
    require_connectors(names)
    enabled = streams_of(settings, settings.enabled_connectors)
    streams = streams_of(settings, names) if names else enabled
    serde = AvroSerde(Registry(settings.registry_url))
    index = IdentityIndex(has_identity_source=any(stream.identity_source for stream in enabled))
    board, orders = ConditionBoard(settings, serde, WallClock()), Orders()
    followers = [
        threading.Thread(target=follow_identities, args=(settings, serde, index, stopping), name="identities"),
        threading.Thread(target=follow_orders, args=(settings, serde, orders, stopping), name="orders"),
    ]
    runners = [
        threading.Thread(
            target=StreamRunner(
                stream, settings, serde, WallClock(), index, stopping, Watch(stream, WallClock(), board.tell, orders)
            ).run,
            name=stream.name,
        )
        for stream in streams
    ]
    threads = followers + runners
    for thread in threads:
        thread.daemon = True
    for thread in followers:
        thread.start()
    # No stream that is paused fetches a page only because this process has just begun.
    if not orders.wait_read(ORDERS_SECONDS) and not stopping.is_set():
        raise RetriableError("Kafka does not say which streams are paused: was `vitals bootstrap` run?")
    for thread in runners:
        thread.start()
    tune_collector()
    health.ready()
    while not stopping.wait(1.0):
        board.give_sign()
        dead = [thread.name for thread in threads if not thread.is_alive()]
        if dead:
            # A stream's thread ends only by a defect: end the process, so that its supervisor starts it afresh.
            raise SystemExit(f"vitals: the thread of {', '.join(dead)} ended unexpectedly; see the log.")
    for thread in threads:
        if thread.ident is not None:
            thread.join(15.0)
    board.close()
