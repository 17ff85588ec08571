"""The PostgreSQL side of the sink: rows and positions in one transaction."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from sinks.delivery import RECORD_OF, Delivery, Source, Step
from sinks.destination import PositionTakenError
from sinks.timescale.rows import parameters, rows_of
from sinks.timescale.statements import statements
from vitals.errors import BadRecordError, FatalError, RetriableError

NAME = "timescale"
QUERIES = statements(Path(__file__).with_name("queries.sql"))
CONNECT_SECONDS = 5


@contextmanager
def psycopg_faults() -> Iterator[None]:
    """Raises the driver's errors as Vitals' own, grouped by what to do next."""
    try:
        yield
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        raise BadRecordError(f"PostgreSQL refuses the record: {_first_line(error)}") from error
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        raise FatalError(f"The schema is not up to date, run `vitals bootstrap`: {_first_line(error)}") from error
    except psycopg.Error as error:
        raise RetriableError(f"PostgreSQL: {_first_line(error)}") from error


class TimescaleDestination:
    """Tables of PostgreSQL, with or without TimescaleDB. See `Destination`."""

    name = NAME
    topics = tuple(RECORD_OF)

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: psycopg.Connection[Any] | None = None

    def claim(self, lowest: Mapping[Source, int]) -> dict[Source, int]:
        """The stored next offset of each source; the lowest of the log is stored where there is none."""
        named = self._named(lowest) | {"lowest": list(lowest.values())}
        with psycopg_faults(), self._open().transaction():
            self._open().execute(QUERIES["claim_offsets"], named)
            found = self._open().execute(QUERIES["read_offsets"], named)
            return {Source(topic, partition): next_offset for topic, partition, next_offset in found}

    def apply(self, deliveries: Sequence[Delivery], steps: Mapping[Source, Step]) -> dict[str, int]:
        """Applies a batch in one transaction. Returns rows by table."""
        rows = rows_of(deliveries)
        moves = self._named(steps) | {
            "expected": [step.expected for step in steps.values()],
            "next_offsets": [step.next_offset for step in steps.values()],
        }
        connection = self._open()
        with psycopg_faults(), connection.transaction():
            # First, because it locks the rows: a sink that lost its partition stops here, before it has done any work.
            if connection.execute(QUERIES["move_offsets"], moves).rowcount != len(steps):
                raise PositionTakenError(f"a position of {', '.join(sorted({s.topic for s in steps}))} was moved")
            for table, by_key in rows.items():
                connection.execute(QUERIES[f"upsert_{table}"], parameters(table, by_key.values()))
        return {table: len(by_key) for table, by_key in rows.items()}

    def check(self) -> None:
        """Raises RetriableError when the connection is gone."""
        with psycopg_faults():
            self._open().execute("select")

    def close(self) -> None:
        """Lets the connection go."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            with psycopg_faults():
                self._connection = psycopg.connect(self._dsn, autocommit=True, connect_timeout=CONNECT_SECONDS)
                # A crash of the server may take the last transactions, but each takes its rows and its offset along:
                # the sink then starts from the older offset and writes the same rows again. So no commit waits for
                # the disk.
                self._connection.execute("set synchronous_commit = off")
        return self._connection

    def _named(self, sources: Mapping[Source, object]) -> dict[str, Any]:
        return {
            "sink": self.name,
            "topics": [source.topic for source in sources],
            "partitions": [source.partition for source in sources],
        }


def _first_line(error: psycopg.Error) -> str:
    return str(error).partition("\n")[0]
