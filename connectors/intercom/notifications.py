"""The objects in verified notifications, in the form in which the polled path brings them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from connectors.contract import Delivery, RawObject, RefusedDeliveryError
from connectors.intercom.mapping import COMPANY, CONTACT, CONVERSATION
from connectors.intercom.webhook import notification_of
from vitals.errors import BadRecordError

Body = dict[str, Any]


class Objects(Protocol):
    """Where an object is asked for that a notification holds a part of."""

    def conversation(self, conversation_id: str) -> Body | None:
        """One conversation, None where there is none."""
        ...

    def contact(self, contact_id: str) -> Body | None:
        """One contact with all its companies, None where there is none."""
        ...

    def company(self, company_id: str) -> Body | None:
        """One company, None where there is none."""
        ...

    def complete(self, contact: Body) -> Body:
        """A contact with every company."""
        ...


@dataclass(frozen=True, slots=True)
class _Kind:
    """What must be in an object to map it, and what asks for the whole."""

    needs: Sequence[str]
    ask: Callable[[Objects, str], Body | None]


# Notifications may hold less than the API gives; a conversation without statistics does not tell when it was closed.
_KINDS: Mapping[str, _Kind] = {
    CONVERSATION: _Kind(("created_at", "updated_at", "statistics"), lambda client, found: client.conversation(found)),
    CONTACT: _Kind(("updated_at", "companies"), lambda client, found: client.contact(found)),
    COMPANY: _Kind(("updated_at", "company_id"), lambda client, found: client.company(found)),
}

# Of a merged contact the notification shows the one that stays; an archived one keeps its conversations and companies.
_DELETED = {"contact.deleted": CONTACT, "company.deleted": COMPANY}
_CONVERSATION_GONE = "conversation.deleted"


def notified_objects(deliveries: Iterable[Delivery], client: Objects) -> Iterator[RawObject]:
    """What the notifications are about, in their order; an object that is named only is asked for.

    Pings, deleted conversations (their events have happened) and kinds that no event comes from give nothing.

    Raises:
        BadRecordError: a body is no notification.
    """
    for delivery in deliveries:
        notification = _notification(delivery)
        told = notification.get("data")
        item = told.get("item") if isinstance(told, Mapping) else None
        if not isinstance(item, dict) or item.get("id") is None or notification.get("topic") == _CONVERSATION_GONE:
            continue
        identifier = str(item["id"])
        gone = _DELETED.get(str(notification.get("topic")))
        if gone is not None:
            at = notification.get("created_at") or int(delivery.received_at.timestamp())
            yield RawObject(gone, identifier, {"type": gone, "id": identifier, "deleted": True, "deleted_at": at})
            continue
        name = _kind_of(item)
        kind = _KINDS.get(name)
        if kind is None:
            continue
        whole: Body | None = item
        if any(item.get(needed) is None for needed in kind.needs):
            whole = kind.ask(client, identifier)
        elif name == CONTACT:
            whole = client.complete(item)
        if whole is not None:
            yield RawObject(name, identifier, whole)


def _notification(delivery: Delivery) -> Body:
    try:
        notification = notification_of(delivery.body)
    except RefusedDeliveryError as error:
        raise BadRecordError(f"The delivery means nothing: {error}") from error
    if notification.get("type") != "notification_event":
        raise BadRecordError("The delivery is no notification_event.")
    return notification


def _kind_of(item: Mapping[str, Any]) -> str:
    name = str(item.get("type"))
    # Older versions call contacts by their role.
    return CONTACT if name in ("user", "lead") else name
