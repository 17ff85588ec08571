"""Brings PostgreSQL to the newest schema."""

from sinks.timescale.migrate import upgrade
from vitals.settings import Settings

ORDER = 20
TITLE = "tables"


def bootstrap(settings: Settings) -> None:
    """Runs the migrations that are missing.

    Raises:
        UserError: PostgreSQL does not answer.
    """
    upgrade(settings.postgres_dsn.get_secret_value())
