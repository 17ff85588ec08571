"""A stream's runner in a thread, as `vitals connect` has it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from connectors.contract import Stream
from connectors.identities import IdentityIndex, follow_identities
from connectors.runner import StreamRunner
from vitals.avro import AvroSerde, Registry
from vitals.clock import WallClock
from vitals.settings import Settings

NEVER_SECONDS = 3_600.0
"""A pause between polls that no test lives to see the end of."""


@contextmanager
def running(settings: Settings, stream: Stream, poll_seconds: float = NEVER_SECONDS) -> Iterator[None]:
    """Runs it meanwhile; every `crm:account:` is an account."""
    stopping, index = threading.Event(), IdentityIndex(has_identity_source=False)
    serde = AvroSerde(Registry(settings.registry_url))
    runner = StreamRunner(
        stream,
        settings.model_copy(update={"poll_interval_seconds": poll_seconds}),
        serde,
        WallClock(),
        index,
        stopping,
    )
    # What earlier runs claimed is on the topic.
    follower = threading.Thread(target=follow_identities, args=(settings, serde, index, stopping), daemon=True)
    follower.start()
    thread = threading.Thread(target=runner.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(30)
        follower.join(30)
        assert not thread.is_alive()


def eventually(condition: Callable[[], bool]) -> None:
    """Waits until it holds."""
    pause = threading.Event()
    for _ in range(600):
        if condition():
            return
        pause.wait(0.1)
    raise AssertionError("it did not happen in time")
