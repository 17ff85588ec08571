"""Names of streams as people write them."""

from collections.abc import Sequence

from connectors.catalogue import registrations_of, require_connectors
from vitals.errors import UserError
from vitals.settings import Settings


def polled_streams(name: str, chosen: Sequence[str], settings: Settings) -> list[str]:
    """The streams of connector `name` that are meant: all, or those chosen, with or without the connector's name.

    Its settings need not be complete.

    Raises:
        UserError: no such connector or stream, or one that only receives.
    """
    module = require_connectors((name,))[name]
    if not getattr(module, "POLLED", True):
        raise UserError(f"{name} receives what others send; there is nothing to fetch.")
    simulated = settings.model_copy(update={"simulator_url": "http://127.0.0.1"})
    streams = [stream for _, stream, _ in registrations_of(module, simulated)]
    wanted = {one if one.startswith(f"{name}.") else f"{name}.{one}" for one in chosen}
    unknown = wanted - set(streams)
    if unknown:
        raise UserError(f"{name} has no stream {', '.join(sorted(unknown))}; there are {', '.join(streams)}.")
    return [stream for stream in streams if not wanted or stream in wanted]
