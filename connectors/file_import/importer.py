"""Runs one import: register, pages in transactions, retire; the same under a kill, an abort or Ctrl-C."""

import contextlib
import random
import threading
from collections.abc import Callable
from dataclasses import replace

import structlog

from connectors.bootstrap import register
from connectors.catalogue import identity_source_enabled
from connectors.fates import COUNTS, PageOutcome, map_page, new_counts, settle
from connectors.file_import.sealed import refuse_sealed, sealed_through
from connectors.file_import.stream import ImportFile, ImportStream, Position
from connectors.file_import.survey import SOURCE, Survey, survey
from connectors.identities import BEGINNING, IdentityIndex, follow_identities
from connectors.stream_state import load_state
from connectors.writer import StreamWriter
from schemas.topics import EVENTS_TOPICS
from vitals.avro import AvroSerde, Registry
from vitals.clock import Clock, WallClock
from vitals.errors import FatalError, RetriableError, UserError
from vitals.events import user_pseudonym
from vitals.settings import Settings

log = structlog.get_logger()

ATTEMPTS = 8
LONGEST_BACKOFF_SECONDS = 10.0
IDENTITY_WAIT_SECONDS = 60.0

OnRows = Callable[[str, int, int | None], None]
"""Told how far the work is: what is done now, rows so far, rows in all where that is known."""


def _silent(doing: str, rows: int, total: int | None) -> None:
    """Nobody watches."""


class Importer:
    """Imports one file. `stopping` ends it after the page in hand; a later run goes on from there."""

    def __init__(
        self,
        settings: Settings,
        file: ImportFile,
        stopping: threading.Event | None = None,
        on_rows: OnRows = _silent,
        clock: Clock | None = None,
    ) -> None:
        self._settings, self._file = settings, file
        self._stopping = stopping or threading.Event()
        self._on_rows = on_rows
        self._clock = clock or WallClock()
        self._serde = AvroSerde(Registry(settings.registry_url))
        self._index = IdentityIndex(has_identity_source=identity_source_enabled(settings))

    def run(self) -> Position:
        """What became of the rows. `done` is False after a stop; an import that was done before changes nothing.

        Raises:
            UserError: the file cannot be imported; nothing was written, or it can be run again to go on.
        """
        position = Position.read(self._loaded().get(self._file.entry))
        if position.done:
            return Position(rows=position.rows, already_known=position.rows, done=True)
        surveyed = survey(
            self._file.table,
            self._file.mapping,
            self._file.digest,
            position.rows,
            lambda rows: self._on_rows("Reading", rows, None),
            self._stopping.is_set,
        )
        refuse_sealed(self._file.path, surveyed.days, sealed_through(self._settings, surveyed.topics))
        following = threading.Event()
        thread = threading.Thread(
            target=follow_identities, args=(self._settings, self._serde, self._index, following), daemon=True
        )
        thread.start()
        try:
            self._await_accounts(surveyed)
            return position if self._stopping.is_set() else self._imported(surveyed)
        finally:
            following.set()
            thread.join(10.0)

    def abandon(self) -> None:
        """Retires the stream of an import that was killed and shall not go on.

        Raises:
            UserError: Kafka does not answer.
        """
        try:
            writer = self._writer(())
            self._retire(writer, {})
        except RetriableError as error:
            raise UserError(f"The import cannot be given up now: {error}") from error

    def _imported(self, surveyed: Survey) -> Position:
        """Registers and imports. However it ends, the stream retires if Kafka still answers."""
        topics = surveyed.topics
        try:
            register(self._settings, self._serde, self._clock, [(SOURCE, self._file.stream, topics)])
            return self._retried(surveyed)
        except (RetriableError, UserError, FatalError) as error:
            with contextlib.suppress(RetriableError):
                self._retire(self._writer(topics), {})
            if not isinstance(error, RetriableError):
                raise
            raise UserError(
                f"The import of {self._file.path} did not end: {error} Run the same command again; it goes on where "
                "it was. Until then its stream may hold the watermark back: --abandon gives it up."
            ) from error

    def _retried(self, surveyed: Survey) -> Position:
        failures = 0
        while True:
            try:
                return self._pages(self._writer(surveyed.topics), surveyed)
            except RetriableError as error:
                failures += 1
                if failures == ATTEMPTS or self._stopping.is_set():
                    raise
                log.warning("import_aborted", stream=self._file.stream, error=str(error))
                ceiling = min(LONGEST_BACKOFF_SECONDS, 0.2 * 2**failures)
                self._stopping.wait(random.uniform(0, ceiling))  # noqa: S311 - jitter

    def _pages(self, writer: StreamWriter, surveyed: Survey) -> Position:
        """Pages from the writer's position to the end of the file or a stop, and the retirement."""
        stream = ImportStream(self._file, surveyed.topics)
        more = True
        while more and not self._stopping.is_set():
            page = stream.fetch(writer.state)
            more = page.more
            outcome, unresolved, _ = map_page(stream, page, writer.state)
            settle(stream, outcome, unresolved, stream.seen, self._index.resolve, self._pseudonym, self._clock.now())
            position = Position.read(writer.state.get(self._file.entry)).after(outcome)
            outcome.updates[self._file.entry] = position.json()
            writer.commit(outcome, new_counts(writer.state.get(COUNTS, {}), outcome))
            self._on_rows("Importing", position.rows, surveyed.rows)
        position = replace(Position.read(writer.state.get(self._file.entry)), done=not more)
        self._retire(writer, {self._file.entry: position.json()})
        return position

    def _retire(self, writer: StreamWriter, updates: dict[str, object]) -> None:
        """Gives up the watermark, on every topic: an import that died under this name may hold others."""
        writer.topics = EVENTS_TOPICS
        writer.commit(PageOutcome((), None, updates=updates), writer.state.get(COUNTS, {}), retired=True)

    def _writer(self, topics: tuple[str, ...]) -> StreamWriter:
        writer = StreamWriter(self._settings, self._serde, self._clock, SOURCE, self._file.stream, topics)
        writer.open()
        return writer

    def _loaded(self) -> dict[str, object]:
        try:
            return load_state(self._settings, self._serde, self._file.stream)
        except RetriableError as error:
            raise UserError(f"{error} Is Kafka running at {self._settings.kafka_bootstrap}?") from error

    def _await_accounts(self, surveyed: Survey) -> None:
        """Nobody is called unknown before the identity source has spoken for the newest row's time."""
        waited = 0.0
        while surveyed.newest is not None and any(self._index.resolve(name) is None for name in surveyed.accounts):
            if self._index.wait_complete(surveyed.newest, 0.2, self._stopping.is_set) or self._stopping.is_set():
                return
            waited += 0.2
            if waited < IDENTITY_WAIT_SECONDS:
                continue
            if self._index.complete_through == BEGINNING:
                raise UserError(
                    "No identity source has told its accounts yet, and nothing was written: start `vitals connect`, "
                    "and import again once the CRM is loaded."
                )
            log.warning("identity_source_behind", stream=self._file.stream, complete=str(self._index.complete_through))
            return

    def _pseudonym(self, person: str) -> str:
        return user_pseudonym(self._settings.pseudonym_key.get_secret_value().encode(), person)
