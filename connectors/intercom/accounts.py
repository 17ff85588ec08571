"""Who a conversation belongs to: its contact's company, and what the company says of its account. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.contract import Link
from connectors.fields import account_identity, crm_account_id, text
from connectors.identity.domains import domain_ref

Entries = Mapping[str, Any]


def company_entry(company_id: object) -> str:
    """The state entry of a company: what it claims, and the version that claimed it."""
    return f"company/{company_id}"


def contact_entry(contact_id: object) -> str:
    """The state entry of a contact: its companies. A contact without any has no entry."""
    return f"contact/{contact_id}"


def company_identity(company_id: object) -> str:
    """Intercom's own name of an account."""
    return f"intercom:company:{company_id}"


def company_claims(company: Mapping[str, Any]) -> dict[str, Any]:
    """What a company says of its account: the customer's own id, which is to be the CRM's, and the domain of its
    website as the target of a claim."""
    return {
        "own_id": text(company.get("company_id")),
        "domain": domain_ref(company.get("website")),
        "updated_at": company.get("updated_at"),
    }


def contact_companies(contact: Mapping[str, Any]) -> list[str]:
    """Ids of the companies that a contact belongs to, in Intercom's order."""
    companies = contact.get("companies")
    listed = companies.get("data") if isinstance(companies, Mapping) else None
    return [str(one["id"]) for one in listed or () if isinstance(one, Mapping) and one.get("id") is not None]


def links(company_id: str, claims: Mapping[str, Any], at: datetime) -> tuple[Link, ...]:
    """Everything that a company claims, from `at` on."""
    identity, own_id = company_identity(company_id), claims["own_id"]
    stated = [("external_id", account_identity(crm_account_id(own_id) or own_id))] if own_id else []
    stated += [("domain", claims["domain"])] if claims["domain"] else []
    return tuple(Link(identity, target, evidence, at) for evidence, target in stated)


def account_of(conversation: Mapping[str, Any], state: Entries) -> str | None:
    """Intercom's own name of the account that a conversation counts for.

    The company that the conversation names (newer versions of the API do), else that of its contact. Of several that
    all hold the CRM's id of one account, or none, the first that holds it stands for all. A contact of several accounts
    is nobody's for sure: the name of the contact, which no account has, leaves the event to the quarantine until
    somebody links it.
    """
    companies = companies_of(conversation, state)
    linked = {one: crm_account_id(state.get(company_entry(one), {}).get("own_id")) for one in sorted(companies)}
    holding = [one for one, crm_id in linked.items() if crm_id]
    if len({linked[one] for one in holding}) == 1:
        return company_identity(holding[0])
    if len(companies) == 1:
        return company_identity(companies[0])
    contact = contact_of(conversation)
    return None if contact is None else f"intercom:contact:{contact}"


def companies_of(conversation: Mapping[str, Any], state: Entries) -> Sequence[str]:
    """Ids of the companies that a conversation may count for."""
    company = conversation.get("company")
    if isinstance(company, Mapping) and company.get("id") is not None:
        return (str(company["id"]),)
    contact = contact_of(conversation)
    entry = None if contact is None else state.get(contact_entry(contact))
    return () if entry is None else tuple(entry["companies"])


def contact_of(conversation: Mapping[str, Any]) -> str | None:
    """Id of the contact who asked: the author where that is a contact, else the first participant."""
    source = conversation.get("source")
    author = source.get("author") if isinstance(source, Mapping) else None
    if isinstance(author, Mapping) and author.get("type") in ("user", "lead", "contact") and author.get("id"):
        return str(author["id"])
    contacts = conversation.get("contacts")
    listed = contacts.get("contacts") if isinstance(contacts, Mapping) else None
    first = next((one for one in listed or () if isinstance(one, Mapping) and one.get("id")), None)
    return None if first is None else str(first["id"])
