"""Walks over an object's modifications: a keyset over (SystemModstamp, Id) below a bound frozen at the walk's start.

A first load of very many records is a job of Bulk API 2.0 instead, where Salesforce runs one.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog

from connectors.contract import LoadProgress, Mapped, Page, Probe, RawObject, State, Stream
from connectors.fields import iso, iso_instant, since
from connectors.promises import add_read, record
from connectors.salesforce.activity_mapping import DUE, HELD
from connectors.salesforce.bulk import BulkJobs, JobGoneError, JobResults
from connectors.salesforce.client import FieldsChangedError, SalesforceClient, literal
from connectors.salesforce.mapping import OVERLAP
from vitals.errors import BadRecordError, FatalError

log = structlog.get_logger()

PAGE_OBJECTS = 1_000

LAG = timedelta(seconds=5)
"""Records of the newest seconds wait for the next walk, so that most late commits need no overlap."""

DESCRIBED_FOR = timedelta(hours=1)
"""How long a description of an object is believed; a field that is removed earlier is noticed by the refused query."""

QUERY_CHARACTERS = 6_000
"""An address may have 16,384 bytes, with what escaping adds."""

CHANGES_A_PAGE = 200
"""Records that a change event names and one query reads."""

JOB_PATIENCE = timedelta(hours=24)
_FIRST_POLL_SECONDS = 0.5
_LAST_POLL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class WalkedObject:
    """What differs between the objects: fields that are always there, fields to read where they exist, the mapping."""

    object_name: str
    stream: str
    fields: Sequence[str]
    optional: Sequence[str]
    map: Callable[[RawObject, State], Mapped]
    identity_source: bool = False
    topic: str = "events.crm"
    held: bool = False
    """Whether the objects are meetings, which happen without being modified (see `map_meeting`)."""


class ChangeHints(Protocol):
    """Which records changed, told ahead of the walk. See `connectors.salesforce.pubsub.feed`."""

    def follow(self, replay_id: str | None) -> None:
        """Starts, once."""
        ...

    def take(self, most: int) -> Any:
        """`ids` and `replay_id` of changes that wait; None where there are none."""
        ...

    def close(self) -> None:
        """Ends it."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """How objects are read. `bulk_from`: records of a first load from which a job is worth it, 0 for never.

    `every_field`: also what the mapping does not use, for the raw object.
    """

    bulk_from: int = 0
    every_field: bool = True


class WalkStream(Stream):
    """One object's stream.

    Entries: `walk` while a walk is under way, `since` what the last complete one promised, `walked` its record,
    `finished` a job that is over and still there, `replay` how far the change feed was taken, `deleted/<id>` (see
    `connectors.deletions`), `closed/<opportunity>`, `done/<task>`, `due/<meeting>`, `contract/<account>` and
    `role/<digest of a contact>` (see the mappings).
    """

    source = "salesforce"
    overlap = OVERLAP

    def __init__(
        self,
        client: SalesforceClient,
        jobs: BulkJobs,
        walked: WalkedObject,
        reading: Reading | None = None,
        hints: ChangeHints | None = None,
    ) -> None:
        self.name, self.topics = walked.stream, (walked.topic,)
        self.identity_source = walked.identity_source
        self._client = client
        self._jobs = jobs
        self._walked = walked
        self._reading = reading or Reading()
        self._hints = hints
        self._hinted = False
        self._selected: tuple[str, ...] = ()
        self._types: Mapping[str, str] = {}
        self._described_at: datetime | None = None
        # The results of a job that are being handed out, by job and locator.
        self._results: tuple[tuple[str, str | None], JobResults] | None = None
        self._counted: tuple[str, int] | None = None

    def fetch(self, state: State) -> Page:
        """The next records of the walk, or the first of a new one."""
        finished = state.get("finished")
        if finished is not None:
            self._jobs.delete(finished)
        walk = state.get("walk")
        hinted = self._changed(state) if walk is None else None
        if hinted is not None:
            page = hinted
        elif walk is None:
            walk = self._new_walk(since(state))
            # A job must not be forgotten, so its id is committed before anything else.
            page = Page((), {"walk": walk}, since(state), more=True) if "bulk" in walk else self._rest(walk, state)
        else:
            page = self._bulk(walk, state) if "bulk" in walk else self._rest(walk, state)
        return page if finished is None else replace(page, state={"finished": None, **page.state})

    def probes(self) -> Sequence[Probe]:
        """One record's id."""
        name = self._walked.object_name
        return (
            Probe(name, f"the integration user read access to {name}, and View All", lambda: self._client.probe(name)),
        )

    def progress(self, state: State) -> LoadProgress | None:
        """Records read of those that the walk's bound holds; the whole is counted once a walk."""
        walk = state.get("walk")
        if walk is None or "at" not in walk:
            return None
        name, until = self._walked.object_name, walk["until"]
        if self._counted is None or self._counted[0] != until:
            bound = literal(iso_instant(until, "until"))
            self._counted = (until, self._client.count(name, f"SystemModstamp < {bound}"))
        at = literal(iso_instant(walk["at"], "SystemModstamp"))
        return LoadProgress(self._client.count(name, f"SystemModstamp <= {at}"), self._counted[1], "records")

    def map(self, raw: RawObject, state: State) -> Mapped:
        """See `connectors.salesforce.mapping`."""
        return self._walked.map(raw, state)

    def close(self) -> None:
        """Closes connections."""
        if self._hints is not None:
            self._hints.close()
        self._client.close()

    def _changed(self, state: State) -> Page | None:
        """Records that the change feed names, as they are now; never twice in a row, so that walks go on.

        It moves neither the walk nor the promise: a feed may miss what it does not tell.
        """
        complete = since(state)
        if self._hints is None or complete is None:
            return None
        self._hints.follow(state.get("replay"))
        changes = None if self._hinted else self._hints.take(CHANGES_A_PAGE)
        self._hinted = changes is not None
        if changes is None:
            return None
        objects: list[RawObject] = []
        if changes.ids:
            if not self._selected:
                self._describe()
            objects = self._objects(self._named(changes.ids), complete)
        return Page(objects, {"replay": changes.replay_id}, complete, more=True)

    def _named(self, ids: Sequence[str]) -> Sequence[dict[str, Any]]:
        """The records with these ids, at most `CHANGES_A_PAGE`, as they are now."""
        named = ", ".join(f"'{one}'" for one in ids if one.isalnum())
        return self._client.query_all(self._select([f"Id IN ({named})"]), PAGE_OBJECTS).records

    def _objects(self, records: Sequence[dict[str, Any]], until: datetime) -> list[RawObject]:
        """Raw objects; meetings that end before `until` are marked."""
        return [
            RawObject(
                self._walked.object_name,
                str(one["Id"]),
                {**one, HELD: _is_over(one, until)} if self._walked.held else one,
            )
            for one in records
        ]

    def _come_due(
        self, state: State, until: datetime, among: Collection[str]
    ) -> tuple[list[RawObject], dict[str, None]]:
        """Meetings that were still to come when they were read and are over before what is promised next; and the
        entries of those that are not there any more."""
        due = sorted(
            entry.removeprefix(DUE)
            for entry, ends in state.items()
            if self._walked.held and entry.startswith(DUE) and iso_instant(ends, entry) < until
        )
        due = [meeting for meeting in due if meeting not in among]
        places = range(0, len(due), CHANGES_A_PAGE)
        records = [one for place in places for one in self._named(due[place : place + CHANGES_A_PAGE])]
        gone = set(due) - {str(one["Id"]) for one in records}
        return self._objects(records, until), {DUE + meeting: None for meeting in gone}

    def _new_walk(self, complete: datetime | None) -> dict[str, Any]:
        now = self._client.now()
        if self._described_at is None or now - self._described_at >= DESCRIBED_FOR:
            self._describe()
        until = now - LAG
        if complete is not None:
            return {"from": iso(complete - OVERLAP), "until": iso(max(until, complete)), "reads": []}
        walk: dict[str, Any] = {"from": None, "until": iso(until), "reads": []}
        if self._reading.bulk_from:
            condition = f"SystemModstamp < {literal(until)}"
            count = self._client.count(self._walked.object_name, condition)
            if count >= self._reading.bulk_from:
                return self._bulk_walk(walk, count)
        return walk

    def _rest(self, walk: dict[str, Any], state: State) -> Page:
        until = iso_instant(walk["until"], "until")
        if not self._selected:
            self._describe()
        try:
            found = self._client.query_all(self._query(walk), PAGE_OBJECTS)
        except FieldsChangedError as error:
            log.warning("salesforce_fields_changed", stream=self.name, reason=str(error))
            self._describe()
            try:
                found = self._client.query_all(self._query(walk), PAGE_OBJECTS)
            except FieldsChangedError as again:
                raise FatalError(f"A field that {self.name} needs cannot be read: {again}") from again
        objects = self._objects(found.records, until)
        reads = walk["reads"]
        if found.complete:
            held, forgotten = self._come_due(state, until, {raw.source_id for raw in objects})
            ended = self._ended(state, until, found.at, add_read(reads, found.at, until))
            return Page([*objects, *held], {**forgotten, **ended}, until, more=False)
        last = max(found.records, key=_position)
        # Others of the same instant may follow.
        reads = add_read(reads, found.at, _position(last)[0] - timedelta(milliseconds=1))
        walk = {**walk, "at": last["SystemModstamp"], "id": last["Id"], "reads": reads}
        return Page(objects, {"walk": walk}, since(state), more=True)

    def _bulk_walk(self, walk: dict[str, Any], count: int) -> dict[str, Any]:
        """A walk whose records a job brings; the walk itself where there can be none."""
        created = self._jobs.create(self._select([f"SystemModstamp < {literal(iso_instant(walk['until'], 'until'))}"]))
        if isinstance(created, str):
            log.warning("salesforce_bulk_refused", stream=self.name, records=count, reason=created)
            return walk
        job, at = created
        log.info("salesforce_bulk_job", stream=self.name, job=job, records=count)
        return {**walk, "bulk": {"job": job, "created": iso(at), "polls": 0, "ready": None, "locator": None, "row": 0}}

    def _bulk(self, walk: dict[str, Any], state: State) -> Page:
        bulk = walk["bulk"]
        if bulk["ready"] is None:
            return self._await_job(walk, state)
        if not self._selected:
            self._describe()
        place = (bulk["job"], bulk["locator"])
        try:
            if self._results is None or self._results[0] != place:
                self._results = (place, self._jobs.results(*place, self._walked.object_name, self._types))
        except JobGoneError as error:
            return self._without_job(walk, state, str(error))
        results, row = self._results[1], bulk["row"]
        given = results.records[row : row + PAGE_OBJECTS]
        objects = self._objects(given, iso_instant(walk["until"], "until"))
        if row + PAGE_OBJECTS < len(results.records):
            ahead = {**bulk, "row": row + PAGE_OBJECTS}
        elif results.locator is not None:
            ahead = {**bulk, "locator": results.locator, "row": 0}
        else:
            self._results = None
            # A job reads in no order and for a while: what changed before its end may have been met in either version.
            until, ready = iso_instant(walk["until"], "until"), iso_instant(bulk["ready"], "ready")
            ended = self._ended(state, until, ready, add_read([], ready, until))
            return Page(objects, {**ended, "finished": bulk["job"]}, until, more=False)
        return Page(objects, {"walk": {**walk, "bulk": ahead}}, since(state), more=True)

    def _await_job(self, walk: dict[str, Any], state: State) -> Page:
        bulk = walk["bulk"]
        job = self._jobs.state(bulk["job"])
        if job.state in ("Failed", "Aborted", "Gone"):
            return self._without_job(walk, state, f"{job.state}: {job.message}")
        if job.state == "JobComplete":
            return Page((), {"walk": {**walk, "bulk": {**bulk, "ready": iso(job.at)}}}, since(state), more=True)
        if job.at - iso_instant(bulk["created"], "created") > JOB_PATIENCE:
            self._jobs.abort(bulk["job"])
            return self._without_job(walk, state, f"it is {job.state} after {JOB_PATIENCE}")
        self._jobs.pause(min(_FIRST_POLL_SECONDS * 2 ** min(bulk["polls"], 10), _LAST_POLL_SECONDS))
        waited = {**bulk, "polls": bulk["polls"] + 1}
        return Page((), {"walk": {**walk, "bulk": waited}}, since(state), more=True)

    def _without_job(self, walk: dict[str, Any], state: State, reason: str) -> Page:
        """The same walk by REST; what a job has brought already is told again with the same ids."""
        log.warning("salesforce_bulk_failed", stream=self.name, job=walk["bulk"]["job"], reason=reason)
        self._jobs.delete(walk["bulk"]["job"])
        self._results = None
        rest = {name: value for name, value in walk.items() if name != "bulk"}
        return Page((), {"walk": rest}, since(state), more=True)

    @staticmethod
    def _ended(state: State, until: datetime, at: datetime, reads: Sequence[tuple[float, float]]) -> dict[str, Any]:
        return {"walk": None, "since": iso(until), "walked": record(state, until, at, reads)}

    def _query(self, walk: dict[str, Any]) -> str:
        conditions = [f"SystemModstamp < {literal(iso_instant(walk['until'], 'until'))}"]
        if "at" in walk:
            at = literal(iso_instant(walk["at"], "SystemModstamp"))
            conditions.append(f"(SystemModstamp > {at} OR (SystemModstamp = {at} AND Id > '{walk['id']}'))")
        elif walk["from"] is not None:
            conditions.append(f"SystemModstamp >= {literal(iso_instant(walk['from'], 'from'))}")
        return f"{self._select(conditions)} ORDER BY SystemModstamp ASC, Id ASC"

    def _select(self, conditions: Sequence[str]) -> str:
        where = " AND ".join(conditions)
        return f"SELECT {', '.join(self._selected)} FROM {self._walked.object_name} WHERE {where}"  # noqa: S608 - SOQL

    def _describe(self) -> None:
        """Chooses the fields: an optional one that this organisation hides or lacks would fail the whole query."""
        described = self._client.describe(self._walked.object_name)
        chosen = [*self._walked.fields, *(name for name in self._walked.optional if name in described.fields)]
        others = sorted(set(described.fields) - set(chosen)) if self._reading.every_field else []
        size = sum(len(name) + 2 for name in chosen)
        for place, name in enumerate(others):
            size += len(name) + 2
            if size > QUERY_CHARACTERS:
                log.warning("salesforce_fields_left_out", stream=self.name, fields=others[place:])
                break
            chosen.append(name)
        self._selected, self._types, self._described_at = tuple(chosen), described.fields, described.at


def _is_over(meeting: dict[str, Any], until: datetime) -> bool:
    try:
        return iso_instant(meeting.get("EndDateTime"), "EndDateTime") < until
    except BadRecordError:
        return True  # the mapping says what is wrong with it


def _position(record: dict[str, Any]) -> tuple[datetime, str]:
    return iso_instant(record["SystemModstamp"], "SystemModstamp"), str(record["Id"])
