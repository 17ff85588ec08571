"""The connection pool, and the named queries in `api/sql`."""

from functools import cache
from importlib import resources
from typing import Any, LiteralString

from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

POOL_SIZE = 8
WAIT_SECONDS = 5.0

Connection = AsyncConnection[DictRow]
Pool = AsyncConnectionPool[Connection]
Row = dict[str, Any]

CONNECTION_OPTIONS = "-c timezone=UTC -c statement_timeout=15s"
"""Days are UTC days, whatever the server's zone; and no answer is worth holding a connection for longer."""


def connection_pool(dsn: str) -> Pool:
    """A pool that is not open yet: `async with` opens it. Connections commit every statement."""
    return AsyncConnectionPool(
        dsn,
        connection_class=AsyncConnection[DictRow],
        kwargs={"row_factory": dict_row, "autocommit": True, "options": CONNECTION_OPTIONS},
        min_size=2,
        max_size=POOL_SIZE,
        timeout=WAIT_SECONDS,
        # A restart of PostgreSQL leaves dead connections in the pool: each is tried before it is handed out.
        check=AsyncConnectionPool.check_connection,
        open=False,
        name="api",
    )


@cache
def sql(name: str) -> LiteralString:
    """The text of `api/sql/<name>.sql`."""
    text: LiteralString = (resources.files("api") / "sql" / f"{name}.sql").read_text()
    return text


async def fetch_all(connection: Connection, query: LiteralString, **parameters: object) -> list[Row]:
    """All rows of a query."""
    return await (await connection.execute(query, parameters)).fetchall()


async def fetch_one(connection: Connection, query: LiteralString, **parameters: object) -> Row | None:
    """The first row of a query, if there is one."""
    return await (await connection.execute(query, parameters)).fetchone()
