"""Intercom's notifications over a simulated world: conversations, the contacts who ask, and companies."""

import hashlib
import hmac
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import orjson

from connectors.intercom import credentials
from connectors.intercom import simulated_records as records
from connectors.intercom.simulated_records import APP_ID, uuid_of, workspace_of
from connectors.simulation.stage import Simulation
from connectors.simulation.vendor_webhooks import Notice, VendorWebhooks
from connectors.simulation.world import World

_OPENED, _ASSIGNED = "conversation.user.created", "conversation.admin.assigned"
_CLOSED, _RATED = "conversation.admin.closed", "conversation.rating.added"


def notification(topic: str, item: Mapping[str, Any], at: int, attempts: int = 1) -> dict[str, Any]:
    """A notification of something that happened to `item` at an epoch second; each attempt to deliver it has one id."""
    return {
        "type": "notification_event",
        "app_id": APP_ID,
        "id": notification_id(topic, item.get("id"), at),
        "topic": topic,
        "data": {"type": "notification_event_data", "item": dict(item)},
        "links": {},
        "delivery_status": "pending" if attempts == 1 else "retry",
        "delivery_attempts": attempts,
        "delivered_at": 0,
        "first_sent_at": at,
        "created_at": at,
        "self": None,
    }


def notification_id(topic: str, identifier: object, at: int) -> str:
    """Id of the notification of something that happened at an epoch second."""
    return "notif_" + uuid_of(f"notification:{topic}:{identifier}:{at}")


def ping(at: int) -> dict[str, Any]:
    """What is sent when an address is registered; it has no id."""
    item = {"type": "ping", "message": "something something interzen"}
    return {**notification("ping", item, at), "id": None}


def signature(body: bytes, secret: str) -> str:
    """The value of `X-Hub-Signature`."""
    return f"sha1={hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()}"


def signed(told: Mapping[str, Any], secret: str = credentials.CLIENT_SECRET) -> tuple[dict[str, str], bytes]:
    """Headers, with names in lower case, and body of the request that delivers a notification."""
    body = orjson.dumps(told)
    return {"content-type": "application/json", "x-hub-signature": signature(body, secret)}, body


class IntercomWebhooks(VendorWebhooks):
    """One more attempt. Nothing but its own `created_at` tells how old a notification is."""

    name = "intercom"
    attempts = 2
    stale_seconds = 2 * 3_600.0

    def secrets(self) -> tuple[str, ...]:
        """The app's client secret signs."""
        return (credentials.CLIENT_SECRET,)

    def notices(self, simulation: Simulation, first: int, last: int) -> list[Notice]:
        """A notification for each version of a conversation, for new contacts, and for companies that change."""
        space = workspace_of(simulation)
        told = [*_of_companies(space.world, first, last), *_of_contacts(space, first, last)]
        told += _of_conversations(space, first, last)
        return sorted(told, key=lambda notice: notice.at)

    def headers(self, body: bytes, url: str, secrets: Sequence[str], signed_at: float) -> dict[str, str]:
        """The signature is over the body alone."""
        del url, signed_at
        return {"content-type": "application/json", "x-hub-signature": signature(body, secrets[0])}

    def body(self, notice: Notice, attempt: int, first_sent_at: float) -> bytes:
        """The notification as of its first attempt, on the clock of the wall: receivers refuse old ones."""
        topic, item = notice.content
        return orjson.dumps({**notification(topic, item, int(first_sent_at), attempt), "id": notice.notice_id})

    def retried(self, status: int | None) -> bool:
        """Whatever went wrong, unless the answer says that nobody is there any more."""
        return status != 410


def _notice(topic: str, item: Mapping[str, Any], at: int) -> Notice:
    return Notice(notification_id(topic, item["id"], at), at, (topic, item))


def _of_conversations(space: records.Workspace, first: int, last: int) -> Iterator[Notice]:
    versions, tickets = space.versions, space.world.tickets
    low = int(np.searchsorted(versions.since, first))
    high = int(np.searchsorted(versions.since, last, side="right"))
    for version in range(low, high):
        place, at = int(versions.place[version]), int(versions.since[version])
        if at == versions.rated_at[place]:
            topic = _RATED
        elif at == max(tickets.solved_at[place], tickets.opened_at[place]):
            topic = _CLOSED
        else:
            topic = _OPENED if at == tickets.opened_at[place] else _ASSIGNED
        yield _notice(topic, records.conversation(space, place, at, {}), at)


def _of_contacts(space: records.Workspace, first: int, last: int) -> Iterator[Notice]:
    moments = _contact_moments(space)
    for at, contact_id in moments[bisect_left(moments, (first,)) : bisect_right(moments, (last + 1,))]:
        yield _notice("contact.user.created", records.contact(space, space.contacts[contact_id], at), at)


def _of_companies(world: World, first: int, last: int) -> Iterator[Notice]:
    moments = _company_moments(world)
    for at, index, topic in moments[bisect_left(moments, (first,)) : bisect_right(moments, (last + 1,))]:
        item = records.company(world.accounts[index], at)
        assert item is not None, "it is there from its creation on"
        yield _notice(topic, item, at)


@lru_cache(maxsize=1)
def _contact_moments(space: records.Workspace) -> list[tuple[int, str]]:
    return sorted((one.changed_at[0], one.contact_id) for one in space.contacts.values())


@lru_cache(maxsize=1)
def _company_moments(world: World) -> list[tuple[int, int, str]]:
    found = []
    for account in world.accounts:
        found.append((account.created_at, account.index, "company.created"))
        changed_at = {change.at for change in account.changes} | {link.at for link in account.held}
        found += [(at, account.index, "company.updated") for at in changed_at if at > account.created_at]
    return sorted(found)


WEBHOOKS = IntercomWebhooks()
