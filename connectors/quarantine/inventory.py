"""What stands in quarantine now, read from the topics: every event that waits, and who it would be driven to."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from connectors.catalogue import identity_source_enabled
from connectors.fields import iso
from connectors.identities import IDENTITIES, IdentityIndex
from connectors.quarantine.records import QUARANTINE, read_topic
from connectors.quarantine.waiting import WAITING, Waiting, waiting_in
from connectors.stream_state import CURSORS
from vitals.avro import AvroSerde
from vitals.errors import UserError
from vitals.settings import Settings

NAMELESS = "(none)"
"""Shown for an event whose source names no account: no claim can ever decide it."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A quarantined event with its place. `waits`: it will be driven again once its name is decided."""

    partition: int
    offset: int
    record: dict[str, Any]
    waits: bool

    @property
    def position(self) -> str:
        """Partition and offset, as the command line takes them."""
        return f"{self.partition}/{self.offset}"

    @property
    def name(self) -> str:
        """The account as the source names it."""
        return self.record["account_ref"] or NAMELESS

    def json(self) -> dict[str, Any]:
        """As `--json` shows it; the original stays as the vendor's JSON where it is that."""
        record = self.record
        try:
            original: Any = orjson.loads(record["original"])
        except orjson.JSONDecodeError:
            original = record["original"].decode(errors="replace")
        return {
            "position": self.position, "event_id": record["event_id"], "kind": record["kind"],
            "source": record["source"], "stream": record["stream"], "account_ref": record["account_ref"],
            "event_time": None if record["event_time"] is None else iso(record["event_time"]),
            "set_aside_at": iso(record["set_aside_at"]), "message": record["message"], "origin": record["origin"],
            "user_id": record["user_id"], "value": None if record["value"] is None else str(record["value"]),
            "properties": record["properties"], "waits": self.waits, "original": original,
        }  # fmt: skip


def index_now(settings: Settings, serde: AvroSerde) -> IdentityIndex:
    """Everything that the topic `identities` says by now.

    Raises:
        RetriableError: the brokers do not answer.
    """
    index = IdentityIndex(has_identity_source=identity_source_enabled(settings))
    for found in read_topic(settings, serde, IDENTITIES):
        if found.name is not None and found.record is not None:
            index.apply(found.partition, found.name, found.record)
    return index


def waiting_now(settings: Settings, serde: AvroSerde) -> dict[str, list[Waiting]]:
    """What waits, by stream."""
    marker = f"|{WAITING}".encode()
    entries: dict[str, dict[str, Any]] = {}
    for found in read_topic(settings, serde, CURSORS, lambda key: marker in key):
        stream, _, entry = found.key.decode().partition("|")
        if found.record is None:
            entries.get(stream, {}).pop(entry, None)
        else:
            entries.setdefault(stream, {})[entry] = orjson.loads(found.record["value"])
    return {stream: list(waiting_in(state)) for stream, state in entries.items() if state}


def quarantined_now(settings: Settings, serde: AvroSerde) -> list[Quarantined]:
    """Every event that is in quarantine now, in the order of event time: those driven again are not.

    Raises:
        RetriableError: the brokers do not answer.
    """
    waiting = waiting_now(settings, serde)
    places: dict[tuple[str, str, int], list[tuple[int, int]]] = {}
    for stream, ones in waiting.items():
        for one in ones:
            places.setdefault((stream, one.account_ref, one.partition), []).append((one.first, one.last))
    found = []
    for committed in read_topic(settings, serde, QUARANTINE):
        record = committed.record
        if record is None:
            continue
        spans = places.get((record["stream"] or "", record["account_ref"] or "", committed.partition), ())
        waits = any(first <= committed.offset <= last for first, last in spans)
        # What names no account, or was set aside before streams remembered it, stays; all else was driven again.
        if waits or record["account_ref"] is None or record["stream"] is None:
            found.append(Quarantined(committed.partition, committed.offset, record, waits))
    return sorted(found, key=lambda one: (one.record["event_time"] or one.record["set_aside_at"], one.position))


def pick(found: Iterable[Quarantined], wanted: str) -> Quarantined:
    """The event of a position or an event id.

    Raises:
        UserError: it is not in quarantine.
    """
    for one in found:
        if wanted in (one.position, one.record["event_id"]):
            return one
    raise UserError(
        f"{wanted} is not in quarantine, or is not any more: give a position such as 3/17 or an event id of "
        "`vitals quarantine list --json`."
    )


@dataclass(frozen=True, slots=True)
class Group:
    """Events of one name, source or kind; `account` is who a name is by now, which its stream is about to follow."""

    value: str
    events: int
    oldest: datetime | None
    newest: datetime | None
    sources: tuple[str, ...]
    account: str | None
    why: str

    def json(self) -> dict[str, Any]:
        """As `--json` shows it."""
        return {
            "value": self.value, "events": self.events, "sources": list(self.sources),
            "oldest": None if self.oldest is None else iso(self.oldest),
            "newest": None if self.newest is None else iso(self.newest),
            "account_id": self.account, "why": self.why,
        }  # fmt: skip


def grouped(found: Iterable[Quarantined], by: str, index: IdentityIndex) -> list[Group]:
    """By `account_ref`, `source` or `kind`, the largest group first."""
    groups: dict[str, list[Quarantined]] = {}
    for one in found:
        groups.setdefault(one.name if by == "account_ref" else str(one.record[by]), []).append(one)
    told = []
    for value, ones in groups.items():
        times = [one.record["event_time"] for one in ones if one.record["event_time"] is not None]
        named = by == "account_ref" and value != NAMELESS
        account = index.resolve(value) if named else None
        told.append(
            Group(
                value, len(ones), min(times, default=None), max(times, default=None),
                tuple(sorted({one.record["source"] for one in ones})), account, _why(index, value) if named else "",
            )
        )  # fmt: skip
    return sorted(told, key=lambda group: (-group.events, group.value))


def _why(index: IdentityIndex, name: str) -> str:
    decision = index.decide(name)
    if decision.account is not None:
        return f"decided by {decision.evidence}"
    return (
        f"{len(decision.rivals)} accounts by {decision.evidence}" if decision.rivals else "no claim on a known account"
    )
