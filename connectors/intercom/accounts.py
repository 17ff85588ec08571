"""Who a conversation belongs to: its contact's company, and what the company says of its account. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from connectors.contract import Link
from connectors.fields import account_identity, crm_account_id, text

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
    """What a company says of its account: the customer's own id, which is the CRM's where it looks like one, and the
    domain of its website."""
    return {
        "crm_id": crm_account_id(company.get("company_id")),
        "domain": domain_of(company.get("website")),
        "updated_at": company.get("updated_at"),
    }


def contact_companies(contact: Mapping[str, Any]) -> list[str]:
    """Ids of the companies that a contact belongs to, in Intercom's order."""
    companies = contact.get("companies")
    listed = companies.get("data") if isinstance(companies, Mapping) else None
    return [str(one["id"]) for one in listed or () if isinstance(one, Mapping) and one.get("id") is not None]


def domain_of(website: Any) -> str | None:
    """The domain of a website, without `www.`; None where it is none.

    >>> domain_of("https://www.Harborfoods.example/about")
    'harborfoods.example'
    >>> domain_of("harborfoods.example") == domain_of("http://harborfoods.example:8080")
    True
    """
    address = (text(website) or "").strip()
    try:
        host = urlsplit(address if "//" in address else f"//{address}").hostname or ""
    except ValueError:
        return None
    host = host.removeprefix("www.").rstrip(".")
    return host if "." in host and not host.replace(".", "").isdigit() and " " not in host else None


def links(company_id: str, claims: Mapping[str, Any], before: Mapping[str, Any] | None, at: datetime) -> list[Link]:
    """The claims that a company makes from `at` on, and those of `before` that it makes no more."""
    identity = company_identity(company_id)

    def stated(said: Mapping[str, Any]) -> dict[str, str]:
        targets = {}
        if said.get("crm_id"):
            targets["external_id"] = account_identity(said["crm_id"])
        if said.get("domain"):
            targets["domain"] = f"domain:{said['domain']}"
        return targets

    now, then = stated(claims), stated(before or {})
    withdrawn = [
        Link(identity, target, evidence, at, withdrawn=True)
        for evidence, target in then.items()
        if now.get(evidence) != target
    ]
    return withdrawn + [Link(identity, target, evidence, at) for evidence, target in now.items()]


def account_of(conversation: Mapping[str, Any], state: Entries) -> str | None:
    """The account that a conversation counts for.

    The company that the conversation names (newer versions of the API do), else those of its contact. One company, or
    several that all are one account of the CRM, are that account; without a CRM id it is Intercom's own name of the
    company. A contact of several accounts is nobody's for sure: the name of the contact, which no account has, leaves
    the event to the quarantine until somebody links it.
    """
    contact = contact_of(conversation)
    companies = companies_of(conversation, state)
    linked = [state.get(company_entry(one), {}).get("crm_id") for one in companies]
    known = {crm_id for crm_id in linked if crm_id}
    if len(known) == 1:
        return account_identity(known.pop())
    if len(companies) == 1:
        return company_identity(companies[0])
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
