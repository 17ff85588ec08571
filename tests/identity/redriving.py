"""A process that runs one stream as `vitals connect` does, for a test that kills it.

`python -m tests.identity.redriving`; its settings come from the environment, as those of every Vitals process.
"""

import sys
import threading

from connectors.identities import IdentityIndex, follow_identities
from connectors.quarantine import waiting
from connectors.runner import StreamRunner
from tests.runner.streams import NumberedStream
from vitals.avro import AvroSerde, Registry
from vitals.clock import WallClock
from vitals.settings import load_settings

STREAM = "test.redriven"
EVENTS = 3_000
NAMES = 40


def stream() -> NumberedStream:
    """Events of many names, none of which any identity source knows."""
    return NumberedStream(STREAM, [(number, f"lost-{number % NAMES}") for number in range(EVENTS)], page_size=200)


def run() -> None:
    """Runs until it is killed."""
    waiting.BATCH_RECORDS = 100  # many transactions, so that a kill strikes among them
    settings = load_settings()
    serde, stopping = AvroSerde(Registry(settings.registry_url)), threading.Event()
    index = IdentityIndex(has_identity_source=True)
    following = threading.Thread(target=follow_identities, args=(settings, serde, index, stopping), daemon=True)
    following.start()
    # The test is the identity source, which has spoken for all time.
    StreamRunner(stream(), settings, serde, WallClock(), index, stopping).run()


if __name__ == "__main__":
    sys.exit(run())
