"""Reads a log as it grows, for `vitals logs -f`."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

POLL_SECONDS = 0.2


def follow(path: Path, from_end: bool = True, sleep: Callable[[float], None] = time.sleep) -> Iterator[str]:
    """Yields text as it is appended, for ever; goes on with the new file after the log was moved aside."""
    file = path.open(errors="replace")
    try:
        if from_end:
            file.seek(0, os.SEEK_END)
        while True:
            text = file.read()
            if text:
                yield text
                continue
            sleep(POLL_SECONDS)
            if path.exists() and not os.path.samestat(path.stat(), os.fstat(file.fileno())):
                file.close()
                file = path.open(errors="replace")
    finally:
        file.close()
