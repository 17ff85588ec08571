"""Schema drift: fields that a vendor's objects did not have before, and fields whose type changes.

Vendors add fields without notice. Raw objects keep all of them and the mappings pass over what they do not know, so
nothing breaks, and nobody would notice. So each stream remembers the fields and JSON types of each type of object in
its state (entry `fields/<object type>`). A first load learns them in silence; what is new after it is reported once:
the entry, with the time of the report, is part of the page's transaction.

`{"Name": {"types": ["string"]}, "Plan_2__c": {"types": ["string"], "reported_at": "2026-11-20T10:04:11Z"}}`
"""

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from prometheus_client import Counter

from connectors.contract import Json, RawObject
from connectors.fates import COMPLETE
from connectors.fields import iso

log = structlog.get_logger()

DRIFT = Counter(
    "vitals_connector_schema_drift_total", "Fields of vendors' objects that are new or changed their type.", ["stream"]
)

FIELDS = "fields/"
FIELDS_MAX = 1_000
"""An object with more fields than this uses names as values, which no list of fields describes: it is not followed."""

_TYPES = {str: "string", bool: "boolean", int: "number", float: "number", dict: "object", list: "array"}


@dataclass(frozen=True, slots=True)
class Drift:
    """One report. `before` holds the types that were known, none for a new field."""

    object_type: str
    name: str
    before: Sequence[str]
    types: Sequence[str]


def shape(body: Json) -> dict[str, str | None]:
    """Fields of an object with their JSON types; a null says nothing of its field's type.

    >>> shape({"Id": "001", "Amount": 2.5, "Tags": [], "Plan": None})
    {'Id': 'string', 'Amount': 'number', 'Tags': 'array', 'Plan': None}
    """
    if not isinstance(body, Mapping):
        return {}
    return {str(name): _TYPES.get(type(value)) for name, value in body.items()}


def note(
    objects: Iterable[RawObject], state: Mapping[str, Json], updates: MutableMapping[str, Json], now: datetime
) -> list[Drift]:
    """What a page's objects have that the state does not know; adds the new entries to `updates`. Pure but for that."""
    seen: dict[str, dict[str, set[str]]] = {}
    for raw in objects:
        fields = seen.setdefault(raw.object_type, {})
        for name, kind in shape(raw.body).items():
            kinds = fields.setdefault(name, set())
            if kind is not None:
                kinds.add(kind)
    found: list[Drift] = []
    for object_type, fields in seen.items():
        entry = FIELDS + object_type
        known: Mapping[str, Any] = state.get(entry) or {}
        # What a first load has not shown yet is nothing new, nor is a type of object that nobody has seen.
        learning = COMPLETE not in state or entry not in state
        changed: dict[str, Any] = {}
        for name, kinds in sorted(fields.items()):
            before = known.get(name, {}).get("types", [])
            if name in known and kinds <= set(before):
                continue
            types = sorted({*before, *kinds})
            changed[name] = {**known.get(name, {}), "types": types}
            # A field that was null so far gets its type now, which is neither new nor another one.
            if not learning and (name not in known or before):
                changed[name]["reported_at"] = iso(now)
                found.append(Drift(object_type, name, tuple(before), tuple(types)))
        if changed and len(known) + sum(name not in known for name in changed) <= FIELDS_MAX:
            updates[entry] = {**known, **changed}
        elif changed:
            found = [one for one in found if one.object_type != object_type]
    return found


def report(stream: str, found: Iterable[Drift]) -> None:
    """Says it, after the commit: a line in the log for each field, and the counter."""
    for one in found:
        DRIFT.labels(stream).inc()
        log.warning(
            "schema_drift",
            stream=stream,
            object_type=one.object_type,
            field=one.name,
            before="/".join(one.before) or "absent",
            types="/".join(one.types) or "null",
        )
