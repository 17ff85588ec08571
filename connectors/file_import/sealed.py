"""Days that are sealed take no import: their figures are certified, and only a replay may change them."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path

import psycopg

from connectors.file_import.survey import in_ranges
from vitals.errors import UserError
from vitals.settings import Settings

_QUERY = "select input_topic, max(sealed_through) from watermarks where input_topic = any(%s) group by input_topic"


def sealed_through(settings: Settings, topics: tuple[str, ...]) -> Mapping[str, datetime]:
    """The bound before which days are sealed, by events topic; the furthest of its partitions.

    Raises:
        UserError: PostgreSQL does not answer, or its tables are missing.
    """
    try:
        with psycopg.connect(settings.postgres_dsn.get_secret_value(), connect_timeout=10) as connection:
            found = connection.execute(_QUERY, (list(topics),)).fetchall()
    except psycopg.errors.UndefinedTable as error:
        raise UserError("PostgreSQL has no table of watermarks: run `vitals bootstrap` first.") from error
    except psycopg.OperationalError as error:
        raise UserError(
            f"PostgreSQL does not answer, so nobody can say which days are sealed: {' '.join(str(error).split())} "
            "Check VITALS_POSTGRES_DSN."
        ) from error
    return {topic: bound for topic, bound in found if bound is not None}


def refuse_sealed(path: Path, days: Mapping[str, set[date]], bounds: Mapping[str, datetime]) -> None:
    """Refuses a file with rows for sealed days.

    Raises:
        UserError: says which days.
    """
    for topic, wanted in sorted(days.items()):
        bound = bounds.get(topic)
        sealed = [day for day in wanted if bound is not None and datetime.combine(day, time(), UTC) < bound]
        if sealed and bound is not None:
            raise UserError(
                f"{path} has rows for days of {topic} that are sealed ({in_ranges(sealed)}; sealed before "
                f"{bound.astimezone(UTC).date()}), and nothing of it was imported: leave those rows out, or bring "
                "them in with `vitals replay`, which takes sealed days."
            )
