"""HubSpot's webhooks over a simulated world: what is created, changes, is deleted, restored or merged."""

import base64
import hashlib
import hmac
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from connectors.hubspot.credentials import HubSpotCredentials
from connectors.hubspot.deliveries import decoded
from connectors.hubspot.simulated_deals import deal_moments
from connectors.hubspot.simulated_ids import company_id, ticket_object_id
from connectors.hubspot.simulated_merges import Merge, Merges, merges_of
from connectors.hubspot.simulated_objects import PORTAL
from connectors.simulation.identifiers import hashed
from connectors.simulation.stage import Simulation
from connectors.simulation.vendor_webhooks import Notice, VendorWebhooks
from connectors.simulation.world import NEVER, Account, World

_APP = 778_899
_SUBSCRIPTIONS = 51_234
_OBJECT_TYPES = ("company", "deal", "ticket")


class Change(NamedTuple):
    """What happened to an object at a source second; `what` is the verb, or the property that changed."""

    at: int
    kind: str
    number: int
    what: str
    merged: int = 0


class HubSpotWebhooks(VendorWebhooks):
    """Ten more attempts over a day at the vendor, whatever the answer; here over some minutes."""

    name = "hubspot"
    attempts = 11

    def secrets(self) -> tuple[str, ...]:
        """The app's client secret signs."""
        return (HubSpotCredentials().client_secret,)

    def notices(self, simulation: Simulation, first: int, last: int) -> list[Notice]:
        """One event for each change. A request holds one event, where HubSpot may put a hundred into it."""
        world = simulation.world
        changes = _changes(world)
        places = slice(bisect_left(changes, (first,)), bisect_right(changes, (last + 1,)))
        made = [_merged(one) for one in merges_of(simulation).done if first <= one.at <= last]
        return [_notice(one) for one in sorted([*changes[places], *made])]

    def headers(self, body: bytes, url: str, secrets: Sequence[str], signed_at: float) -> dict[str, str]:
        """`X-HubSpot-Signature-v3`, over the method and the address too."""
        told_at = str(int(signed_at * 1000))
        signed = f"POST{decoded(url)}".encode() + body + told_at.encode()
        mac = hmac.new(secrets[0].encode(), signed, hashlib.sha256).digest()
        return {
            "content-type": "application/json",
            "user-agent": "HubSpot Connect 2.0 (http://dev.hubspot.com/) - Webhooks",
            "x-hubspot-signature-v3": base64.b64encode(mac).decode(),
            "x-hubspot-request-timestamp": told_at,
        }

    def body(self, notice: Notice, attempt: int, first_sent_at: float) -> bytes:
        """A list of events, which tell the number of attempts before this one."""
        del first_sent_at
        return orjson.dumps([{**notice.content, "attemptNumber": attempt - 1}])

    def retried(self, status: int | None) -> bool:
        """Whatever went wrong."""
        del status
        return True


@lru_cache(maxsize=1)
def _changes(world: World) -> list[Change]:
    """Every change that a world knows of, in order."""
    found = [one for account in world.accounts for one in _of_company(account)]
    found += [_merged(one) for one in Merges().with_those_of(world).done]
    found += [Change(at, "deal", number, "creation" if new else "dealstage") for at, number, new in deal_moments(world)]
    tickets = world.tickets
    columns = (tickets.ticket_id.tolist(), tickets.opened_at.tolist(), tickets.solved_at.tolist())
    for ticket_id, opened_at, solved_at in zip(*columns, strict=True):
        number = ticket_object_id(ticket_id)
        found.append(Change(opened_at, "ticket", number, "creation"))
        if solved_at < NEVER:
            found.append(Change(max(opened_at, solved_at), "ticket", number, "closed_date"))
    return sorted(found)


def _of_company(account: Account) -> Iterator[Change]:
    number, gone, merged = company_id(account.external_id), False, False
    yield Change(account.created_at, "company", number, "creation")
    for link in account.held:
        if link.at > account.created_at:
            yield Change(link.at, "company", number, "crm_account_id")
    for change in account.changes:
        if change.deleted is not None:
            # The other company tells of a merge.
            if change.merged_into is None and (change.deleted or gone):
                yield Change(change.at, "company", number, "deletion" if change.deleted else "restore")
            gone, merged = change.deleted, change.merged_into is not None
        elif not merged:
            for name, value in (("hubspot_owner_id", change.owner), ("plan", change.plan), ("seats", change.contract)):
                if value is not None:
                    yield Change(change.at, "company", number, name)


def _merged(merge: Merge) -> Change:
    return Change(merge.at, "company", merge.winner, "merge", merge.loser)


def _notice(change: Change) -> Notice:
    at, kind, number, what, merged = change
    verb = what if what in ("creation", "deletion", "restore", "merge") else "propertyChange"
    key = f"{kind}:{number}:{what}:{merged}:{at}"
    event: dict[str, Any] = {
        "eventId": hashed(f"hubspot event:{key}") % 2**31,
        "subscriptionId": _SUBSCRIPTIONS + _OBJECT_TYPES.index(kind),
        "portalId": PORTAL,
        "appId": _APP,
        "occurredAt": at * 1000,
        "subscriptionType": f"{kind}.{verb}",
        "objectId": number,
        "changeSource": "CRM_UI",
        "sourceId": "userId:9911",
    }
    if verb == "merge":
        event |= {"primaryObjectId": number, "mergedObjectIds": [merged], "newObjectId": number}
    elif verb == "propertyChange":
        event |= {"propertyName": what}
    elif verb in ("creation", "deletion"):
        event |= {"changeFlag": "CREATED" if verb == "creation" else "DELETED"}
    return Notice(key, at, event)


WEBHOOKS = HubSpotWebhooks()
