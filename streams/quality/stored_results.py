"""Reads the table of results for the command line."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import psycopg
from psycopg.rows import dict_row

from schemas.checks.catalogue import checks
from vitals.errors import UserError
from vitals.settings import Settings

QUERY = """
select check_name, source, window_start, window_end, kind, severity, verdict, final, observed, lower_bound,
       upper_bound, records, flagged
  from quality_results
 where (%(name)s::text is null or check_name = %(name)s)
   and (%(source)s::text is null or source = %(source)s)
   and (%(start)s::timestamptz is null or window_start >= %(start)s)
   and (%(end)s::timestamptz is null or window_start < %(end)s)
   and (not %(failed)s or verdict = 'failed')
 order by window_start desc, check_name, source
 limit %(limit)s
"""


@dataclass(frozen=True)
class Asked:
    """Which results; None does not choose."""

    name: str | None = None
    source: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    failed: bool = False
    limit: int = 50

    @classmethod
    def of(cls, *, start: str | None, end: str | None, **more: Any) -> Self:
        """As the command line has it.

        Raises:
            UserError: an instant is none.
        """
        return cls(start=_instant("--from", start), end=_instant("--to", end), **more)


def read_results(settings: Settings, asked: Asked) -> list[dict[str, Any]]:
    """The newest results.

    Raises:
        UserError: there is no such check, or PostgreSQL does not answer.
    """
    names = [check.name for check in checks()]
    if asked.name is not None and asked.name not in names:
        raise UserError(f"There is no check {asked.name}: `vitals quality list` shows those there are.")
    try:
        with psycopg.connect(settings.postgres_dsn.get_secret_value(), connect_timeout=5) as connection:
            return connection.cursor(row_factory=dict_row).execute(QUERY, vars(asked)).fetchall()
    except psycopg.errors.UndefinedTable as error:
        raise UserError("There is no table of results yet: run `vitals bootstrap`.") from error
    except psycopg.OperationalError as error:
        raise UserError(
            'PostgreSQL does not answer: is the stack running? `eval "$(vitals env)"` hands its settings to a shell.'
        ) from error


def _instant(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise UserError(f"{option} {text} is not a date or time in ISO 8601, such as 2026-01-31.") from error
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
