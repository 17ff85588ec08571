"""`vitals connectors sync`: runs streams in the foreground until they have caught up, with progress, and resumable."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from connectors.catalogue import identity_source_enabled, require_connectors
from connectors.conditions import Condition, ConditionBoard, read_conditions
from connectors.contract import Stream
from connectors.identities import IdentityIndex, follow_identities
from connectors.orders import read_paused
from connectors.runner import StreamRunner
from connectors.setup.display import load
from connectors.setup.streams import polled_streams
from connectors.stream_state import load_state
from connectors.watch import ForegroundWatch
from vitals.avro import AvroSerde, Registry
from vitals.clock import WallClock
from vitals.errors import FatalError, UserError
from vitals.settings import Settings

LINE_EVERY_SECONDS = 10.0
STOP_SECONDS = 30.0


def sync(name: str, chosen: Sequence[str], settings: Settings, *, once: bool) -> None:
    """Runs the named streams of a connector (all where none is named) until the vendor has no more, or for one page.

    Ctrl-C ends it at the last committed page; the next run goes on from there.

    Raises:
        UserError: no such stream, settings are missing, or `vitals connect` runs the stream.
        FatalError: the vendor refuses the credentials or a request.
    """
    names = polled_streams(name, chosen, settings)
    streams = [stream for stream in require_connectors((name,))[name].create(settings) if stream.name in names]
    serde, clock = AvroSerde(Registry(settings.registry_url)), WallClock()
    paused, conditions = read_paused(settings, serde), read_conditions(settings, serde)
    for stream in streams:
        told = conditions.get(stream.name)
        if told is not None and told.alive(clock.now()) and stream.name not in paused:
            raise UserError(
                f"`vitals connect` runs {stream.name}, and a stream has one runner: "
                f"`vitals connectors pause {name}` first, or look with `vitals connectors status {name}`."
            )
    board, stopping = ConditionBoard(settings, serde, clock), threading.Event()
    index = IdentityIndex(has_identity_source=identity_source_enabled(settings))
    follower = threading.Thread(target=follow_identities, args=(settings, serde, index, stopping), daemon=True)
    follower.start()
    runs = [_Run(stream, settings, serde, board, index, once=once) for stream in streams]
    try:
        with _shown(runs) as show:
            for run in runs:
                run.thread.start()
            while any(run.thread.is_alive() for run in runs):
                time.sleep(0.2)
                board.give_sign()
                show()
    except KeyboardInterrupt:
        click.echo("Ends at the last committed page; the same command goes on from there.", err=True)
        raise
    finally:
        for run in runs:
            run.stopping.set()
        stopping.set()
        for run in runs:
            if run.thread.ident is not None:
                run.thread.join(STOP_SECONDS)
        follower.join(STOP_SECONDS)
        board.close()
    for run in runs:
        state = load_state(settings, serde, run.stream.name)
        click.echo(
            f"{run.stream.name}: {run.watch.pages} pages, {run.watch.objects} objects, "
            f"complete through {state.get('complete_through', 'nothing yet')}"
        )
    failed = [run for run in runs if run.watch.error is not None]
    if failed:
        raise FatalError("; ".join(f"{run.stream.name}: {run.watch.error}" for run in failed))


class _Run:
    """One stream's thread and what it says."""

    def __init__(
        self,
        stream: Stream,
        settings: Settings,
        serde: AvroSerde,
        board: ConditionBoard,
        index: IdentityIndex,
        *,
        once: bool,
    ) -> None:
        self.stream, self._board = stream, board
        self.stopping = threading.Event()
        self.condition: Condition | None = None
        self.watch = ForegroundWatch(stream, WallClock(), self._tell, self.stopping, once=once)
        runner = StreamRunner(stream, settings, serde, WallClock(), index, self.stopping, self.watch)
        self.thread = threading.Thread(target=runner.run, name=stream.name, daemon=True)

    def _tell(self, condition: Condition) -> None:
        self.condition = condition
        self._board.tell(condition)

    def words(self) -> str:
        """What it does now."""
        told = self.condition
        if told is None:
            return "starting"
        if told.done is not None and told.unit is not None:
            return load(told.done, told.total, told.unit, told.remaining_seconds)
        return told.condition.replace("_", " ") + (f": {told.reason}" if told.reason else "")


@contextmanager
def _shown(runs: Sequence[_Run]) -> Iterator["_Show"]:
    """A bar a stream on a terminal, and a line a stream now and then elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Show(runs, None, {})
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[words]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Show(
            runs, progress, {run.stream.name: progress.add_task(run.stream.name, total=None, words="") for run in runs}
        )


class _Show:
    """Brings the display up to date."""

    def __init__(self, runs: Sequence[_Run], progress: Progress | None, tasks: dict[str, TaskID]) -> None:
        self._runs, self._progress, self._tasks = runs, progress, tasks
        self._said_at = time.monotonic()

    def __call__(self) -> None:
        if self._progress is None:
            if time.monotonic() - self._said_at >= LINE_EVERY_SECONDS:
                self._said_at = time.monotonic()
                for run in self._runs:
                    click.echo(f"{run.stream.name}: {run.watch.objects} objects, {run.words()}", err=True)
            return
        for run in self._runs:
            told = run.condition
            self._progress.update(
                self._tasks[run.stream.name],
                total=None if told is None else told.total,
                completed=0.0 if told is None or told.done is None else told.done,
                words=f"{run.watch.objects} objects, {run.words()}",
            )
