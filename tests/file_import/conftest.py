"""Parts with topics, schemas and tables, and the same rows in every format."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import yaml

from connectors.file_import.mapping import FileMapping, load_mapping
from connectors.file_import.stream import ImportFile
from connectors.file_import.tables import open_table
from schemas.bootstrap import bootstrap
from sinks.timescale.bootstrap import bootstrap as create_tables
from vitals.settings import Settings

COLUMNS = ("id", "at", "crm", "person", "lines", "what")


def mapping_of(name: str) -> dict[str, Any]:
    """A mapping of COLUMNS."""
    return {
        "name": name,
        "kind": "product.feature_used",
        "event_time": {"column": "at", "zone": "Europe/Lisbon"},
        "account": {"column": "crm"},
        "user": "person",
        "value": "lines",
        "source_id": "id",
        "properties": {"feature": "what"},
    }


def row(number: int, **more: Any) -> dict[str, Any]:
    """A row that is valid."""
    return {
        "id": f"r{number}",
        "at": f"2026-07-{number % 28 + 1:02d}T10:00:00",
        "crm": f"acme-{number % 7}",
        "person": f"u{number % 5}",
        "lines": number,
        "what": "search",
        **more,
    }


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """The rows in the format of the extension."""
    if path.suffix == ".jsonl":
        path.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    elif path.suffix == ".parquet":
        pyarrow.parquet.write_table(pa.Table.from_pylist(rows), path)
    else:
        lines = [",".join(COLUMNS), *(",".join(str(row[name]) for name in COLUMNS) for row in rows)]
        path.write_text("\n".join(lines))
    return path


def write_mapping(path: Path, told: Mapping[str, Any]) -> FileMapping:
    """The mapping by way of its file."""
    path.write_text(yaml.safe_dump(dict(told)))
    return load_mapping(path)


Prepare = Callable[..., ImportFile]


@pytest.fixture
def import_file(tmp_path: Path) -> Prepare:
    """Makes a file and its mapping."""

    def prepare(name: str, rows: list[dict[str, Any]], suffix: str = ".csv", **told: Any) -> ImportFile:
        table = open_table(write(tmp_path / f"{name}{suffix}", rows))
        mapping = write_mapping(tmp_path / f"{name}.yaml", mapping_of(name) | told)
        return ImportFile(table.path, table, mapping, table.digest())

    return prepare


@pytest.fixture(scope="session")
def prepared(settings: Settings) -> Settings:
    """Settings of parts that are ready, without an identity source: every company is its own account."""
    bootstrap(settings)
    create_tables(settings)
    return settings.model_copy(update={"connectors": "collect"})
