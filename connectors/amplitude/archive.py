"""One export: a zip of gzipped JSON lines, spooled to disk and read through once before any of it is handed out."""

import hashlib
import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any, NamedTuple

import httpx
import orjson

from connectors.amplitude.mapping import OBJECT_TYPE, stored_id
from connectors.contract import RawObject
from connectors.http import TruncatedBodyError
from vitals.errors import FatalError

Place = tuple[str, int, str]
"""Name of a member, how many of its lines were handed out, and the source id of the last of them."""

_IN_MEMORY_BYTES = 16 * 1024 * 1024
# At gzip's greatest ratio of about 1,000 this unpacks to 32 MB.
_CHUNK_BYTES = 32 * 1024
_GZIP = 31
_SUFFIX = ".json.gz"
_EMPTY_ZIP = b"PK\x05\x06" + bytes(18)
# `{project}_{day}_{hour}#{partition}`, the hour not padded; before 2014-11-12 files hold a day and name no hour.
_NAME = re.compile(r"_(\d{4}-\d\d-\d\d)(?:_(\d+))?(?:#(\d+))?\.json\.gz$")
# What zipfile and zlib trip over when bytes are missing or overwritten.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    struct.error,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
)


class LostPlaceError(Exception):
    """This export of a window has not the events of an earlier one in the same places."""


class _Event(NamedTuple):
    place: Place
    raw: RawObject


class ExportArchive:
    """The events of one export, in the order of hours and partitions. Memory holds a chunk of lines at a time."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        """Spools and checks everything: the zip's directory, and every member to its end.

        Raises:
            TruncatedBodyError: bytes are missing or wrong; nothing of the export may be used.
            FatalError: it holds a file of a kind that nobody told us of.
        """
        self._spool = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - outlives this call
        self._rest: Iterator[_Event] | None = None
        self._next: _Event | None = None
        self._place: Place | None = None
        try:
            self._spool.writelines(chunks)
            self._members = self._checked()
        except _DAMAGE as error:
            self._spool.close()
            raise TruncatedBodyError(f"Amplitude's export came damaged: {type(error).__name__}: {error}") from error
        except BaseException:
            self._spool.close()
            raise

    @classmethod
    def empty(cls) -> "ExportArchive":
        """An export without events."""
        return cls((_EMPTY_ZIP,))

    def after(self, place: Place | None, count: int) -> tuple[list[RawObject], Place | None]:
        """Up to `count` events that follow `place`, and the place of the last one where more follow.

        Raises:
            LostPlaceError: no event with that id is at `place`.
        """
        if self._rest is None or place != self._place:
            self._rest = None
            rest = self._events(place)
            self._next = next(rest, None)
            self._rest, self._place = rest, place
        found: list[RawObject] = []
        while self._next is not None and len(found) < count:
            self._place = self._next.place
            found.append(self._next.raw)
            self._next = next(self._rest, None)
        return found, self._place if self._next is not None else None

    def close(self) -> None:
        """Removes the spool."""
        self._rest = None
        self._spool.close()

    def _checked(self) -> list[zipfile.ZipInfo]:
        with zipfile.ZipFile(self._spool) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            for member in members:
                if not member.filename.endswith(_SUFFIX):
                    raise FatalError(f"Amplitude's export holds {member.filename}, which is no {_SUFFIX} file.")
                with archive.open(member) as packed:
                    for _ in _unpacked(packed):
                        pass
        return sorted(members, key=lambda member: _order(member.filename))

    def _events(self, place: Place | None) -> Iterator[_Event]:
        members = self._members
        if place is not None:
            names = [member.filename for member in members]
            if place[0] not in names:
                raise LostPlaceError(f"The export has no member {place[0]} any more.")
            members = members[names.index(place[0]) :]
        with zipfile.ZipFile(self._spool) as archive:
            for member in members:
                taken = place[1] if place is not None and member.filename == place[0] else 0
                with archive.open(member) as packed:
                    for number, line in enumerate(_lines(packed), start=1):
                        if number < taken or not line or line.isspace():
                            continue
                        raw = _raw(line)
                        if number > taken:
                            yield _Event((member.filename, number, raw.source_id), raw)
                        elif place is not None and raw.source_id != place[2]:
                            raise LostPlaceError(f"Line {number} of {place[0]} is not the event {place[2]} any more.")


def read_archive(response: httpx.Response) -> ExportArchive:
    """The archive of a streamed answer."""
    return ExportArchive(response.iter_bytes())


def _unpacked(packed: IO[bytes]) -> Iterator[bytes]:
    """What a gzip file holds, in parts. Its checksum has been compared when the last of them has come."""
    inflate, begun = zlib.decompressobj(_GZIP), False
    while part := packed.read(_CHUNK_BYTES):
        begun = True
        while part:
            if inflate.eof:
                # Several gzip streams may follow each other, and zeros may fill up the file.
                part = part.lstrip(b"\0")
                if not part:
                    break
                inflate = zlib.decompressobj(_GZIP)
            if unpacked := inflate.decompress(part):
                yield unpacked
            part = inflate.unused_data
    if begun and not inflate.eof:
        raise EOFError("a gzip member ends too early")


def _lines(packed: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    for part in _unpacked(packed):
        *whole, rest = (rest + part).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _raw(line: bytes) -> RawObject:
    body: Any
    try:
        body = orjson.loads(line)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, Mapping):
        return RawObject(OBJECT_TYPE, hashlib.sha256(line).hexdigest()[:36], line.decode(errors="replace"))
    return RawObject(OBJECT_TYPE, stored_id(body), body, line)


def _order(name: str) -> tuple[str, int, int, str]:
    """By day, hour and partition, whatever folder a member is in."""
    found = _NAME.search(name)
    if found is None:
        return ("", -1, -1, name)
    return (found[1], int(found[2] or -1), int(found[3] or -1), name)
