"""The parameters `from` and `to`: half-open, `[from, to)`, UTC where no zone is given."""

from datetime import UTC, date, datetime, time
from typing import Annotated

from fastapi import Depends, Query

from api.problems import FieldError, ProblemError

Instant = datetime | date


def in_utc(given: Instant | None) -> datetime | None:
    """A parameter as an instant: a date means UTC midnight, and a time without a zone is UTC."""
    if given is None:
        return None
    if not isinstance(given, datetime):
        return datetime.combine(given, time(), UTC)
    return given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=UTC)


def _time_range(
    start: Annotated[
        Instant | None, Query(alias="from", description="First instant, inclusive; a date means UTC midnight.")
    ] = None,
    end: Annotated[Instant | None, Query(alias="to", description="Last instant, exclusive.")] = None,
) -> tuple[datetime | None, datetime | None]:
    try:
        first, last = in_utc(start), in_utc(end)
    except OverflowError as error:  # year 1 or 9999 with a zone that leads beyond
        raise ProblemError(422, "from and to must lie within the years 1 to 9999, in UTC.") from error
    if first is not None and last is not None and first > last:
        detail = "from is after to."
        raise ProblemError(422, detail, errors=[FieldError(field="query.from", detail=detail)])
    return first, last


TimeRange = Annotated[tuple[datetime | None, datetime | None], Depends(_time_range)]
