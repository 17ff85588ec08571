"""What `vitals import` does on the terminal."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from connectors.file_import.importer import Importer, OnRows
from connectors.file_import.mapping import load_mapping
from connectors.file_import.sealed import refuse_sealed, sealed_through
from connectors.file_import.stream import ImportFile, Position
from connectors.file_import.survey import Survey, in_ranges, survey
from connectors.file_import.tables import open_table
from vitals.errors import UserError
from vitals.settings import Settings, load_settings
from vitals.telemetry import configure_logging

INTERRUPTED = 130


def run_import(file: str, mapping: str, file_format: str | None, *, dry_run: bool, abandon: bool) -> None:
    """Runs the command; the summary goes to standard output, progress and warnings to standard error.

    Raises:
        UserError: the file, the mapping or the days are not such that they can be imported.
    """
    settings = load_settings()
    configure_logging(settings)
    table = open_table(Path(file), file_format)
    source = ImportFile(Path(file), table, load_mapping(Path(mapping)), table.digest())
    stopping = threading.Event()
    with _stops_once(stopping), _shown() as on_rows:
        if dry_run:
            found = survey(
                table, source.mapping, source.digest, 0, lambda rows: on_rows("Reading", rows, None), stopping.is_set
            )
        else:
            importer = Importer(settings, source, stopping, on_rows)
            if abandon:
                importer.abandon()
                click.echo(f"{source.stream} holds no watermark any more.")
                return
            position = importer.run()
    if dry_run and not stopping.is_set():
        click.echo(describe(source, found))
        click.echo(_seals(settings, source, found))
    elif not dry_run:
        click.echo(summary(source, position))
    if stopping.is_set() and (dry_run or not position.done):
        click.echo("Interrupted. Run the same command again to go on.", err=True)
        sys.exit(INTERRUPTED)


def describe(source: ImportFile, found: Survey) -> str:
    """A dry run in words."""
    lines = [
        f"{source.path}: {found.rows:,} rows = {found.usable - found.repeated:,} usable + {found.repeated:,} repeated "
        f"in the file + {found.bad:,} bad",
        *(f"  {kind}: {count:,}" for kind, count in sorted(found.kinds.items())),
        *(f"  days of {topic}: {in_ranges(days)}" for topic, days in sorted(found.days.items())),
        f"  accounts: {len(found.accounts):,}",
    ]
    if found.problems:
        lines.append(f"First problems ({len(found.problems)} of {found.bad:,}):")
        lines += [f"  {problem}" for problem in found.problems]
    return "\n".join(lines)


def summary(source: ImportFile, position: Position) -> str:
    """What became of the rows, in words that add up."""
    told = (
        f"{source.path}: {position.rows:,} rows = {position.published:,} published + {position.already_known:,} "
        f"already known + {position.quarantined:,} quarantined + {position.dead_lettered:,} dead-lettered"
    )
    if position.quarantined:
        told += (
            "\nQuarantined rows name an account that nobody knows: `vitals quarantine list` shows them. Once a link "
            "says whose they are, `vitals quarantine replay` brings them in."
        )
    if position.dead_lettered:
        told += "\nThe dead letters say the row and the reason (topic dead_letters); --dry-run shows the first."
    return told


def _seals(settings: Settings, source: ImportFile, found: Survey) -> str:
    """Whether the days can be imported; a dry run goes without PostgreSQL."""
    try:
        bounds = sealed_through(settings, found.topics)
    except UserError as error:
        return f"Sealed days were not checked: {error}"
    refuse_sealed(source.path, found.days, bounds)
    return "Nothing was written."


@contextlib.contextmanager
def _stops_once(stopping: threading.Event) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM stops after the page in hand, the second at once."""

    def stop(signal_number: int, frame: FrameType | None) -> None:
        del signal_number, frame
        if stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()

    before = [(number, signal.signal(number, stop)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


@contextlib.contextmanager
def _shown() -> Iterator[OnRows]:
    """A progress bar, on a terminal only."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("Reading", total=None)

        def on_rows(doing: str, rows: int, total: int | None) -> None:
            bar.update(task, description=doing, completed=rows, total=total)

        yield on_rows
