"""Accounts: the portfolio as a list, and one account with what its score is made of."""

from datetime import datetime
from typing import Annotated, Any, LiteralString
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from api import cursor
from api.account_rows import ACCOUNT_EXAMPLE, AccountRow, Band, row_fields
from api.auth.identity import SIGNED_IN
from api.context import Context
from api.contributions import CONTRIBUTIONS_EXAMPLE, Contribution, contributions_of
from api.cursor import Order, Sort
from api.database import fetch_all, fetch_one, sql
from api.merges import surviving_account
from api.problems import ProblemError, documented
from api.receipts import RECEIPT_EXAMPLE, Receipt, current_model, receipt_for

router = APIRouter(tags=["accounts"], dependencies=[SIGNED_IN])

LARGEST_PAGE = 500

PROFILE_EXAMPLE: dict[str, Any] = {
    "time_zone": "Europe/Lisbon",
    "domain": "acme.example",
    "parent_id": None,
    "sources": {"segment": "salesforce", "plan": "salesforce", "arr": "stripe"},
}
"""What one account has beside what a list shows."""


class AccountsPage(BaseModel):
    """One page of the portfolio."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [ACCOUNT_EXAMPLE],
                    "next_cursor": "WyJzY29yZSIsImFzYyIsWzAsNjMxMjA0ODJdLCI3ZDJhIl0",
                    "total": 1204,
                    "receipt": RECEIPT_EXAMPLE,
                }
            ]
        }
    )

    items: list[AccountRow] = Field(description="Accounts in the order asked for.")
    next_cursor: str | None = Field(
        description="Send it as `cursor` for the next page; null on the last.",
        examples=["WyJzY29yZSIsImFzYyIsWzAsNjMxMjA0ODJdLCI3ZDJhIl0"],
    )
    total: int = Field(description="Accounts that match, on all pages.", examples=[1204])
    receipt: Receipt = Field(description="What the scores rest on.")


class AccountDetail(AccountRow):
    """One account, with what its score is made of."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **ACCOUNT_EXAMPLE,
                    "merged_into": None,
                    "crm_id": "001xx000003DGbYAAW",
                    "created_at": "2019-03-02T09:30:00Z",
                    **PROFILE_EXAMPLE,
                    "model": "health-2026-11",
                    "contributions": CONTRIBUTIONS_EXAMPLE,
                    "receipt": RECEIPT_EXAMPLE,
                }
            ]
        }
    )

    merged_into: UUID | None = Field(
        description="The account that the requested one was merged into: the answer is about that one. Null otherwise."
    )
    crm_id: str = Field(description="Id of the account in the CRM.", examples=["001xx000003DGbYAAW"])
    created_at: datetime = Field(description="When the CRM created the account.", examples=["2019-03-02T09:30:00Z"])
    time_zone: str | None = Field(description="Time zone (IANA name).", examples=["Europe/Lisbon"])
    domain: str | None = Field(description="Domain of its website.", examples=["acme.example"])
    parent_id: UUID | None = Field(description="Account above it.", examples=[None])
    sources: dict[str, str] = Field(
        description="Who told each field of the profile that is known.", examples=[PROFILE_EXAMPLE["sources"]]
    )
    model: str | None = Field(
        description="Health model of the score; null where not scored yet.", examples=["health-2026-11"]
    )
    contributions: list[Contribution] = Field(description="By the model's order of signals; empty without a score.")
    receipt: Receipt = Field(description="What the score rests on, for this account's partition.")


