"""The people whom a world's CRM knows, as Salesforce contacts, and whom an account's manager meets."""

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.simulation.soql import Fields, Row, datetime_text
from connectors.simulation.world import NEVER, Contact, World

CONTACT_FIELDS: Fields = {
    "Id": "id",
    "IsDeleted": "boolean",
    "AccountId": "reference",
    "Name": "string",
    "Email": "email",
    "Title": "string",
    "Role__c": "picklist",
    "Left_Company__c": "boolean",
}

Met = Sequence[tuple[int, int, str]]
"""When each of an account's champions came and left, and their ids, in order of time."""


def contact_rows(world: World, now: int) -> list[Row]:
    """Every contact that is there at `now`: from when they come on, with their leaving as the one later change."""
    return [_row(world, contact, now) for contact in world.contacts if contact.joined_at <= now]


def _row(world: World, contact: Contact, now: int) -> dict[str, Any]:
    left = contact.left_at < NEVER and contact.left_at <= now
    modified = datetime_text(contact.left_at if left else contact.joined_at)
    return {
        "Id": contact.contact_id,
        "IsDeleted": False,
        "AccountId": world.accounts[contact.account].crm_id,
        "Name": contact.name,
        "Email": contact.email,
        "Title": contact.title,
        "Role__c": contact.role.replace("_", " ").title(),
        "Left_Company__c": left,
        "CreatedDate": datetime_text(contact.joined_at),
        "LastModifiedDate": modified,
        "SystemModstamp": modified,
    }


_kept: tuple[Sequence[Contact], Mapping[int, Met]] = ((), {})


def champions(world: World) -> Mapping[int, Met]:
    """The champions of each account, by its index; made once for a world's contacts."""
    global _kept
    known = _kept  # one look: another thread may be asking too
    if known[0] is not world.contacts:
        found: dict[int, list[tuple[int, int, str]]] = {}
        for one in world.contacts:
            if one.role == "champion":
                found.setdefault(one.account, []).append((one.joined_at, one.left_at, one.contact_id))
        _kept = known = (world.contacts, {account: tuple(sorted(met)) for account, met in found.items()})
    return known[1]


def met_at(met: Met, at: int) -> str | None:
    """The champion of the time; None while there is none."""
    return next((contact for joined_at, left_at, contact in met if joined_at <= at < left_at), None)
