"""Dead letters as people look for them: where each came from, what its original says, which are repaired. Pure."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from vitals.avro import Record
from vitals.errors import UserError

HEX_BYTES_A_LINE = 32
HEX_LINES = 64


@dataclass(frozen=True, slots=True)
class Position:
    """Where a dead letter lies on its topic, which is its id: `partition/offset`."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """From its text.

        Raises:
            UserError: it is none.

        >>> str(Position.parse("3/17"))
        '3/17'
        """
        partition, slash, offset = text.partition("/")
        if not slash or not partition.isdecimal() or not offset.isdecimal():
            raise UserError(
                f"{text} is not a dead letter's position such as 3/17: `vitals dead-letters list` shows them."
            )
        return cls(int(partition), int(offset))


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter. `place` is the stream (stage connector) or the topic that it came from."""

    position: Position
    record: Record

    @property
    def stage(self) -> str:
        """connector, rollup, scoring or sink."""
        return str(self.record["stage"])

    @property
    def place(self) -> str:
        """The stream or the topic."""
        return str(self.record["origin"]).partition("/")[0]

    @property
    def set_aside_at(self) -> datetime:
        """Wall clock."""
        moment: datetime = self.record["set_aside_at"]
        return moment

    def json(self, *, whole: bool = False) -> dict[str, Any]:
        """As `--json` prints it; `whole` with the original."""
        shown = {name: value for name, value in self.record.items() if name != "original"}
        shown = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in shown.items()}
        original = {"original": original_text(self.record["original"])} if whole else {}
        return {"position": str(self.position), **shown, **original}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters to show. None means any; `topic` is an input topic, or a stream's name."""

    source: str | None = None
    topic: str | None = None
    error_class: str | None = None
    since: datetime | None = None

    def __call__(self, letter: Letter) -> bool:
        """Whether a letter is one of them."""
        return (
            self.source in (None, letter.record["source"])
            and self.topic in (None, letter.place)
            and self.error_class in (None, letter.record["error_class"])
            and (self.since is None or letter.set_aside_at >= self.since)
        )


def newest_first(letters: Iterable[Letter], wanted: Callable[[Letter], bool], limit: int) -> list[Letter]:
    """The newest `limit` of the wanted letters. Holds no more than those, however many there are."""
    chosen: Iterator[Letter] = (letter for letter in letters if wanted(letter))
    return heapq.nlargest(
        limit, chosen, key=lambda letter: (letter.set_aside_at, letter.position.partition, letter.position.offset)
    )


def original_text(original: bytes) -> str:
    """An original as far as it can be read: JSON with indentation, text, or hexadecimal digits beside characters.

    >>> print(original_text(b'{"id":1}'))
    {
      "id": 1
    }
    >>> print(original_text(bytes([0, 159, 72, 105])))
    00000000  00 9f 48 69  ..Hi
    """
    try:
        return orjson.dumps(orjson.loads(original), option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError:
        pass
    try:
        text = original.decode()
    except UnicodeDecodeError:
        return _hexadecimal(original)
    return (
        text if text.isprintable() or not any(_is_control(character) for character in text) else _hexadecimal(original)
    )


def _is_control(character: str) -> bool:
    return ord(character) < 32 and character not in "\t\r\n"


def _hexadecimal(original: bytes) -> str:
    lines = []
    for start in range(0, min(len(original), HEX_BYTES_A_LINE * HEX_LINES), HEX_BYTES_A_LINE):
        part = original[start : start + HEX_BYTES_A_LINE]
        characters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{start:08x}  {part.hex(' ')}  {characters}")
    left = len(original) - HEX_BYTES_A_LINE * HEX_LINES
    return "\n".join([*lines, f"… and {left} bytes more"] if left > 0 else lines)
