"""A first pass over a file: everything that can be said before anything is written."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from connectors.contract import MappedEvent
from connectors.fates import mapped_id
from connectors.file_import.mapping import FileMapping
from connectors.file_import.tables import Table
from schemas.topics import events_topic
from vitals.errors import BadRecordError, UserError

SOURCE = "import"
PROBLEMS_SHOWN = 10


@dataclass(slots=True)
class Survey:
    """What a file holds. `days` and `accounts` are those of rows after the ones that are imported already."""

    rows: int = 0
    usable: int = 0
    repeated: int = 0
    bad: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    days: dict[str, set[date]] = field(default_factory=dict)
    accounts: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    newest: datetime | None = None

    @property
    def topics(self) -> tuple[str, ...]:
        """Events topics of the rows, in a stable order."""
        return tuple(sorted({events_topic(kind) for kind in self.kinds}))


def read_row(table: Table, mapping: FileMapping, row: Any, number: int, row_id: str) -> MappedEvent:
    """The event of a row.

    Raises:
        BadRecordError: says which row, which column and why.
    """
    try:
        if not isinstance(row, dict):
            raise BadRecordError(table.reason(row))
        return mapping.event(row, row_id)
    except BadRecordError as error:
        raise BadRecordError(f"Row {number}: {error}") from error


def row_id(digest: str, number: int) -> str:
    """A row by its file's content and its number, from 1."""
    return f"{digest[:32]}:{number}"


def survey(
    table: Table,
    mapping: FileMapping,
    digest: str,
    imported: int = 0,
    on_rows: Callable[[int], None] | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Survey:
    """Reads the whole file once, or until stopping. `imported` rows at its beginning are imported already.

    Raises:
        UserError: a column that the mapping names is missing, no row can be used, or the file is broken.
    """
    _require_columns(table, mapping, table.columns)
    found = Survey()
    seen: set[str] = set()
    columns: dict[str, None] = {}
    for number, row in enumerate(table.rows(), 1):
        found.rows = number
        if table.columns is None and isinstance(row, dict):
            columns |= dict.fromkeys(row)
        try:
            event = read_row(table, mapping, row, number, row_id(digest, number))
        except BadRecordError as error:
            found.bad += 1
            if len(found.problems) < PROBLEMS_SHOWN:
                found.problems.append(str(error))
        else:
            _count(found, event, seen, remaining=number > imported)
        if number % 1_000 == 0:
            if on_rows is not None:
                on_rows(number)
            if stopping():
                return found
    if table.columns is None:
        _require_columns(table, mapping, tuple(columns))
    if found.rows and not found.usable:
        raise UserError(
            f"None of the {found.rows:,} rows of {table.path} can be used, and nothing was written: "
            f"{found.problems[0]} Correct the mapping or the file."
        )
    return found


def _count(found: Survey, event: MappedEvent, seen: set[str], *, remaining: bool) -> None:
    found.usable += 1
    found.kinds[event.kind] += 1
    identifier = mapped_id(SOURCE, event)
    if identifier in seen:
        found.repeated += 1
        return
    seen.add(identifier)
    found.newest = event.event_time if found.newest is None else max(found.newest, event.event_time)
    if remaining:
        found.days.setdefault(events_topic(event.kind), set()).add(event.event_time.astimezone(UTC).date())
        if event.account_ref is not None:
            found.accounts.add(event.account_ref)


def _require_columns(table: Table, mapping: FileMapping, columns: Sequence[str] | None) -> None:
    missing = [] if columns is None else [column for column in mapping.columns if column not in columns]
    if missing:
        raise UserError(
            f"{table.path} has no column {', '.join(map(repr, missing))}, which the mapping names; "
            f"it has {', '.join(map(repr, columns or ())) or 'none'}."
        )


def in_ranges(days: Iterable[date]) -> str:
    """Days in words, neighbours together.

    >>> in_ranges([date(2026, 11, 2), date(2026, 11, 1), date(2026, 11, 5)])
    '2026-11-01 to 2026-11-02, 2026-11-05'
    """
    ranges: list[list[date]] = []
    for day in sorted(set(days)):
        if ranges and day - ranges[-1][-1] == timedelta(days=1):
            ranges[-1][1:] = [day]
        else:
            ranges.append([day])
    told = [" to ".join(day.isoformat() for day in dict.fromkeys(one)) for one in ranges]
    return ", ".join(told) if len(told) <= 6 else f"{', '.join(told[:5])} and {len(told) - 5} more"
