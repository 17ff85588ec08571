"""A world's accounts, opportunities and owners as Salesforce records, as of a source time.

Tasks, meetings and cases, which are many, are in `crm_activities` and `crm_cases`, people in `crm_contacts`, what they
answer in `crm_surveys`.
"""

from collections.abc import Mapping
from typing import Any

from connectors.simulation.calendar import DAY, iso_day
from connectors.simulation.crm_activities import EVENT_FIELDS, TASK_FIELDS, meeting_rows, task_rows
from connectors.simulation.crm_cases import CASE_FIELDS, case_rows
from connectors.simulation.crm_contacts import CONTACT_FIELDS, contact_rows
from connectors.simulation.crm_surveys import SURVEY_FIELDS, SURVEY_OBJECT, survey_rows
from connectors.simulation.identifiers import salesforce_id
from connectors.simulation.other_names import FIELDS as NAME_FIELDS
from connectors.simulation.other_names import named_in_crm
from connectors.simulation.soql import Fields, Row, datetime_text
from connectors.simulation.world import Account, Opportunity, Owner, World, seat_price_cents

# How long a deleted record stays in the Recycle Bin, where queryAll still sees it.
RECYCLE_BIN_SECONDS = 15 * DAY

# Forecast category and probability of the stages that close an opportunity.
_CLOSED = {"Closed Won": ("Closed", 100.0), "Closed Lost": ("Omitted", 0.0)}

_SYSTEM: Fields = {"CreatedDate": "datetime", "LastModifiedDate": "datetime", "SystemModstamp": "datetime"}

SCHEMAS: Mapping[str, Fields] = {
    "Account": {
        "Id": "id",
        "IsDeleted": "boolean",
        "MasterRecordId": "reference",
        "Name": "string",
        "Type": "picklist",
        "ParentId": "reference",
        "Industry": "picklist",
        "AnnualRevenue": "currency",
        "NumberOfEmployees": "int",
        "Website": "url",
        "BillingCountry": "string",
        "OwnerId": "reference",
        "Owner.Name": "string",
        "Owner.Email": "string",
        **_SYSTEM,
        "LastActivityDate": "date",
        "External_Id__c": "string",
        "Segment__c": "picklist",
        "Region__c": "picklist",
        "Plan__c": "picklist",
        **dict.fromkeys(NAME_FIELDS, "string"),
        "Seats__c": "double",
        "ARR__c": "currency",
        "Contract_Start__c": "date",
        "Contract_End__c": "date",
        "Contract_Term_Months__c": "double",
        "Notice_Days__c": "double",
        "Auto_Renew__c": "boolean",
        "CurrencyIsoCode": "picklist",
        "Time_Zone__c": "string",
    },
    "Opportunity": {
        "Id": "id",
        "IsDeleted": "boolean",
        "AccountId": "reference",
        "Name": "string",
        "StageName": "picklist",
        "Amount": "currency",
        "Probability": "percent",
        "CloseDate": "date",
        "Type": "picklist",
        "ForecastCategoryName": "picklist",
        "IsClosed": "boolean",
        "IsWon": "boolean",
        "OwnerId": "reference",
        "Owner.Name": "string",
        "Owner.Email": "string",
        **_SYSTEM,
        "LastStageChangeDate": "datetime",
    },
    "User": {
        "Id": "id",
        "Username": "string",
        "Email": "email",
        "Name": "string",
        "IsActive": "boolean",
        **_SYSTEM,
    },
    "Contact": {**CONTACT_FIELDS, **_SYSTEM},
    "Task": {**TASK_FIELDS, **_SYSTEM},
    "Event": {**EVENT_FIELDS, **_SYSTEM},
    "Case": {**CASE_FIELDS, **_SYSTEM},
    SURVEY_OBJECT: {**SURVEY_FIELDS, **_SYSTEM},
}

KEY_PREFIXES: Mapping[str, str] = {
    "Account": "001",
    "Opportunity": "006",
    "User": "005",
    "Contact": "003",
    "Task": "00T",
    "Event": "00U",
    "Case": "500",
    SURVEY_OBJECT: "a0S",
}
"""First letters of each object's ids."""


def rows(world: World, object_name: str, now: int, *, deleted: bool) -> list[Row]:
    """Every record of an object that is visible at `now`, the soft-deleted ones too with `deleted`."""
    if object_name == "User":
        return [_user(owner, world.history_start) for owner in world.owners if world.history_start <= now]
    if object_name == "Contact":
        return contact_rows(world, now)
    if object_name == "Task":
        return task_rows(world, now)
    if object_name == "Event":
        return meeting_rows(world, now, deleted=deleted)
    if object_name == "Case":
        return case_rows(world, now)
    if object_name == SURVEY_OBJECT:
        return survey_rows(world, now)
    found: list[Row] = []
    for account in world.accounts:
        row = account_row(account, now) if object_name == "Account" else opportunity_row(account, now)
        if row is not None and (deleted or not row["IsDeleted"]):
            found.append(row)
    if object_name == "Opportunity":
        later = (_later_opportunity(world.accounts[one.account], one, now) for one in world.opportunities)
        found += [row for row in later if row is not None and (deleted or not row["IsDeleted"])]
    return found


