"""The connectors that exist, found by walking the folders beside this module."""

from types import ModuleType

from connectors.contract import Stream, Webhook
from vitals.discovery import modules_named
from vitals.errors import UserError
from vitals.settings import Settings


def connector_modules() -> dict[str, ModuleType]:
    """Every connector's module by name."""
    return {module.NAME: module for module in modules_named("connector", ("connectors",))}


def require_connectors(names: tuple[str, ...]) -> dict[str, ModuleType]:
    """The modules of the named connectors.

    Raises:
        UserError: no such connector.
    """
    modules = connector_modules()
    unknown = [name for name in names if name not in modules]
    if unknown:
        raise UserError(f"No connector is called {', '.join(unknown)}; there are {', '.join(sorted(modules))}.")
    return {name: modules[name] for name in names}


def streams_of(settings: Settings, names: tuple[str, ...]) -> list[Stream]:
    """The streams of the named connectors.

    Raises:
        UserError: no such connector.
    """
    return [stream for module in require_connectors(names).values() for stream in module.create(settings)]


def webhooks_of(settings: Settings) -> dict[str, Webhook]:
    """How the enabled connectors' vendors sign what they send, by source; those without a secret take no webhooks.

    Raises:
        UserError: a setting is wrong.
    """
    modules = connector_modules()
    enabled = [modules[name] for name in settings.enabled_connectors if name in modules]
    found = [module.webhook(settings) for module in enabled if hasattr(module, "webhook")]
    return {webhook.source: webhook for webhook in found if webhook is not None}


def registrations_of(module: ModuleType, settings: Settings) -> list[tuple[str, str, tuple[str, ...]]]:
    """Source, stream and topics of everything that a connector writes.

    A connector that is not polled (`POLLED = False`) says it with `registrations(settings)`; `create` gives it no
    stream to run.
    """
    if hasattr(module, "registrations"):
        declared: list[tuple[str, str, tuple[str, ...]]] = module.registrations(settings)
        return declared
    return [(stream.source, stream.name, stream.topics) for stream in module.create(settings)]


def identity_source_enabled(settings: Settings) -> bool:
    """Whether an enabled connector defines accounts. For processes that hold no vendor's credentials.

    The streams are created as for a simulator, which takes the demonstration's credentials; nothing is sent.
    """
    modules = connector_modules()
    simulated = settings.model_copy(update={"simulator_url": "http://127.0.0.1"})
    streams = streams_of(simulated, tuple(name for name in settings.enabled_connectors if name in modules))
    try:
        return any(stream.identity_source for stream in streams)
    finally:
        for stream in streams:
            stream.close()
