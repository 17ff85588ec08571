"""Which account a HubSpot company is: its identity, and the claims of what else it is called. Pure."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from connectors.contract import Link
from connectors.fields import account_identity, crm_account_id, text

COMPANIES = "companies"
COMPANY = "company"
"""Object type of a company's raw object, in whichever stream it is."""

SALESFORCE_ID = "salesforceaccountid"
"""Written by HubSpot's own Salesforce integration."""

_DOMAIN = re.compile(r"(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]")
_LONGEST_ID = 20
_PRIMARY_TYPES = frozenset({5, 26})


def company_identity(company_id: str) -> str:
    """HubSpot's own name of an account."""
    return f"hubspot:company:{company_id}"


def account_of(company_id: str, crm_id: str | None) -> str:
    """The account of an event of this company, as `MappedEvent.account_ref`.

    `crm_id` is the CRM's id of the account where the company holds one and another connector is the identity source.
    """
    return account_identity(crm_id) if crm_id else company_identity(company_id)


def company_entry(company_id: object) -> str:
    """The state entry that keeps what was last claimed of a company."""
    return f"company/{company_id}"


def company_claims(body: Mapping[str, Any], crm_id_property: str) -> dict[str, str | None]:
    """What the state keeps of a company: the CRM's id of its account, and its domain."""
    properties = body.get("properties") or {}
    crm_id = crm_account_id(properties.get(crm_id_property)) or crm_account_id(properties.get(SALESFORCE_ID))
    return {"crm_id": crm_id, "domain": domain_of(properties.get("domain"))}


def domain_of(value: Any) -> str | None:
    """A domain in its plain form, None where the text is none.

    >>> domain_of("https://www.Harbor-Foods.example/about")
    'harbor-foods.example'
    >>> domain_of("harbor foods") is None
    True
    """
    written = text(value)
    if written is None:
        return None
    host = written.strip().lower().rpartition("://")[2].partition("/")[0].partition(":")[0]
    while host.startswith("www."):
        host = host.removeprefix("www.")
    host = host.rstrip(".")
    return host if _DOMAIN.fullmatch(host) else None


def links_of(
    company_id: str, before: Mapping[str, Any], claims: Mapping[str, Any], valid_from: datetime
) -> tuple[Link, ...]:
    """Everything that is claimed of a company, and as withdrawn what was claimed before and holds no longer."""
    identity = company_identity(company_id)
    links = []
    for field, evidence, target in (("crm_id", "external_id", account_identity), ("domain", "domain", _domain_name)):
        old, new = before.get(field), claims.get(field)
        links += [Link(identity, target(new), evidence, valid_from)] if new else []
        links += [Link(identity, target(old), evidence, valid_from, withdrawn=True)] if old and old != new else []
    return tuple(links)


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


def _domain_name(domain: str) -> str:
    return f"domain:{domain}"
