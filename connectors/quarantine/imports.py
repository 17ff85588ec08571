"""Drives again what imports have in quarantine: an import ends, so no process watches for its claims."""

from collections.abc import Iterable

from connectors.fates import COUNTS
from connectors.file_import.survey import SOURCE
from connectors.identities import IdentityIndex
from connectors.quarantine.redrive import Redriver
from connectors.writer import StreamWriter
from vitals.avro import AvroSerde
from vitals.clock import WallClock
from vitals.settings import Settings


def is_import(stream: str) -> bool:
    """Whether a stream is a file import's."""
    return stream.startswith(f"{SOURCE}.")


def drive_imports(
    settings: Settings, serde: AvroSerde, index: IdentityIndex, streams: Iterable[str], only: str | None = None
) -> dict[str, int]:
    """Drives what is decided by now; how many events of each stream. An import that runs now begins its page again.

    Raises:
        RetriableError: the brokers did not take a transaction; run it again, what was driven stays so.
    """
    driven = {}
    for stream in streams:
        # A retired stream holds no watermark, and what it drives again speaks for no time.
        writer = StreamWriter(settings, serde, WallClock(), SOURCE, stream, ())
        writer.open()
        before = _published(writer)
        redriver = Redriver(settings, serde, WallClock(), index, only)
        while redriver.turn(writer):
            pass
        driven[stream] = _published(writer) - before
    return driven


def _published(writer: StreamWriter) -> int:
    return sum(fates.get("published", 0) for fates in writer.state.get(COUNTS, {}).values())
