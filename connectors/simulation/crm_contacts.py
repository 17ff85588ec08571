"""The people whom a world's CRM knows, as Salesforce contacts."""

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
