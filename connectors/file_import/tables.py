"""Files as rows: CSV, JSONL and Parquet, read in order without holding them in memory."""

import csv
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from vitals.errors import UserError

LONGEST_FIELD = 1024 * 1024
_PARQUET_ROWS = 1_000


class Table(ABC):
    """One file. A row is a JSON object by column; anything else is a row that cannot be read, for `reason` to say."""

    extensions: ClassVar[tuple[str, ...]]

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...] | None:
        """The columns that the file declares; None where each row has its own."""

    @abstractmethod
    def rows(self) -> Iterator[Any]:
        """Every row from the first, each JSON.

        Raises:
            UserError: the file's structure is broken, so that the following rows cannot be found.
        """

    @abstractmethod
    def reason(self, row: Any) -> str:
        """Why a row that is no object cannot be read."""

    def digest(self) -> str:
        """SHA-256 of the content, in hexadecimal."""
        with self.path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()


class CsvTable(Table):
    """Comma-separated values, UTF-8, with a header."""

    extensions = ("csv",)

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        header = next(self._lines(), None)
        if header is None:
            raise UserError(f"{path} is empty: a CSV file begins with a header that names its columns.")
        if not _encodable(",".join(header)):
            raise UserError(f"{path} is not UTF-8 text: convert it first.")
        repeated = sorted({name for name in header if header.count(name) > 1})
        if repeated:
            raise UserError(f"{path} has more than one column called {repeated[0]!r}: rename one of them.")
        self._header = tuple(header)

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the header."""
        return self._header

    def rows(self) -> Iterator[Any]:
        """Fields by column; the list of fields where their number is wrong, text where it is no UTF-8."""
        lines = self._lines()
        next(lines)
        for fields in lines:
            if not fields:
                continue
            whole = ",".join(fields)
            if not _encodable(whole):
                yield whole.encode(errors="replace").decode()
            elif len(fields) != len(self._header):
                yield fields
            else:
                yield dict(zip(self._header, fields, strict=True))

    def reason(self, row: Any) -> str:
        """What the row is instead of fields."""
        if isinstance(row, list):
            return f"has {len(row)} fields where the header has {len(self._header)}."
        return "is not UTF-8 text."

    def _lines(self) -> Iterator[list[str]]:
        csv.field_size_limit(LONGEST_FIELD)
        with self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as content:
            reader = csv.reader(content, strict=True)
            try:
                yield from reader
            except csv.Error as error:
                raise UserError(f"{self.path} is not CSV after line {reader.line_num}: {error}.") from error


class JsonLinesTable(Table):
    """A JSON object on each line."""

    extensions = ("jsonl", "ndjson")

    @property
    def columns(self) -> None:
        """Each object has its own."""
        return None

    def rows(self) -> Iterator[Any]:
        """The object of each line; its text where it is none."""
        with self.path.open("rb") as content:
            for line in content:
                if not line.strip():
                    continue
                try:
                    value = orjson.loads(line)
                    orjson.dumps(value)  # Nested deeper than can be written again.
                except (orjson.JSONDecodeError, orjson.JSONEncodeError):
                    value = None
                yield value if isinstance(value, dict) else line.decode(errors="replace").strip()

    def reason(self, row: Any) -> str:
        """What the line is instead of an object."""
        try:
            orjson.loads(row)
        except orjson.JSONDecodeError as error:
            return f"is not JSON: {error}."
        return "is not a JSON object in UTF-8."


class ParquetTable(Table):
    """Apache Parquet. Values that JSON does not have become text."""

    extensions = ("parquet",)

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            with pq.ParquetFile(path) as table:
                self._names = tuple(table.schema_arrow.names)
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{path} is not a Parquet file: {error}") from error

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the schema."""
        return self._names

    def rows(self) -> Iterator[Any]:
        """Each row's values by column."""
        try:
            with pq.ParquetFile(self.path) as table:
                for batch in table.iter_batches(_PARQUET_ROWS):
                    for row in batch.to_pylist():
                        yield {name: _json(value) for name, value in row.items()}
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{self.path} cannot be read to its end: {error}") from error

    def reason(self, row: Any) -> str:
        """A Parquet file's rows are whole, or the file cannot be read."""
        return f"is not a row: {row!r}."


FORMATS: Mapping[str, type[Table]] = MappingProxyType(
    {"csv": CsvTable, "jsonl": JsonLinesTable, "parquet": ParquetTable}
)


def open_table(path: Path, file_format: str | None = None) -> Table:
    """The file as a table, by its extension or by the named format.

    Raises:
        UserError: absent, of an unknown format, or unreadable.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist, or is no file.")
    extension = path.suffix.lower().removeprefix(".")
    for name, table in FORMATS.items():
        if name == file_format or (file_format is None and extension in table.extensions):
            return table(path)
    raise UserError(
        f"{path} has no extension that tells its format: name it with --format, one of {', '.join(FORMATS)}."
    )


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _json(value: Any) -> Any:
    """A value as JSON has it."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else None  # not a number, or infinite
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [_json(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _json(item) for key, item in value.items()}
    return str(value)