def account_row(account: Account, now: int) -> dict[str, Any] | None:
    """The account as Salesforce shows it; None before its creation and after the Recycle Bin lost it."""
    if account.created_at > now:
        return None
    owner, plan, modified = account.owner, account.plan, account.created_at
    is_deleted, master = False, None
    for change in account.changes:
        if change.at > now:
            break
        if is_deleted and change.deleted is None:
            continue  # what lies in the Recycle Bin is not edited
        owner, plan, modified = change.owner or owner, change.plan or plan, change.at
        if change.deleted is not None:
            is_deleted, master = change.deleted, change.merged_into
    contract = account.contract_at(now)
    if is_deleted and modified + RECYCLE_BIN_SECONDS <= now:
        return None
    return {
        "Id": account.crm_id,
        "IsDeleted": is_deleted,
        "MasterRecordId": master,
        "Name": account.name,
        "Type": "Customer",
        "ParentId": None,
        "Industry": None,
        "AnnualRevenue": None,
        "NumberOfEmployees": account.employees or None,
        "Website": f"https://www.{account.domain}",
        "BillingCountry": account.country or None,
        **_owner_fields(owner),
        "CreatedDate": datetime_text(account.created_at),
        "LastModifiedDate": datetime_text(modified),
        "SystemModstamp": datetime_text(modified),
        "LastActivityDate": None,
        "External_Id__c": account.external_id,
        "Segment__c": account.segment,
        "Region__c": account.region,
        "Plan__c": plan,
        **named_in_crm(account),
        "Seats__c": None if contract is None else float(contract.seats),
        "ARR__c": None if contract is None else contract.arr_cents / 100,
        "Contract_Start__c": None if contract is None else iso_day(contract.start),
        "Contract_End__c": None if contract is None else iso_day(contract.end),
        "Contract_Term_Months__c": None if contract is None else float(contract.term_months),
        "Notice_Days__c": None if contract is None else float(contract.notice_days),
        "Auto_Renew__c": contract is not None and contract.auto_renew,
        "CurrencyIsoCode": "USD",
        "Time_Zone__c": account.time_zone or None,
    }


def opportunity_row(account: Account, now: int) -> dict[str, Any] | None:
    """The first opportunity: it goes and comes back with the account, and a merge gives it to the survivor."""
    closed_at = account.first_activity_at
    if closed_at > now:
        return None
    is_deleted, owned_by, modified = _with_account(account, closed_at, now)
    if is_deleted and modified + RECYCLE_BIN_SECONDS <= now:
        return None
    written = datetime_text(closed_at)
    return {
        "Id": salesforce_id("006", f"opportunity:{account.external_id}"),
        "IsDeleted": is_deleted,
        "AccountId": owned_by,
        "Name": f"{account.name} - New Business",
        "StageName": "Closed Won",
        "Amount": account.contract_seats * _seat_price(account) * 12 / 100,
        "Probability": 100.0,
        "CloseDate": iso_day(closed_at),
        "Type": "New Business",
        "ForecastCategoryName": "Closed",
        "IsClosed": True,
        "IsWon": True,
        **_owner_fields(account.owner),
        "CreatedDate": written,
        "LastModifiedDate": datetime_text(modified),
        "SystemModstamp": datetime_text(modified),
        "LastStageChangeDate": written,
    }


def _with_account(account: Account, modified: int, now: int) -> tuple[bool, str, int]:
    """Whether what belongs to an account is deleted with it, the account that owns it, and when that or it changed."""
    is_deleted, owned_by = False, account.crm_id
    for change in account.changes:
        if change.at > now:
            break
        if change.deleted is not None:
            modified = max(modified, change.at)
            is_deleted, owned_by = change.deleted and change.merged_into is None, change.merged_into or account.crm_id
    return is_deleted, owned_by, modified


def _later_opportunity(account: Account, opportunity: Opportunity, now: int) -> dict[str, Any] | None:
    """A renewal or an expansion, from when it is created on."""
    if opportunity.created_at > now:
        return None
    since, stage = opportunity.stage_at(now)
    is_deleted, owned_by, modified = _with_account(account, since, now)
    if is_deleted and modified + RECYCLE_BIN_SECONDS <= now:
        return None
    closed, written = stage in _CLOSED, datetime_text(modified)
    forecast, probability = _CLOSED.get(stage, ("Pipeline", 40.0))
    return {
        "Id": opportunity.opportunity_id,
        "IsDeleted": is_deleted,
        "AccountId": owned_by,
        "Name": f"{account.name} - {opportunity.kind}",
        "StageName": stage,
        "Amount": opportunity.amount_cents / 100,
        "Probability": probability,
        "CloseDate": iso_day(since if closed else opportunity.expected_close),
        "Type": opportunity.kind,
        "ForecastCategoryName": forecast,
        "IsClosed": closed,
        "IsWon": stage == "Closed Won",
        **_owner_fields(account.owner),
        "CreatedDate": datetime_text(opportunity.created_at),
        "LastModifiedDate": written,
        "SystemModstamp": written,
        "LastStageChangeDate": datetime_text(since),
    }


def _seat_price(account: Account) -> int:
    return seat_price_cents(None if account.contract is None else account.contract.plan)


def _user(owner: Owner, created_at: int) -> dict[str, Any]:
    written = datetime_text(created_at)
    return {
        "Id": owner.user_id,
        "Username": owner.email,
        "Email": owner.email,
        "Name": owner.name,
        "IsActive": True,
        "CreatedDate": written,
        "LastModifiedDate": written,
        "SystemModstamp": written,
    }


def _owner_fields(owner: Owner) -> dict[str, str]:
    return {"OwnerId": owner.user_id, "Owner.Name": owner.name, "Owner.Email": owner.email}
