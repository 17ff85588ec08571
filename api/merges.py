"""Accounts that were merged: who is asked for, and who answers."""

from uuid import UUID

from api.database import Connection, fetch_one, sql


async def surviving_account(connection: Connection, account_id: UUID) -> UUID:
    """The account that is left of an account after every merge; itself where it was never merged."""
    row = await fetch_one(connection, sql("surviving_account"), account_id=account_id)
    assert row is not None, "the account itself is the first of its chain"
    found: UUID = row["account_id"]
    return found
