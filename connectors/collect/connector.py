"""HTTP collect: events that applications send themselves, in Segment's form: use of the product, and what people say.

It is not polled: `vitals collect` receives calls and is the one owner of the stream's transactional id.
"""

from connectors.contract import Stream
from vitals.settings import Settings

NAME = "collect"
POLLED = False
STREAM = "collect.http"
topics = ("events.product", "events.crm", "events.support")


def create(settings: Settings) -> list[Stream]:
    """Nothing for `vitals connect` to run."""
    del settings
    return []


def registrations(settings: Settings) -> list[tuple[str, str, tuple[str, ...]]]:
    """Source, name and topics of the stream that `vitals collect` writes."""
    del settings
    return [(NAME, STREAM, topics)]
