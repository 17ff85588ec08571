"""Tells the user how a download goes: a bar on a terminal, a line at start and end elsewhere."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn


class DownloadProgress(Protocol):
    """Told of every piece that arrives, from several threads."""

    def advance(self, size: int) -> None:
        """So many bytes more have arrived."""


class _Bar:
    def __init__(self, progress: Progress, group: str, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task(f"Downloading {group}", total=total)

    def advance(self, size: int) -> None:
        self._progress.advance(self._task, size)


class _Silent:
    def advance(self, size: int) -> None:
        del size


class CancellableProgress:
    """Passes progress on until it is cancelled; then it breaks off the downloads that report to it."""

    def __init__(self, progress: DownloadProgress) -> None:
        self._progress = progress
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """From now on `advance` raises InterruptedError, in whichever thread downloads."""
        self._cancelled.set()

    def advance(self, size: int) -> None:
        """So many bytes more have arrived."""
        if self._cancelled.is_set():
            raise InterruptedError("the download was cancelled")
        self._progress.advance(size)


@contextmanager
def download_progress(group: str, files: int, total_bytes: int) -> Iterator[DownloadProgress]:
    """Shows progress on standard error for as long as the block runs."""
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            yield _Bar(progress, group, total_bytes)
        return
    started = time.monotonic()
    sys.stderr.write(f"Downloading {group}: {files} file{'s' * (files > 1)}, {total_bytes / 1e6:.0f} MB\n")
    yield _Silent()
    sys.stderr.write(f"Downloaded {group} in {time.monotonic() - started:.0f} s\n")
