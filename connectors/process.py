"""The connectors' process: the identity index in one thread, every stream in one of its own."""

import threading

from connectors.catalogue import require_connectors, streams_of
from connectors.identities import IdentityIndex, follow_identities
from connectors.runner import StreamRunner
from vitals.avro import AvroSerde, Registry
from vitals.clock import WallClock
from vitals.process import start_process, tune_collector


def run_connectors(names: tuple[str, ...]) -> None:
    """Runs the named connectors, or every enabled one that is polled, until a signal ends the process.

    Raises:
        UserError: no such connector, or its credentials are missing.
    """
    settings, health, stopping = start_process("connect")
    require_connectors(names)
    enabled = streams_of(settings, settings.enabled_connectors)
    streams = streams_of(settings, names) if names else enabled
    serde = AvroSerde(Registry(settings.registry_url))
    index = IdentityIndex(has_identity_source=any(stream.identity_source for stream in enabled))
    threads = [
        threading.Thread(target=follow_identities, args=(settings, serde, index, stopping), name="identities"),
        *(
            threading.Thread(
                target=StreamRunner(stream, settings, serde, WallClock(), index, stopping).run, name=stream.name
            )
            for stream in streams
        ),
    ]
    for thread in threads:
        thread.daemon = True
        thread.start()
    tune_collector()
    health.ready()
    while not stopping.wait(1.0):
        dead = [thread.name for thread in threads if not thread.is_alive()]
        if dead:
            # A stream's thread ends only by a defect: end the process, so that its supervisor starts it afresh.
            raise SystemExit(f"vitals: the thread of {', '.join(dead)} ended unexpectedly; see the log.")
    for thread in threads:
        thread.join(15.0)
