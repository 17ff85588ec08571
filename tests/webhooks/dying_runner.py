"""`python -m tests.webhooks.dying_runner STREAM`: a runner that is killed between producing events and their commit."""

import os
import signal
import sys
import threading
from typing import Any

from confluent_kafka import Producer

from connectors.identities import IdentityIndex
from connectors.runner import StreamRunner
from connectors.writer import StreamWriter
from tests.webhooks.streams import NoticedStream
from vitals.avro import AvroSerde, Registry
from vitals.clock import WallClock
from vitals.settings import load_settings


def main(name: str) -> None:
    """Runs the stream; its first transaction with events is written to the brokers and never committed."""
    produce = StreamWriter._events

    def events(self: StreamWriter, found: Any) -> None:
        produce(self, found)
        if found:
            client = self._producer
            assert isinstance(client, Producer)
            client.flush(10)
            os.kill(os.getpid(), signal.SIGKILL)

    StreamWriter._events = events  # type: ignore[method-assign]
    settings = load_settings()
    serde = AvroSerde(Registry(settings.registry_url))
    index = IdentityIndex(has_identity_source=False, followed=False)
    StreamRunner(NoticedStream(name), settings, serde, WallClock(), index, threading.Event()).run()


if __name__ == "__main__":
    main(sys.argv[1])
