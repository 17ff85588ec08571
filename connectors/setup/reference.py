"""A page of reference for each connector, made from what stands in its folder: docs/connectors/<name>.md."""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType

from pydantic import SecretStr

from connectors.catalogue import connector_modules
from connectors.conformance import Conformance
from connectors.contract import Stream
from connectors.simulation.faults import KINDS
from connectors.simulation.vendors import simulators
from connectors.vendor_settings import VendorSettings, is_secret, settings_of
from vitals.errors import UserError
from vitals.settings import Settings

PAGES = Path(__file__).resolve().parents[2] / "docs" / "connectors"
MADE = "<!-- Made by `vitals connectors reference --write`; do not edit. -->"


def pages() -> dict[str, str]:
    """The page of every connector that has a simulator, by name."""
    modules = connector_modules()
    return {name: page(modules[name], simulators()[name]) for name in sorted(simulators())}


def page(module: ModuleType, simulator: ModuleType) -> str:
    """One connector's page in Markdown."""
    conformance: Conformance = import_module(f"{module.__name__.rpartition('.')[0]}.conformance").CONFORMANCE
    # Enabled alone it shows everything that it can bring, whatever this machine's settings are.
    alone = Settings(simulator_url="http://127.0.0.1", connectors=module.NAME)  # type: ignore[call-arg]
    streams: list[Stream] = module.create(alone)
    try:
        parts = [
            f"# Connector {module.NAME}",
            MADE,
            _prose(module),
            f"Streams write to {_codes(module.topics)}. `vitals connectors add {module.NAME}` sets it up.",
            *_streams(streams),
            *_events(conformance),
            *_settings(settings_of(module)),
            *_webhooks(module),
            *_permissions(streams),
            *_simulator(simulator.FAULTS, conformance),
        ]
    finally:
        for stream in streams:
            stream.close()
    return "\n\n".join(parts) + "\n"


def write_pages(folder: Path = PAGES) -> list[Path]:
    """Writes every page; those that changed.

    Raises:
        UserError: the folder cannot be written.
    """
    changed = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in pages().items():
            path = folder / f"{name}.md"
            if not path.exists() or path.read_text() != text:
                path.write_text(text)
                changed.append(path)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}.") from error
    return changed


def _streams(streams: Iterable[Stream]) -> Iterator[str]:
    yield "## Streams"
    for stream in streams:
        overlap = "nothing is read again" if stream.overlap is None else f"{span(stream.overlap)} may be read again"
        accounts = "; its profiles define accounts" if stream.identity_source else ""
        text = _without_first_mention(_prose(type(stream)), stream.name)
        yield f"### `{stream.name}`"
        yield f"To {_codes(stream.topics)}; {overlap}{accounts}."
        if text:
            yield text


def _events(conformance: Conformance) -> Iterator[str]:
    yield "## Events"
    yield "\n".join(
        f"- `{kind}`{', told only at its own moment, not by a later first load' * (kind in conformance.told_by_change)}"
        for kind in conformance.kinds
    )


def _settings(classes: Iterable[type[VendorSettings]]) -> Iterator[str]:
    yield "## Settings"
    rows = ["| variable | meaning | default |", "| --- | --- | --- |"]
    for own in classes:
        for name, field in own.model_fields.items():
            default = "secret" if is_secret(own, name) else "" if field.default in ("", None) else f"`{field.default}`"
            assert not isinstance(field.default, SecretStr) or not field.default.get_secret_value()
            rows.append(f"| `{own.variable(name)}` | {field.description} | {default} |")
    yield "\n".join(rows)


def _webhooks(module: ModuleType) -> Iterator[str]:
    yield "## Webhooks"
    if hasattr(module, "webhook"):
        yield f"Taken at `POST /v1/webhooks/{module.NAME}` where their secret is set; what they bring is polled too."
    else:
        yield "None are taken: everything is polled."


def _permissions(streams: Iterable[Stream]) -> Iterator[str]:
    asked = [f"- {probe.reads}: grant {probe.permission}" for stream in streams for probe in stream.probes()]
    if asked:
        yield "## What it must be allowed to read"
        yield "`vitals connectors check` sends one small request for each:"
        yield "\n".join(asked)


def _simulator(own: Mapping[str, str], conformance: Conformance) -> Iterator[str]:
    yield "## Faults of its simulator"
    yield f"Those that every simulated vendor has (`connectors/simulation/faults.py`): {_codes(KINDS)}."
    if own:
        waived = {kind: f" (the connector never meets it: {why})" for kind, why in conformance.waived.items()}
        yield "Its own:"
        yield "\n".join(f"- `{kind}`: {what}{waived.get(kind, '')}" for kind, what in own.items())


def _prose(documented: object) -> str:
    """A docstring as paragraphs, each on one line."""
    text = inspect.getdoc(documented) or ""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _without_first_mention(text: str, name: str) -> str:
    """A stream's docstring often begins with its name, which is the heading here."""
    return text.removeprefix(f"`{name}`.").strip()


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def span(length: timedelta) -> str:
    """A length of time in words.

    >>> span(timedelta(days=1, hours=1)), span(timedelta(minutes=10))
    ('1 d 1 h', '10 min')
    """
    seconds, parts = int(length.total_seconds()), []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if seconds >= size:
            parts.append(f"{seconds // size} {unit}")
            seconds %= size
    return " ".join(parts) or "0 s"
