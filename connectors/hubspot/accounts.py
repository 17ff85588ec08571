"""Which account a HubSpot company is: its identity, and the claims of what else it is called. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from connectors.contract import Link
from connectors.fields import account_identity, crm_account_id
from connectors.identity.domains import domain_ref

COMPANIES = "companies"
COMPANY = "company"
"""Object type of a company's raw object, in whichever stream it is."""

SALESFORCE_ID = "salesforceaccountid"
"""Written by HubSpot's own Salesforce integration."""

_LONGEST_ID = 20
_PRIMARY_TYPES = frozenset({5, 26})


def company_identity(company_id: object) -> str:
    """HubSpot's own name of an account."""
    return f"hubspot:company:{company_id}"


def company_entry(company_id: object) -> str:
    """The state entry of a company that was told: its version, and what the profile of its end needs."""
    return f"company/{company_id}"


def crm_id_of(record: Mapping[str, Any], crm_id_property: str) -> str | None:
    """The id of the account in Salesforce, where the company holds one."""
    properties = record.get("properties") or {}
    return crm_account_id(properties.get(crm_id_property)) or crm_account_id(properties.get(SALESFORCE_ID))


def claims_beside_crm(record: Mapping[str, Any], crm_id_property: str, valid_from: datetime) -> list[Link]:
    """What a company claims where another connector is the CRM: the id of that one's account, and its domain."""
    identity, crm_id = company_identity(record["id"]), crm_id_of(record, crm_id_property)
    named = [Link(identity, account_identity(crm_id), "external_id", valid_from)] if crm_id else []
    return named + _domain_link(record, valid_from)


def claims_of_crm(record: Mapping[str, Any], crm_id_property: str, valid_from: datetime) -> list[Link]:
    """What a company claims where HubSpot is the CRM: the names by which other systems may know it, and its domain.

    Others store a CRM's id of the account without saying whose id that is, and call it `crm:account:<id>`. That means
    this company by its own id, and by an id of Salesforce that it holds from former times. An archived one gives its
    domain free.
    """
    links = called(record["id"], crm_id_of(record, crm_id_property), company_identity(record["id"]), valid_from)
    return links if record.get("archived") else links + _domain_link(record, valid_from)


def called(company_id: object, crm_id: str | None, account: str, valid_from: datetime) -> list[Link]:
    """The claims that the names which others may give a company mean this account."""
    names = [account_identity(str(company_id))] + ([account_identity(crm_id)] if crm_id else [])
    return [Link(name, account, "crm_link", valid_from) for name in names]


def _domain_link(record: Mapping[str, Any], valid_from: datetime) -> list[Link]:
    domain = domain_ref((record.get("properties") or {}).get("domain"))
    return [Link(company_identity(record["id"]), domain, "domain", valid_from)] if domain else []


def primary_company(record: Mapping[str, Any]) -> str | None:
    """The company that a deal or a ticket belongs to: the primary one, else the oldest (smallest id) of several."""
    associated = ((record.get("associations") or {}).get(COMPANIES) or {}).get("results") or ()
    found = [(not _is_primary(one), int(one["toObjectId"])) for one in associated if is_id(one.get("toObjectId"))]
    return str(min(found)[1]) if found else None


def is_id(value: Any) -> bool:
    """Whether this is an id of HubSpot's, given as text or as a number."""
    written = str(value)
    return written.isascii() and written.isdigit() and len(written) <= _LONGEST_ID


def _is_primary(association: Mapping[str, Any]) -> bool:
    types = association.get("associationTypes") or ()
    return any(
        one.get("label") == "Primary"
        or (one.get("category") == "HUBSPOT_DEFINED" and one.get("typeId") in _PRIMARY_TYPES)
        for one in types
    )
