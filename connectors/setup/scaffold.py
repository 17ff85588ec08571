"""A new connector's folder: one that works against its own simulator, to be made what its author means."""

import re
from pathlib import Path
from string import Template
from typing import Any

import orjson

from connectors.catalogue import connector_modules
from schemas.topics import EVENTS_TOPICS
from vitals.errors import UserError
from vitals.events import event_id

NAME = re.compile(r"[a-z][a-z0-9]{1,30}")
TEMPLATES = Path(__file__).parent / "new_connector"
CONNECTORS = Path(__file__).resolve().parents[1]


def scaffold(name: str, display: str | None, domain: str, folder: Path = CONNECTORS) -> list[Path]:
    """Writes `<folder>/<name>/` for a JSON API with a cursor, and returns the files.

    `display` is the vendor's name as it is written (default: the name with a capital), `domain` that of its events.

    Raises:
        UserError: the name or the domain is not one that a connector can have, or exists; the folder cannot be written.
    """
    domains = [topic.partition(".")[2] for topic in EVENTS_TOPICS]
    if not NAME.fullmatch(name):
        raise UserError(f"{name} is not a connector's name: use lower-case letters and digits, such as pipedrive.")
    if domain not in domains:
        raise UserError(f"There is no topic events.{domain}: choose a domain of {', '.join(domains)}.")
    own = folder / name
    if own.exists() or name in connector_modules():
        raise UserError(f"{own} exists already; a connector is one folder of its own.")
    display = " ".join((display or name.capitalize()).replace('"', "").replace("$", "").split())
    kind = f"{domain}.record_created"
    words = {"name": name, "Name": name.capitalize(), "NAME": name.upper(), "display": display}
    texts = {
        path.name.removesuffix(".txt"): _sorted_imports(
            Template(path.read_text()).substitute(words, domain=domain, kind=kind)
        )
        for path in sorted(TEMPLATES.glob("*.py.txt"))
    }
    pairs = {
        f"golden/{case}.json": orjson.dumps(pair, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()
        for case, pair in _golden(name, kind).items()
    }
    written = []
    try:
        (own / "golden").mkdir(parents=True)
        for file, text in {"__init__.py": "", **texts, **pairs}.items():
            path = own / file
            path.write_text(text)
            written.append(path)
    except OSError as error:
        raise UserError(f"{own} cannot be written: {error.strerror}.") from error
    return written


def _sorted_imports(text: str) -> str:
    """The imports of this project in their order, which depends on the name."""
    lines = text.splitlines(keepends=True)
    places = [number for number, line in enumerate(lines) if line.startswith(("from connectors.", "from vitals."))]
    for place, line in zip(places, sorted(lines[place] for place in places), strict=True):
        lines[place] = line
    return "".join(lines)


def _golden(name: str, kind: str) -> dict[str, dict[str, Any]]:
    """Pairs of a raw object and what it means: linked, not linked, invalid."""
    body = {
        "id": "rec_1",
        "created_at": "2026-11-20T10:04:11Z",
        "account_id": "77",
        "crm_account_id": "0015e00000AaBbCAAV",
        "user_id": "ana",
        "title": "First record",
    }
    unlinked = {"id": "rec_2", "created_at": "2026-11-20T12:04:11+02:00", "account_id": "78"}
    return {
        "record": _pair(name, body, _event(name, kind, body, "crm:account:0015e00000AaBbCAAV")),
        "record_of_unlinked_account": _pair(name, unlinked, _event(name, kind, unlinked, f"{name}:account:78")),
        "record_without_time": _pair(name, {"id": "rec_3"}, None),
    }


def _pair(name: str, body: dict[str, str], event: dict[str, Any] | None) -> dict[str, Any]:
    meaning = (
        {"error": "The object has no created_at."}
        if event is None
        else {"mapped": {"events": [event], "profiles": [], "state": {}}}
    )
    raw = {"object_type": "record", "source_id": body["id"], "body": body}
    return {"stream": f"{name}.records", "raw": raw, "state": {}, **meaning}


def _event(name: str, kind: str, body: dict[str, str], account: str) -> dict[str, Any]:
    return {
        "event_id": event_id(name, "record", body["id"], kind),
        "kind": kind,
        "object_type": "record",
        "source_id": body["id"],
        "occurrence": "",
        "event_time": "2026-11-20T10:04:11Z",
        "account_ref": account,
        "user": body.get("user_id"),
        "value": None,
        "properties": {"title": body["title"]} if "title" in body else {},
    }
