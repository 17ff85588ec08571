"""Brings a database to the newest schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from vitals.errors import UserError

MIGRATIONS = Path(__file__).parent / "migrations"

# Any number will do, as long as it stays the same: two migrations wait for each other on it.
LOCK = 0x7661_6C73


def engine(dsn: str) -> Engine:
    """An SQLAlchemy engine for a libpq URL, by psycopg 3."""
    return create_engine(make_url(dsn).set(drivername="postgresql+psycopg"))


def upgrade(dsn: str, revision: str = "head") -> None:
    """Runs the migrations up to a revision that are missing, all in one transaction; repeating it changes nothing, even
    at once.

    Raises:
        UserError: PostgreSQL does not answer.
    """
    database = engine(dsn)
    try:
        with database.begin() as connection:
            connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            configuration = Config()
            configuration.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
            configuration.attributes["connection"] = connection
            command.upgrade(configuration, revision)
    except OperationalError as error:
        raise UserError(f"PostgreSQL does not take the migration, is it running? {error.orig}") from error
    finally:
        database.dispose()
