"""An account's profile as of an instant, and the versions that history is joined with."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from analytics.as_of import AsOf
from api.auth.identity import SIGNED_IN
from api.context import Context
from api.database import Connection, Row, fetch_all, fetch_one, sql
from api.merges import surviving_account
from api.problems import ProblemError, documented
from api.time_range import Instant, in_utc

router = APIRouter(tags=["accounts"], dependencies=[SIGNED_IN])

HELD = ("segment", "owner", "region", "plan")
"""What history is shown with: the fields of a profile that decide which book and which comparison an account is in."""

HELD_EXAMPLE: dict[str, Any] = {"segment": "Enterprise", "owner": "Ada Lovelace", "region": "EMEA", "plan": "Business"}

EXAMPLE: dict[str, Any] = {
    "account_id": "7d2a4a53-5d8a-5b7e-9c5b-0c6f0a0a1b11",
    "at": "2026-06-30T00:00:00Z",
    "valid_from": "2026-04-02T09:30:00Z",
    "assumed": False,
    "crm_id": "001xx000003DGbYAAW",
    "name": "Acme",
    **HELD_EXAMPLE,
    "arr": 36000.0,
    "arr_currency": "USD",
    "time_zone": "Europe/Lisbon",
    "renewal_date": "2027-03-01",
    "domain": "acme.example",
    "parent_id": None,
    "created_at": "2019-03-02T09:30:00Z",
    "deleted": False,
    "sources": {"segment": "salesforce", "plan": "salesforce", "arr": "stripe"},
}


class HeldProfile(BaseModel):
    """The profile that held at a point of history."""

    segment: str | None = Field(description="Segment as of then.", examples=[HELD_EXAMPLE["segment"]])
    owner: str | None = Field(description="Customer-success manager as of then.", examples=[HELD_EXAMPLE["owner"]])
    region: str | None = Field(description="Region as of then.", examples=[HELD_EXAMPLE["region"]])
    plan: str | None = Field(description="Plan as of then.", examples=[HELD_EXAMPLE["plan"]])


class ProfileAt(HeldProfile):
    """An account's profile as of an instant."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    account_id: UUID = Field(description="Id of the account.", examples=[EXAMPLE["account_id"]])
    at: datetime | None = Field(description="The instant asked for; null: the newest.", examples=[EXAMPLE["at"]])
    valid_from: datetime = Field(description="Since when this version holds.", examples=[EXAMPLE["valid_from"]])
    assumed: bool = Field(description="The instant lies before the first version, which is shown.", examples=[False])
    crm_id: str = Field(description="Id of the account in the CRM.", examples=[EXAMPLE["crm_id"]])
    name: str = Field(description="Name.", examples=["Acme"])
    arr: float | None = Field(description="Annual recurring revenue in major units.", examples=[36000.0])
    arr_currency: str | None = Field(description="Currency of the revenue (ISO 4217), where known.", examples=["USD"])
    time_zone: str | None = Field(description="Time zone (IANA name).", examples=["Europe/Lisbon"])
    renewal_date: date | None = Field(description="Day on which the contract renews or ends.", examples=["2027-03-01"])
    domain: str | None = Field(description="Domain of its website.", examples=["acme.example"])
    parent_id: UUID | None = Field(description="Account above it.", examples=[None])
    created_at: datetime = Field(description="When the CRM created the account.", examples=[EXAMPLE["created_at"]])
    deleted: bool = Field(description="Deleted in the CRM.", examples=[False])
    sources: dict[str, str] = Field(description="Who told each field that is known.", examples=[EXAMPLE["sources"]])


@router.get(
    "/v1/accounts/{account_id}/profile", summary="Profile as of an instant", responses=documented(401, 404, 422, 503)
)
async def profile(
    account_id: UUID,
    context: Context,
    at: Annotated[
        Instant | None, Query(description="An instant, UTC where no zone is given; left out: the newest.")
    ] = None,
) -> ProfileAt:
    """What was known to hold then, told late or not; for a merged account that of the one that is left."""
    try:
        instant = in_utc(at)
    except OverflowError as error:
        raise ProblemError(422, "at must lie within the years 1 to 9999, in UTC.") from error
    async with context.pool.connection() as connection:
        surviving = await surviving_account(connection, account_id)
        row = await fetch_one(connection, sql("account_profile_at"), account_id=surviving, instant=instant)
    if row is None:
        raise ProblemError(404, f"There is no account {account_id}.")
    return ProfileAt(**{**row, "at": instant, "arr": None if row["arr"] is None else float(row["arr"])})


async def versions_of(connection: Connection, account_id: UUID) -> AsOf[Row]:
    """Every version of an account's profile."""
    rows = await fetch_all(connection, sql("account_profiles"), account_id=account_id)
    return AsOf((row["valid_from"], {name: row[name] for name in HELD}) for row in rows)


def held_at(versions: AsOf[Row], instant: datetime) -> Row:
    """The fields of `HeldProfile` as of an instant."""
    return versions.at(instant) or dict.fromkeys(HELD)
