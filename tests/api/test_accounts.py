"""The list of accounts and one account."""

from typing import Any

import httpx
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api import cursor
from api.problems import ProblemError
from tests.api.portfolio_rows import MODEL, Account, store, store_account

ACCOUNTS = [
    Account(1, "Beta", 63_120_482, "watch", "down", past={7: 67_370_482, 28: 74_620_483}),
    Account(2, "alpha", 12_000_001, "at_risk", "down", segment="SMB"),
    Account(3, "Gamma 100%", 88_500_000, "healthy", "up", owner="Grace", past={7: 80_000_000}),
    Account(4, "Delta", None, "unknown"),
    Account(5, "Epsilon", live=False),
    Account(6, "Zeta", 63_120_482, "watch", "flat"),
    Account(7, "Gone", 1_000_000, "at_risk", deleted=True),
]


@pytest.fixture
def portfolio(database: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    store(database, ACCOUNTS)
    return database


def names(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json()["items"]]


def test_worst_score_first_and_unscored_last(portfolio: object, client: httpx.Client) -> None:
    listed = names(client.get("/v1/accounts"))
    assert listed[0] == "alpha"
    assert set(listed[1:3]) == {"Beta", "Zeta"}
    assert listed[3] == "Gamma 100%"
    assert set(listed[4:]) == {"Delta", "Epsilon"}
    assert set(names(client.get("/v1/accounts?order=desc"))[4:]) == {"Delta", "Epsilon"}
    assert names(client.get("/v1/accounts?order=desc"))[0] == "Gamma 100%"


def test_other_orders(portfolio: object, client: httpx.Client) -> None:
    by_name = ["alpha", "Beta", "Delta", "Epsilon", "Gamma 100%", "Zeta"]
    assert names(client.get("/v1/accounts?sort=name")) == by_name
    assert names(client.get("/v1/accounts?sort=name&order=desc")) == by_name[::-1]
    assert names(client.get("/v1/accounts?sort=trend"))[:4] == ["alpha", "Beta", "Zeta", "Gamma 100%"]
    assert names(client.get("/v1/accounts?sort=trend&order=desc"))[:4] == ["Gamma 100%", "Zeta", "alpha", "Beta"]


def test_row_is_exact(portfolio: object, client: httpx.Client) -> None:
    item = client.get("/v1/accounts?q=beta").json()["items"][0]
    assert item["score"] == 63.120482
    assert item["change_7d"] == -4.25
    assert item["change_28d"] == -11.500001
    assert item["coverage"] == 0.9
    assert item["tick"] == "2026-06-02T00:00:00Z"
    assert '"score":63.120482' in client.get("/v1/accounts?q=beta").text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("band=at_risk", ["alpha"]),
        ("band=unknown", ["Delta", "Epsilon"]),
        ("segment=SMB", ["alpha"]),
        ("segment=", ["alpha", "Beta", "Delta", "Epsilon", "Gamma 100%", "Zeta"]),
        ("owner=Grace", ["Gamma 100%"]),
        ("q=100%25", ["Gamma 100%"]),
        ("q=_eta", []),
        ("q=crm-3", ["Gamma 100%"]),
        ("q=%00", []),
        ("segment=SMB&band=healthy", []),
    ],
)
def test_filters(portfolio: object, client: httpx.Client, query: str, found: list[str]) -> None:
    answer = client.get(f"/v1/accounts?sort=name&{query}")
    assert names(answer) == found
    assert answer.json()["total"] == len(found)


def test_unknown_band_is_refused_with_those_there_are(client: httpx.Client) -> None:
    answer = client.get("/v1/accounts?band=excellent")
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["errors"][0]["field"] == "query.band"
    for band in ("healthy", "watch", "at_risk", "unknown"):
        assert band in problem["detail"]


