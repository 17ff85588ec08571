"""A file as a stream of pages, with its position in the stream's state."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from connectors.contract import Json, Mapped, Page, RawObject, State, Stream
from connectors.fates import PageOutcome, mapped_id
from connectors.file_import.mapping import FileMapping
from connectors.file_import.survey import SOURCE, read_row, row_id
from connectors.file_import.tables import Table
from vitals.errors import BadRecordError

PAGE_ROWS = 1_000
FILE = "file/"


@dataclass(frozen=True, slots=True)
class Position:
    """How far a file is imported, and what became of its rows: rows = the sum of the four fates."""

    rows: int = 0
    published: int = 0
    already_known: int = 0
    quarantined: int = 0
    dead_lettered: int = 0
    done: bool = False

    @classmethod
    def read(cls, entry: Json) -> "Position":
        """From its JSON form; None is the beginning."""
        return cls() if entry is None else cls(**entry)

    def json(self) -> Json:
        """As it is stored."""
        return asdict(self)

    def after(self, outcome: PageOutcome) -> "Position":
        """With the rows of a page. Every row is one event or one dead letter."""
        quarantined = sum(record.record_name == "QuarantinedEvent" for record in outcome.set_aside)
        return replace(
            self,
            rows=self.rows + len(outcome.objects),
            published=self.published + len(outcome.events),
            already_known=self.already_known + outcome.refetched,
            quarantined=self.quarantined + quarantined,
            dead_lettered=self.dead_lettered + len(outcome.set_aside) - quarantined,
        )


@dataclass(frozen=True, slots=True)
class ImportFile:
    """A file and its mapping."""

    path: Path
    table: Table
    mapping: FileMapping
    digest: str

    @property
    def entry(self) -> str:
        """Entry of the stream's state: another mapping of the same content is another import."""
        return f"{FILE}{self.digest[:32]}/{self.mapping.fingerprint[:16]}"

    @property
    def stream(self) -> str:
        """Name of the stream."""
        return f"{SOURCE}.{self.mapping.name}"


class ImportStream(Stream):
    """`import.<name>`. It keeps its place in the file; `seen` are the ids of the rows before it."""

    source = SOURCE

    def __init__(self, file: ImportFile, topics: tuple[str, ...]) -> None:
        self.name = file.stream
        self.topics = topics
        self.seen: set[str] = set()
        self._file = file
        self._rows: Iterator[tuple[int, Any]] | None = None

    def fetch(self, state: State) -> Page:
        """The next rows after the position; fewer than a page at the file's end."""
        if self._rows is None:
            self._rows = enumerate(self._file.table.rows(), 1)
            self._pass(Position.read(state.get(self._file.entry)).rows)
        objects = [self._raw(number, row) for number, row in islice(self._rows, PAGE_ROWS)]
        return Page(objects, {}, None, more=len(objects) == PAGE_ROWS)

    def map(self, raw: RawObject, state: State) -> Mapped:
        """One row as one event."""
        del state
        number = int(raw.source_id.rpartition(":")[2])
        event = read_row(self._file.table, self._file.mapping, raw.body, number, raw.source_id)
        return Mapped(events=(event,))

    def _pass(self, imported: int) -> None:
        """Reads over what is imported, for the ids that later rows may repeat."""
        assert self._rows is not None
        for number, row in islice(self._rows, imported):
            try:
                mapped = self.map(self._raw(number, row), {})
            except BadRecordError:
                continue
            self.seen.add(mapped_id(SOURCE, mapped.events[0]))

    def _raw(self, number: int, row: Any) -> RawObject:
        return RawObject(self._file.mapping.name, row_id(self._file.digest, number), row)
