"""The names that systems beside the CRM give an account, which the CRM's own record may hold."""

from functools import lru_cache

from connectors.simulation.billing_records import customer_id
from connectors.simulation.identifiers import hashed, numeric_id
from connectors.simulation.support_records import organization_id
from connectors.simulation.world import Account

FIELDS = (
    "Zendesk_Organization_Id__c",
    "Stripe_Customer_Id__c",
    "HubSpot_Company_Id__c",
    "Intercom_Company_Id__c",
)
"""Custom fields of the CRM's account, one for each system."""


@lru_cache(maxsize=100_000)
def hubspot_company_id(external_id: str) -> int:
    """HubSpot's id of an account's company."""
    return numeric_id(f"hubspot:company:{external_id}", 9_000_000_000)


@lru_cache(maxsize=100_000)
def intercom_company_id(external_id: str) -> str:
    """Intercom's id of an account's company: 24 hexadecimal digits."""
    return f"{hashed(f'company:{external_id}'):032x}"[:24]


def named_in_crm(account: Account) -> dict[str, str | None]:
    """The fields as the CRM's record of an account has them: empty unless it names the other systems' ids."""
    if not account.crm_names_others:
        return dict.fromkeys(FIELDS)
    names = (
        str(organization_id(account.index)),
        customer_id(account),
        str(hubspot_company_id(account.external_id)),
        intercom_company_id(account.external_id),
    )
    return dict(zip(FIELDS, names, strict=True))