@pytest.mark.parametrize("sort", ["score", "name", "trend"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_hold_every_account_once(portfolio: object, client: httpx.Client, sort: str, order: str) -> None:
    whole = names(client.get(f"/v1/accounts?sort={sort}&order={order}"))
    seen: list[str] = []
    cursor_text = ""
    for _ in range(len(whole)):
        answer = client.get(f"/v1/accounts?sort={sort}&order={order}&limit=1&cursor={cursor_text}")
        seen += names(answer)
        cursor_text = answer.json()["next_cursor"]
        if cursor_text is None:
            break
    assert seen == whole


def test_equal_scores_stay_in_order_when_accounts_come_in_between(
    client: httpx.Client, database: psycopg.Connection[Any]
) -> None:
    equal = [Account(number, f"Equal {number}", 50_000_000) for number in range(20)]
    store(database, equal)
    first = client.get("/v1/accounts?limit=7").json()
    # A new account that sorts before the end of the first page must not push another one onto the next page.
    store_account(database, Account(100, "Newcomer", 1))
    rest = client.get(f"/v1/accounts?limit=50&cursor={first['next_cursor']}").json()
    seen = [item["account_id"] for item in first["items"] + rest["items"]]
    assert sorted(seen) == sorted(str(account.account_id) for account in equal)


@pytest.mark.parametrize("text", ["x", "W10", "bm90IGpzb24", "%F0%9F%98%80", "bnVsbA", "W1tbW1tb"])
def test_foreign_cursor_is_refused(client: httpx.Client, text: str) -> None:
    answer = client.get(f"/v1/accounts?cursor={text}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "query.cursor"


def test_cursor_of_another_order_is_refused(portfolio: object, client: httpx.Client) -> None:
    text = client.get("/v1/accounts?limit=1").json()["next_cursor"]
    assert client.get(f"/v1/accounts?limit=1&order=desc&cursor={text}").status_code == 422


@given(text=st.text(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_breaks_the_cursor(text: str) -> None:
    with pytest.raises(ProblemError):
        cursor.decode(text, "score", "asc")


def test_contributions_sum_to_the_score(portfolio: object, client: httpx.Client) -> None:
    for account in ACCOUNTS[:3]:
        detail = client.get(f"/v1/accounts/{account.account_id}").json()
        micro = [round(item["contribution"] * 1_000_000) for item in detail["contributions"]]
        assert sum(micro) == round(detail["score"] * 1_000_000) == account.score


def test_detail_explains_the_score(portfolio: object, client: httpx.Client) -> None:
    detail = client.get(f"/v1/accounts/{ACCOUNTS[0].account_id}").json()
    assert detail["model"] == MODEL
    assert detail["crm_id"] == "crm-1"
    assert detail["contributions"][0] == {
        "signal": "usage",
        "label": "Usage in 28 days",
        "group": "usage",
        "weight": 60,
        "contribution": 21.040160,
        "value": 0.5,
        "unit": "ratio",
        "status": None,
        "gated_by": [],
        "outages": [],
    }
    assert detail["receipt"]["sealed_through"] == "2026-05-26T00:00:00Z"


def test_unscored_account_has_no_contributions(portfolio: object, client: httpx.Client) -> None:
    assert client.get(f"/v1/accounts/{ACCOUNTS[4].account_id}").json()["contributions"] == []
    detail = client.get(f"/v1/accounts/{ACCOUNTS[3].account_id}").json()
    assert [item["contribution"] for item in detail["contributions"]] == [None, None]
    assert detail["band"] == "unknown"


def test_deleted_or_unknown_account_is_not_found(portfolio: object, client: httpx.Client) -> None:
    for account in (ACCOUNTS[6], Account(999, "Never")):
        for path in ("", "/health", "/metrics?metric=product.events"):
            assert client.get(f"/v1/accounts/{account.account_id}{path}").status_code == 404
    assert client.get("/v1/accounts/no-uuid").status_code == 422


def test_missing_model_definition_is_said(portfolio: psycopg.Connection[Any], client: httpx.Client) -> None:
    portfolio.execute("delete from health_models")
    answer = client.get(f"/v1/accounts/{ACCOUNTS[0].account_id}")
    assert answer.status_code == 503
    assert MODEL in answer.json()["detail"]
