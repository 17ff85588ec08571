"""A refresh token that its vendor may replace at every use, kept over restarts in a file that only its owner reads.

The vendor forgets the old token the moment it gives a new one. So the new one is on the disk before it is used, and
refreshing is done by one process at a time.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from vitals.errors import FatalError


class KeptToken:
    """The token in force: the newest that the vendor gave, or `first` where none was kept for it.

    `first` is what somebody configured. A newly configured one takes the place of what the old one had grown into.
    """

    def __init__(self, path: Path, first: str) -> None:
        self._path = path
        self._first = first
        self._fingerprint = hashlib.sha256(first.encode()).hexdigest()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Holds the right to refresh against other processes. Fails before anything is asked where the folder is not
        writable, because a token that cannot be kept is lost.

        Raises:
            FatalError: the folder cannot be written to.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise FatalError(
                f"Refresh tokens cannot be kept in {self._path.parent} ({error.strerror}): set VITALS_STATE_DIR to a "
                "folder that this process may write to."
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def current(self) -> str:
        """The token to use now; read anew each time, because another process may have refreshed.

        Raises:
            FatalError: the file is there and cannot be read.
        """
        try:
            kept = orjson.loads(self._path.read_bytes())
            return str(kept["token"]) if kept["first"] == self._fingerprint else self._first
        except (FileNotFoundError, orjson.JSONDecodeError, KeyError, TypeError):
            return self._first
        except OSError as error:
            raise FatalError(f"{self._path} cannot be read ({error.strerror}): make it this process's own.") from error

    def replace(self, token: str) -> None:
        """Keeps a new token; when this returns it survives a crash of the machine.

        Raises:
            FatalError: it cannot be written.
        """
        written = self._path.with_suffix(".new")
        try:
            file = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                os.write(file, orjson.dumps({"first": self._fingerprint, "token": token}))
                os.fsync(file)
            finally:
                os.close(file)
            written.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise FatalError(
                f"The new refresh token cannot be kept in {self._path} ({error.strerror}): make room, then authorize "
                "the application again."
            ) from error
