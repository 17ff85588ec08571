"""One export of whole days: spooled to disk, checked for its end, in a fixed order whatever order Mixpanel chose."""

import hashlib
import tempfile
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import orjson

from connectors.contract import RawObject
from connectors.http import TruncatedBodyError
from connectors.mixpanel.mapping import OBJECT_TYPE, insert_id

Key = tuple[float, str, str, str]
"""Time, insert id, distinct id, name: Mixpanel's key of an event, in the order in which a window is handed out."""

_TERMINATED_EARLY = b"terminated early"
_IN_MEMORY_BYTES = 16 * 1024 * 1024


class ExportWindow:
    """The lines of one export, each key once. `doubts` is not empty where the body may have been damaged on its way."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        """Reads every line.

        Raises:
            TruncatedBodyError: the export says or shows that it ended early; nothing of it may be used.
        """
        self._spool = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - outlives this call
        index: dict[Key, tuple[int, int]] = {}
        self.doubts: frozenset[str] = frozenset()
        try:
            self._read(lines, index)
        except BaseException:
            self._spool.close()
            raise
        self._keys = sorted(index)
        self._places = [index[key] for key in self._keys]

    def __len__(self) -> int:
        return len(self._keys)

    def after(self, key: Key | None, count: int) -> tuple[list[RawObject], Key | None]:
        """Up to `count` events that follow `key`, and the key of the last one where more follow."""
        first = 0 if key is None else bisect_right(self._keys, key)
        until = min(first + count, len(self._keys))
        found = [self._object(place) for place in range(first, until)]
        return found, self._keys[until - 1] if until < len(self._keys) else None

    def close(self) -> None:
        """Removes the spool."""
        self._spool.close()

    def _object(self, place: int) -> RawObject:
        offset, length = self._places[place]
        self._spool.seek(offset)
        line = self._spool.read(length)
        body = _parsed(line)
        if body is None:
            return RawObject(OBJECT_TYPE, self._keys[place][1], line.decode(errors="replace"))
        return RawObject(OBJECT_TYPE, self._keys[place][1], body, line)

    def _read(self, lines: Iterator[bytes], index: dict[Key, tuple[int, int]]) -> None:
        offset, broken, unreadable, ended = 0, b"", list[bytes](), True
        for ended_line in lines:
            line, ended = ended_line.rstrip(b"\r\n"), ended_line.endswith(b"\n")
            if line == _TERMINATED_EARLY:
                raise TruncatedBodyError("Mixpanel terminated the export early.")
            body = _parsed(line) if line else None
            if body is None and broken:
                # Rarely one record comes split over two lines.
                joined = broken + line
                body = _parsed(joined)
                if body is not None:
                    line, broken = joined, b""
            if body is None:
                if broken:
                    unreadable.append(broken)
                broken = line
                continue
            if broken:
                unreadable.append(broken)
                broken = b""
            offset = self._add(index, _key(body, line), line, offset)
        if broken and not ended:
            # However often it comes so: two answers that were cut in the same place agree, and are still cut.
            raise TruncatedBodyError("Mixpanel's export ends in the middle of a line.")
        unreadable += [broken] if broken else []
        for line in unreadable:
            offset = self._add(index, _key(None, line), line, offset)
        self.doubts = frozenset(_digest(line) for line in unreadable) | (frozenset() if ended else {"unended"})

    def _add(self, index: dict[Key, tuple[int, int]], key: Key, line: bytes, offset: int) -> int:
        if key in index:
            return offset
        self._spool.write(line)
        index[key] = (offset, len(line))
        return offset + len(line)


def read_window(response: httpx.Response) -> ExportWindow:
    """The window of a streamed answer."""
    return ExportWindow(_lines(response))


def _lines(response: httpx.Response) -> Iterator[bytes]:
    """Lines with their end, split at line feeds only: JSON text may hold every other separator."""
    rest = b""
    for chunk in response.iter_bytes():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if rest:
        yield rest


def _parsed(line: bytes) -> Any | None:
    try:
        body = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, Mapping) else None


def _key(body: Any | None, line: bytes) -> Key:
    if body is None:
        return (-1.0, _digest(line), "", "")
    properties = body.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    time = properties.get("time")
    return (
        float(time) if isinstance(time, int | float) else -1.0,
        insert_id(body),
        str(properties.get("distinct_id")),
        str(body.get("event")),
    )


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()[:36]
