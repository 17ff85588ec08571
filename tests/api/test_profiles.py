"""Profiles: the newest in lists, as of then in history, and what a late version restates."""

from typing import Any

import httpx
import psycopg
import pytest

from tests.api.portfolio_rows import DAY, OPEN_DAY_END, Account, store

BETA = Account(1, "Beta", 63_120_482, segment="Enterprise", past={7: 67_370_482, 28: 74_620_483})
BASE = f"/v1/accounts/{BETA.account_id}"


@pytest.fixture
def portfolio(database: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    store(database, [BETA])
    for days in (28, 7):
        database.execute(
            "insert into metric_values values (%s, 'product.events', 'day', %s, 5, %s, 1, 0, 9)",
            [BETA.account_id, OPEN_DAY_END - days * DAY, BETA.partition],
        )
    return database


def version(portfolio: psycopg.Connection[Any], days: int, segment: str, **more: Any) -> None:
    """A version of the profile from so many days before the open day's end on."""
    row = {
        "account_id": BETA.account_id,
        "valid_from": OPEN_DAY_END - days * DAY,
        "crm_id": "crm-1",
        "name": "Beta",
        "segment": segment,
        "created_at": OPEN_DAY_END - 900 * DAY,
        "source": "salesforce",
        **more,
    }
    columns = ", ".join(row)
    portfolio.execute(
        f"insert into account_profiles ({columns}) values ({', '.join(['%s'] * len(row))})", list(row.values())
    )


def contract(portfolio: psycopg.Connection[Any], days: int, value: int, currency: str = "USD") -> None:
    portfolio.execute(
        "insert into account_contracts (account_id, domain, contract, valid_from, source, annual_value, currency, ends)"
        " values (%s, 'billing', 'sub_1', %s, 'stripe', %s, %s, '2027-03-01')",
        [BETA.account_id, OPEN_DAY_END - days * DAY, value, currency],
    )


def shown(client: httpx.Client, path: str) -> list[str]:
    answer = client.get(BASE + path)
    assert answer.status_code == 200, answer.text
    return [item["segment"] for item in answer.json()["items"]]


def test_history_is_shown_with_the_profile_as_of_then_and_a_late_version_restates_it(
    portfolio: psycopg.Connection[Any], client: httpx.Client
) -> None:
    version(portfolio, 10, "SMB")
    assert shown(client, "/health") == ["Enterprise", "SMB"]
    assert shown(client, "/metrics?metric=product.events") == ["Enterprise", "SMB"]
    now = client.get("/v1/accounts").json()["items"][0]
    version(portfolio, 8, "Mid-Market")
    version(portfolio, 30, "Startup")
    assert shown(client, "/health") == ["Startup", "Mid-Market"]
    assert shown(client, "/metrics?metric=product.events") == ["Startup", "Mid-Market"]
    assert now["segment"] == "SMB"
    assert client.get("/v1/accounts").json()["items"][0]["segment"] == "Mid-Market", "now it is the newest"


def test_the_profile_at_an_instant(portfolio: psycopg.Connection[Any], client: httpx.Client) -> None:
    version(portfolio, 10, "SMB", arr=900, arr_currency="EUR", time_zone="Europe/Lisbon", domain="beta.example")
    contract(portfolio, 20, 1200)

    def at(days: float | None) -> dict[str, Any]:
        moment = {} if days is None else {"at": (OPEN_DAY_END - days * DAY).isoformat()}
        found: dict[str, Any] = client.get(f"{BASE}/profile", params=moment).json()
        return found

    assert (at(15)["segment"], at(15)["arr"], at(15)["arr_currency"]) == ("Enterprise", 1200.0, "USD")
    assert at(15)["sources"]["arr"] == "stripe"
    assert (at(9)["segment"], at(9)["arr"], at(9)["arr_currency"]) == ("SMB", 900.0, "EUR")
    assert at(9)["sources"] == {
        "segment": "salesforce", "arr": "salesforce", "time_zone": "salesforce", "domain": "salesforce",
        "renewal_date": "stripe",
    }  # fmt: skip
    assert at(25)["arr"] is None
    assert at(4000)["assumed"]
    assert {**at(None), "at": None} == {**at(-3), "at": None}
    assert client.get("/v1/accounts/7d2a4a53-5d8a-5b7e-9c5b-0c6f0a0a1b11/profile").status_code == 404
    assert client.get(f"{BASE}/profile?at=soon").status_code == 422


def test_lists_show_the_newest_terms(portfolio: psycopg.Connection[Any], client: httpx.Client) -> None:
    contract(portfolio, 20, 1200)
    contract(portfolio, 2, 2400)
    (item,) = client.get("/v1/accounts").json()["items"]
    assert (item["arr"], item["arr_currency"], item["renewal_date"]) == (2400.0, "USD", "2027-03-01")
    detail = client.get(BASE).json()
    assert (detail["arr"], detail["sources"]["arr"], detail["time_zone"]) == (2400.0, "stripe", None)
    assert client.get("/v1/summary").json()["worst"][0]["arr"] == 2400.0
