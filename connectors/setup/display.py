"""Tables and lines for the terminal."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from connectors.setup.checking import CheckStep
from connectors.setup.observing import duration
from connectors.setup.overview import NEVER_RUN, NOT_RUNNING, ConnectorView, StreamView

WIDE = 320
"""Columns where nobody looks at a terminal: a line a row, for whatever reads it."""


def console() -> Console:
    """Standard output, without colours of its own choosing."""
    out = Console(highlight=False, markup=False)
    if not out.is_terminal:
        out.width = WIDE
    return out


def table(*columns: str) -> Table:
    """An unframed table whose first columns do not wrap."""
    made = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        made.add_column(column, no_wrap=number < len(columns) - 1)
    return made


def listing(views: Iterable[ConnectorView]) -> Table:
    """A row a connector."""
    made = table("connector", "enabled", "state", "complete through", "streams", "topics", "settings")
    for view in views:
        through = [stream.figures.complete_through for stream in view.streams]
        told = [moment for moment in through if moment is not None]
        topics = sorted({topic for stream in view.streams for topic in stream.topics})
        made.add_row(
            view.name,
            "yes" if view.enabled else "no",
            view.state if view.enabled or view.state != NEVER_RUN else "-",
            f"{min(told):%Y-%m-%d %H:%M:%S}" if told and len(told) == len(through) else "-",
            ", ".join(stream.name.partition(".")[2] for stream in view.streams),
            ", ".join(topics),
            "complete" if view.missing is None else view.missing,
        )
    return made


def statuses(views: Iterable[ConnectorView]) -> Table:
    """A row a stream."""
    made = table(
        "stream", "complete through", "lag", "commits", "published", "quarantined", "dead letters", "what it does"
    )
    for view in views:
        for stream in view.streams:
            figures = stream.figures
            made.add_row(
                stream.name,
                "-" if figures.complete_through is None else f"{figures.complete_through:%Y-%m-%d %H:%M:%S}",
                "-" if stream.lag_seconds is None else duration(stream.lag_seconds),
                str(figures.position),
                *(str(figures.total(fate)) for fate in ("published", "quarantined", "dead_lettered")),
                doing(stream),
            )
    return made


def doing(stream: StreamView) -> str:
    """What a stream does now, in words."""
    told = stream.condition
    if told is None or stream.state in (NOT_RUNNING, NEVER_RUN):
        last = stream.figures.committed_at
        return stream.state if last is None else f"{stream.state}; last commit {last:%Y-%m-%d %H:%M:%S}"
    said = stream.state
    if told.done is not None and told.unit is not None:
        said += f": {load(told.done, told.total, told.unit, told.remaining_seconds)}"
    if told.until is not None:
        said += f" until {told.until:%H:%M:%S}"
    return f"{said}: {told.reason}" if told.reason else f"{said} since {told.since:%Y-%m-%d %H:%M:%S}"


def load(done: float, total: float | None, unit: str, remaining_seconds: float | None) -> str:
    """How far a first load is.

    >>> load(900, 1200, "days", 90.0)
    '75 %, 900 of 1200 days, about 1 min left'
    """
    if not total:
        return f"{done:.0f} {unit}"
    left = "" if remaining_seconds is None else f", about {duration(remaining_seconds)} left"
    return f"{100 * min(1.0, done / total):.0f} %, {done:.0f} of {total:.0f} {unit}{left}"


def step_line(step: CheckStep) -> str:
    """One line of a check.

    >>> step_line(CheckStep("tickets", problem="Zendesk answered 403", advice="grant the scope read"))
    'FAIL  tickets: Zendesk answered 403. What to do: grant the scope read.'
    """
    if step.problem is None:
        return f"ok    {step.name}{f': {step.note}' if step.note else ''}"
    return f"FAIL  {step.name}: {step.problem.rstrip('.')}. What to do: {step.advice}."