@router.get("/v1/accounts", summary="List accounts", responses=documented(401, 422, 503))
async def list_accounts(
    context: Context,
    sort: Annotated[Sort, Query(description="What to sort by.", examples=["score"])] = "score",
    order: Annotated[Order, Query(description="Direction; accounts without a score are last either way.")] = "asc",
    band: Annotated[Band | None, Query(description="Only this band.", examples=["at_risk"])] = None,
    segment: Annotated[str | None, Query(description="Only this segment.", max_length=200)] = None,
    owner: Annotated[str | None, Query(description="Only this owner.", max_length=200)] = None,
    q: Annotated[str | None, Query(description="Part of the name or CRM id.", max_length=200)] = None,
    limit: Annotated[int, Query(description="Accounts a page.", ge=1, le=LARGEST_PAGE)] = 50,
    after: Annotated[
        str | None, Query(alias="cursor", description="`next_cursor` of the page before.", max_length=4000)
    ] = None,
) -> AccountsPage:
    """Accounts that are not deleted in the CRM, with live scores.

    Pages go on after the last account of the page before, also when scores change in between; equal scores are in the
    order of account ids.
    """
    ordering = cursor.ORDERINGS[(sort, order)]
    start = None if not after else cursor.decode(after, sort, order)
    condition: LiteralString = "true" if start is None else ordering.after
    # Texts of this package only; what comes from the request is a parameter.
    query = (
        f"with keyed as (select *, {ordering.columns} from ({sql('accounts_filter')})), "  # noqa: S608
        f"page as (select * from keyed where {condition} order by {ordering.order_by} limit %(limit)s) "
        f"{sql('accounts_changes')} order by {ordering.order_by}"
    )
    filters = {"band": band, "segment": _given(segment), "owner": _given(owner), "pattern": _pattern(_given(q))}
    async with context.pool.connection() as connection:
        model = await current_model(connection)
        parameters: dict[str, Any] = {**filters, "model": model, "limit": limit + 1}
        rows = await fetch_all(connection, query, **parameters, **(start.parameters() if start else {}))
        count = f"select count(*) from ({sql('accounts_filter')})"  # noqa: S608
        counted = await fetch_one(connection, count, **parameters)
        receipt = await receipt_for(connection, context.clock.now(), model)
    assert counted is not None
    page, more = rows[:limit], len(rows) > limit
    next_cursor = cursor.encode(sort, order, ordering.key_of(page[-1]), page[-1]["account_id"]) if more else None
    return AccountsPage(
        items=[AccountRow(**row_fields(row)) for row in page],
        next_cursor=next_cursor,
        total=counted["count"],
        receipt=receipt,
    )


@router.get("/v1/accounts/{account_id}", summary="One account", responses=documented(401, 404, 422, 503))
async def account(account_id: UUID, context: Context) -> AccountDetail:
    """Profile, live score, and what each signal adds to it; for a merged account those of the one that is left."""
    async with context.pool.connection() as connection:
        model = await current_model(connection)
        surviving = await surviving_account(connection, account_id)
        row = await fetch_one(connection, sql("account"), account_id=surviving, model=model)
        if row is None:
            raise ProblemError(404, f"There is no account {account_id}.")
        gates = await fetch_all(connection, sql("account_gates"), partition=row["partition"], tick=row["tick"])
        topics = await fetch_all(connection, sql("account_topics"), partition=row["partition"])
        receipt = await receipt_for(connection, context.clock.now(), row["model"], partition=row["partition"])
    return AccountDetail(
        **row_fields(row),
        merged_into=None if surviving == account_id else surviving,
        crm_id=row["crm_id"],
        created_at=row["created_at"],
        **{name: row[name] for name in PROFILE_EXAMPLE},
        model=row["model"],
        contributions=contributions_of(row, gates, topics),
        receipt=receipt,
    )


def _given(text: str | None) -> str | None:
    """None for an empty parameter, as forms send it. PostgreSQL's text holds no zero byte, so nothing matches one."""
    return text.replace("\0", "\ufffd") if text else None


def _pattern(text: str | None) -> str | None:
    r"""A pattern of `ilike` for names that contain the text.

    >>> _pattern("100%")
    '%100\\%%'
    """
    if text is None:
        return None
    for special in ("\\", "%", "_"):
        text = text.replace(special, f"\\{special}")
    return f"%{text}%"
