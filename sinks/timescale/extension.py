"""Whether TimescaleDB can be used on a server."""

import structlog
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

log = structlog.get_logger()

# Asked before `create extension`, which ends the session where the library is installed but not preloaded. The loader
# is what defines this setting.
_LOADABLE = """
select exists (select from pg_extension where extname = 'timescaledb')
       or (exists (select from pg_available_extensions where name = 'timescaledb')
           and current_setting('timescaledb.disable_load', true) is not null)
"""


def prepare_extension(connection: Connection) -> bool:
    """Creates the extension if this server has it and allows it; whether it is there afterwards.

    Runs inside the caller's transaction.
    """
    if not connection.scalar(text(_LOADABLE)):
        return False
    try:
        with connection.begin_nested():
            connection.execute(text("create extension if not exists timescaledb"))
    except ProgrammingError as error:
        # Refused for lack of a right: the tables work without it, and an administrator reads why it is not used.
        log.warning("TimescaleDB is installed but this role may not create the extension", error=str(error.orig))
        return False
    return True


def license_of(connection: Connection) -> str:
    """`timescale` where every feature is there, `apache` where compression and policies are not."""
    return str(connection.scalar(text("select current_setting('timescaledb.license', true)")))
