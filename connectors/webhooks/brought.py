"""What deliveries bring to a stream: one page, whatever a single delivery's body does to the stream."""

from collections.abc import Callable, Sequence

from connectors.contract import Delivery, Json, Page, RawObject, RefusedDeliveryError, State, Stream
from vitals.errors import BadRecordError

UNREADABLE = (BadRecordError, RefusedDeliveryError, TypeError, ValueError, LookupError, AttributeError)
"""What reading a body of an unexpected shape trips over."""


def brought_by(
    stream: Stream, deliveries: Sequence[Delivery], state: State, unreadable: Callable[[Delivery, str], None]
) -> Page:
    """The page that deliveries bring, in their order; empty where they bring nothing.

    Where the stream cannot read one of them, it is given each by itself, and `unreadable` is told those that fail.

    Raises:
        RetriableError, FatalError: as `Stream.received`.
    """
    try:
        found = [stream.received(deliveries, state)] if deliveries else []
    except UNREADABLE:
        found = []
        for delivery in deliveries:
            try:
                found.append(stream.received([delivery], state))
            except UNREADABLE as error:
                # Only our own words are repeated: other messages quote the body.
                known = isinstance(error, BadRecordError | RefusedDeliveryError)
                unreadable(delivery, str(error) if known else f"The body cannot be read: {type(error).__name__}.")
    objects: list[RawObject] = []
    updates: dict[str, Json] = {}
    for page in found:
        if page is not None:
            objects.extend(page.objects)
            updates.update(page.state)
    return Page(objects, updates, None, more=False)
