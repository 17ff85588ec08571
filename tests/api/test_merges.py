"""Merged accounts: who answers for them, what is left out of the portfolio, and values that are merged when read."""

from datetime import datetime
from typing import Any

import httpx
import psycopg
import pytest

from metrics.catalogue import catalogue
from tests.api.portfolio_rows import DAY, WATERMARK, Account, store

KEPT = Account(1, "Kept", 60_000_000)
MERGED = Account(2, "Merged", 20_000_000, deleted=True)
EARLIER = Account(3, "Earlier", 30_000_000)  # merged into MERGED, whose CRM still shows its profile
OTHER = Account(4, "Other", 90_000_000)
DAY_ONE = WATERMARK.replace(hour=0) - 10 * DAY


@pytest.fixture
def portfolio(database: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    store(database, [KEPT, MERGED, EARLIER, OTHER])
    for merged, surviving in ((MERGED, KEPT), (EARLIER, MERGED)):
        database.execute(
            "insert into account_aliases values (%s, %s, %s, 'salesforce')",
            [merged.account_id, surviving.account_id, WATERMARK],
        )
    return database


def put(database: psycopg.Connection[Any], account: Account, metric: str, at: datetime, value: int) -> None:
    database.execute(
        "insert into metric_values values (%s, %s, 'day', %s, %s, %s, 1, 0, 1)",
        [account.account_id, metric, at, value, account.partition],
    )


def test_the_portfolio_leaves_merged_accounts_out(portfolio: object, client: httpx.Client) -> None:
    listed = client.get("/v1/accounts").json()
    assert {item["name"] for item in listed["items"]} == {"Kept", "Other"}
    assert listed["total"] == 2
    assert client.get("/v1/summary").json()["accounts"] == 2


def test_a_merged_account_is_answered_for_by_the_one_that_is_left(portfolio: object, client: httpx.Client) -> None:
    for account in (MERGED, EARLIER):
        answer = client.get(f"/v1/accounts/{account.account_id}").json()
        assert answer["account_id"] == answer["merged_into"] == str(KEPT.account_id)
        assert answer["name"] == "Kept"
        assert client.get(f"/v1/accounts/{account.account_id}/health").status_code == 200
    assert client.get(f"/v1/accounts/{KEPT.account_id}").json()["merged_into"] is None


def test_a_merge_that_was_taken_back_holds_no_more(portfolio: psycopg.Connection[Any], client: httpx.Client) -> None:
    portfolio.execute("update account_aliases set withdrawn = true")
    assert {item["name"] for item in client.get("/v1/accounts").json()["items"]} == {"Kept", "Earlier", "Other"}
    assert client.get(f"/v1/accounts/{EARLIER.account_id}").json()["merged_into"] is None
    assert client.get(f"/v1/accounts/{MERGED.account_id}").status_code == 404  # deleted in the CRM


def test_accounts_that_are_merged_in_a_circle_end_somewhere(
    portfolio: psycopg.Connection[Any], client: httpx.Client
) -> None:
    portfolio.execute(
        "insert into account_aliases values (%s, %s, %s, 'x')", [KEPT.account_id, MERGED.account_id, WATERMARK]
    )
    assert client.get(f"/v1/accounts/{KEPT.account_id}").status_code in (200, 404)
    assert client.get(f"/v1/accounts/{OTHER.account_id}").status_code == 200


@pytest.mark.parametrize(
    ("merge", "both"), [("count", 60), ("sum", 60), ("min", 10), ("max", 30), ("distinct", 30), ("last", 20)]
)
def test_values_are_merged_when_read(
    portfolio: psycopg.Connection[Any], client: httpx.Client, merge: str, both: int
) -> None:
    metric = next(one.name for one in catalogue() if one.merge == merge and "day" in one.grains)
    put(portfolio, KEPT, metric, DAY_ONE, 20)
    put(portfolio, MERGED, metric, DAY_ONE, 30)
    put(portfolio, EARLIER, metric, DAY_ONE, 10)
    put(portfolio, EARLIER, metric, DAY_ONE - DAY, 7)
    put(portfolio, OTHER, metric, DAY_ONE, 1_000)
    for account in (KEPT, EARLIER):
        answer = client.get(f"/v1/accounts/{account.account_id}/metrics?metric={metric}").json()
        assert [item["value"] for item in answer["items"]] == [7, both]
    (own,) = client.get(f"/v1/accounts/{OTHER.account_id}/metrics?metric={metric}").json()["items"]
    assert own["value"] == 1_000
