"""Golden pairs: a raw object and the state on one side, what it means on the other, as one JSON file each.

`{"stream", "raw": {"object_type", "source_id", "body"}, "state"}` with either `"mapped"` or `"error"` (the reason).
"""

from pathlib import Path
from typing import Any

import orjson

from connectors.contract import Link, Mapped, MappedEvent, Merge, Profile, RawObject, Stream
from connectors.fields import iso
from vitals.errors import BadRecordError
from vitals.events import event_id

CONNECTORS = Path(__file__).resolve().parents[2] / "connectors"


def files() -> list[Path]:
    """Every golden pair of every connector's folder."""
    return sorted(CONNECTORS.glob("*/golden/*.json"))


def answer(stream: Stream, case: dict[str, Any]) -> dict[str, Any]:
    """What the stream's mapping makes of a case, in the form of the file."""
    try:
        return {"mapped": _mapped(stream.source, stream.map(RawObject(**case["raw"]), case["state"]))}
    except BadRecordError as error:
        return {"error": str(error)}


def _mapped(source: str, mapped: Mapped) -> dict[str, Any]:
    return {
        "events": [_event(source, event) for event in mapped.events],
        "profiles": [_profile(profile) for profile in mapped.profiles],
        "state": dict(mapped.state),
        # Only where the object says something of it.
        **({"links": [_link(link) for link in mapped.links]} if mapped.links else {}),
        **({"merges": [_merge(merge) for merge in mapped.merges]} if mapped.merges else {}),
        **({"claimants": list(mapped.claimants)} if mapped.claimants else {}),
    }


def _link(link: Link) -> dict[str, Any]:
    return {
        "identity": link.identity,
        "account_ref": link.account_ref,
        "evidence": link.evidence,
        "valid_from": iso(link.valid_from),
        "withdrawn": link.withdrawn,
    }


def _merge(merge: Merge) -> dict[str, Any]:
    return {"identity": merge.identity, "surviving": merge.surviving, "valid_from": iso(merge.valid_from)}


def _event(source: str, event: MappedEvent) -> dict[str, Any]:
    return {
        "event_id": event_id(source, event.object_type, event.source_id, event.kind, event.occurrence),
        "kind": event.kind,
        "object_type": event.object_type,
        "source_id": event.source_id,
        "occurrence": event.occurrence,
        "event_time": iso(event.event_time),
        "account_ref": event.account_ref,
        "user": event.user,
        "value": None if event.value is None else f"{event.value:f}",
        "properties": dict(event.properties),
    }


def _profile(profile: Profile) -> dict[str, Any]:
    return {
        "identity": profile.identity,
        "crm_id": profile.crm_id,
        "name": profile.name,
        "created_at": iso(profile.created_at),
        "valid_from": iso(profile.valid_from),
        "segment": profile.segment,
        "owner": profile.owner,
        "region": profile.region,
        "plan": profile.plan,
        "deleted": profile.deleted,
        # Only what the source knows.
        **{
            name: text
            for name, text in {
                "arr": None if profile.arr is None else f"{profile.arr:f}",
                "arr_currency": profile.arr_currency,
                "time_zone": profile.time_zone,
                "renewal_date": None if profile.renewal_date is None else profile.renewal_date.isoformat(),
                "domain": profile.domain,
                "parent": profile.parent,
            }.items()
            if text is not None
        },
    }


def write(path: Path, case: dict[str, Any]) -> None:
    """Stores a case as a reviewable file."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(orjson.dumps(case, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
