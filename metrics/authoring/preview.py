"""What `vitals metrics preview` does: a metric's definition over history, as a small table."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from metrics.authoring.definitions import require_sql
from metrics.authoring.evaluation import WindowValue, evaluate
from metrics.authoring.examples import number_text, window_text
from metrics.authoring.history import History, OnProgress, read_history
from metrics.contract import LENGTH, Grain, Metric
from vitals.errors import UserError
from vitals.settings import Settings

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Extent:
    """Which windows are shown: those that reach into [start, end), of one account or of all, the newest `limit`."""

    grain: Grain
    start: datetime
    end: datetime | None = None
    account: str | None = None
    limit: int = 20

    def __post_init__(self) -> None:
        if self.end is not None and self.end <= self.start:
            raise UserError(f"--to {self.end:%Y-%m-%d %H:%M} must be later than --from {self.start:%Y-%m-%d %H:%M}.")

    @property
    def first_window(self) -> datetime:
        """Start of the window that `start` lies in: a window is shown whole or not at all."""
        return EPOCH + (self.start - EPOCH) // LENGTH[self.grain] * LENGTH[self.grain]

    def shows(self, window: WindowValue) -> bool:
        """Whether a window is among those meant, however many there are."""
        return (
            window.window_start >= self.first_window
            and (self.end is None or window.window_start < self.end)
            and self.account in (None, window.account_id)
        )


def instant(text: str) -> datetime:
    """An ISO 8601 date or time; UTC where it has no offset.

    Raises:
        UserError: it is neither.

    >>> instant("2023-11-01").isoformat()
    '2023-11-01T00:00:00+00:00'
    """
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UserError(f"{text} is not a date such as 2023-11-01 or a time such as 2023-11-01T08:30.") from error


def run_preview(settings: Settings, metric: Metric, extent: Extent) -> None:
    """Reads the metric's topic and prints its windows; progress goes to standard error.

    Raises:
        UserError: the expression does not compile or run, or Kafka does not answer.
    """
    require_sql(metric, extent.grain)
    with _shown(metric.topic) as on_progress:
        history = read_history(settings, metric.topic, on_progress)
    try:
        windows = evaluate(metric, extent.grain, history.events)
    except duckdb.Error as error:
        raise UserError(f"{metric.name} does not run on history: {' '.join(str(error).split())}") from error
    _print(metric, extent, [window for window in windows if extent.shows(window)], history)


def _print(metric: Metric, extent: Extent, windows: Sequence[WindowValue], history: History) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 120  # no terminal whose width could cut an account id
    console.print(f"{metric.name}, {metric.unit} by the {extent.grain} ({metric.merge})", soft_wrap=True)
    if windows:
        console.print(_table(extent, windows[-extent.limit :]))
    shown = min(extent.limit, len(windows))
    console.print(f"{shown:,} newest of {len(windows):,} windows." if windows else "No window.", soft_wrap=True)
    console.print(summary(history), soft_wrap=True)
    if extent.grain not in metric.grains:
        console.print(f"It is kept by the {' and the '.join(metric.grains)} only.", soft_wrap=True)


def _table(extent: Extent, windows: Sequence[WindowValue]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("window (UTC)", no_wrap=True)
    if extent.account is None:
        table.add_column("account", no_wrap=True)
    table.add_column("value", no_wrap=True, justify="right")
    for window in windows:
        account = [window.account_id] if extent.account is None else []
        table.add_row(window_text(extent.grain, window.window_start), *account, number_text(window.value))
    return table


def summary(history: History) -> str:
    """What became of the events, in words that add up."""
    return (
        f"{history.topic}: {history.read:,} events read = {history.events.num_rows:,} counted + "
        f"{history.duplicates:,} duplicates + {history.unreadable:,} unreadable"
    )


@contextlib.contextmanager
def _shown(topic: str) -> Iterator[OnProgress]:
    """A progress bar, on a terminal only."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("Reading {task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(topic, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
