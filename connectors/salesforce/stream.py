"""Walks over an object's modifications: a keyset over (SystemModstamp, Id) below a bound frozen at the walk's start."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from connectors.contract import Mapped, Page, RawObject, State, Stream
from connectors.fields import iso, iso_instant, since
from connectors.promises import add_read, record
from connectors.salesforce.client import SalesforceClient, literal
from connectors.salesforce.mapping import OVERLAP

PAGE_OBJECTS = 1_000

LAG = timedelta(seconds=5)
"""Records of the newest seconds wait for the next walk, so that most late commits need no overlap."""


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


class WalkStream(Stream):
    """One object's stream.

    Entries: `walk` while a walk is under way, `since` what the last complete one promised, `walked` its record,
    `deleted/<id>` (see `connectors.deletions`), `closed/<opportunity>` and `done/<task>` (see the mappings).
    """

    source = "salesforce"
    overlap = OVERLAP

    def __init__(self, client: SalesforceClient, walked: WalkedObject) -> None:
        self.name, self.topics = walked.stream, (walked.topic,)
        self.identity_source = walked.identity_source
        self._client = client
        self._walked = walked
        self._selected: tuple[str, ...] | None = None

    def fetch(self, state: State) -> Page:
        """The next records of the walk, or the first of a new one."""
        complete = since(state)
        walk = state.get("walk") or self._new_walk(complete)
        until = iso_instant(walk["until"], "until")
        found = self._client.query_all(self._query(walk), PAGE_OBJECTS)
        objects = [RawObject(self._walked.object_name, str(record["Id"]), record) for record in found.records]
        reads = walk["reads"]
        if found.complete:
            reads = add_read(reads, found.at, until)
            ended = {"walk": None, "since": iso(until), "walked": record(state, until, found.at, reads)}
            return Page(objects, ended, until, more=False)
        last = max(found.records, key=_position)
        # Others of the same instant may follow.
        reads = add_read(reads, found.at, _position(last)[0] - timedelta(milliseconds=1))
        walk = {**walk, "at": last["SystemModstamp"], "id": last["Id"], "reads": reads}
        return Page(objects, {"walk": walk}, complete, more=True)

    def map(self, raw: RawObject, state: State) -> Mapped:
        """See `connectors.salesforce.mapping`."""
        return self._walked.map(raw, state)

    def close(self) -> None:
        """Closes connections."""
        self._client.close()

    def _new_walk(self, complete: datetime | None) -> dict[str, Any]:
        until = self._client.now() - LAG
        if complete is None:
            return {"from": None, "until": iso(until), "reads": []}
        return {"from": iso(complete - OVERLAP), "until": iso(max(until, complete)), "reads": []}

    def _query(self, walk: dict[str, Any]) -> str:
        conditions = [f"SystemModstamp < {literal(iso_instant(walk['until'], 'until'))}"]
        if "at" in walk:
            at = literal(iso_instant(walk["at"], "SystemModstamp"))
            conditions.append(f"(SystemModstamp > {at} OR (SystemModstamp = {at} AND Id > '{walk['id']}'))")
        elif walk["from"] is not None:
            conditions.append(f"SystemModstamp >= {literal(iso_instant(walk['from'], 'from'))}")
        return (
            f"SELECT {', '.join(self._fields())} FROM {self._walked.object_name} "  # noqa: S608 - SOQL reads only
            f"WHERE {' AND '.join(conditions)} ORDER BY SystemModstamp ASC, Id ASC"
        )

    def _fields(self) -> tuple[str, ...]:
        """The fields to select: an optional one that this organisation hides or lacks would fail the whole query."""
        if self._selected is None:
            known = self._client.fields(self._walked.object_name)
            self._selected = (*self._walked.fields, *(name for name in self._walked.optional if name in known))
        return self._selected


def _position(record: dict[str, Any]) -> tuple[datetime, str]:
    return iso_instant(record["SystemModstamp"], "SystemModstamp"), str(record["Id"])
