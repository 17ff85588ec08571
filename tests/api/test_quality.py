"""Data quality over the API, and which check holds a signal of an account."""

from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from schemas.checks.catalogue import checks
from tests.api.portfolio_rows import DAY, DEFINITION, MODEL, OPEN_DAY_END, Account, store

NAME = "billing_seats_complete"
ACCOUNT = Account(1, "One")


@pytest.fixture
def results(database: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    for day, verdict, final in ((1, "passed", True), (2, "failed", True), (3, "passed", False)):
        start = OPEN_DAY_END - (4 - day) * DAY
        for source in ("stripe", "import"):
            database.execute(
                "insert into quality_results values (%s, %s, %s, %s, 'completeness', 'warning', %s, 10, %s, %s, null,"
                " 0.1, 1, %s, 0)",
                [NAME, source, start, start + DAY, verdict, day, day / 10, final],
            )
    return database


def test_every_check_with_its_newest_final_result_by_source(results: object, client: httpx.Client) -> None:
    answer = client.get("/v1/quality").json()
    assert [item["name"] for item in answer["items"]] == [check.name for check in checks()]
    told = next(item for item in answer["items"] if item["name"] == NAME)
    assert told["gates"] == ["billing.seats"]
    assert [(each["source"], each["verdict"], each["observed"], each["upper"]) for each in told["newest"]] == [
        ("import", "failed", 0.2, 0.1),
        ("stripe", "failed", 0.2, 0.1),
    ]
    assert answer["failing"] == 1


def test_results_of_a_check_newest_first(results: object, client: httpx.Client) -> None:
    path = f"/v1/quality/{NAME}"
    items = client.get(path, params={"source": "stripe"}).json()["items"]
    assert [(item["verdict"], item["final"]) for item in items] == [
        ("passed", False),
        ("failed", True),
        ("passed", True),
    ]
    day = (OPEN_DAY_END - 2 * DAY).date().isoformat()
    assert len(client.get(path, params={"from": day}).json()["items"]) == 4
    assert len(client.get(path, params={"to": day}).json()["items"]) == 2
    assert len(client.get(path, params={"limit": 1}).json()["items"]) == 1
    assert client.get("/v1/quality/none").status_code == 404
    assert client.get(path, params={"source": "a\0b"}).json()["items"] == []


def test_a_gated_signal_names_the_check_until_the_gate_opens(
    database: psycopg.Connection[Any], client: httpx.Client
) -> None:
    store(database, [ACCOUNT])
    signals = [{**DEFINITION["signals"][0], "inputs": [{"metric": "billing.seats"}]}, DEFINITION["signals"][1]]  # type: ignore[index]
    database.execute(
        "update health_models set definition = %s where model = %s", [Jsonb({**DEFINITION, "signals": signals}), MODEL]
    )

    def step(since: Any, closed: bool, version: int = 1, source: str = "stripe") -> None:
        database.execute(
            "insert into quality_gates values (%s, %s, %s, %s, %s, %s, %s, 1)",
            [ACCOUNT.partition, NAME, source, since, closed, ["billing.seats"], version],
        )

    def gated_by() -> list[Any]:
        detail = client.get(f"/v1/accounts/{ACCOUNT.account_id}").json()
        assert detail["contributions"][1]["gated_by"] == []
        return [each["check"] for each in detail["contributions"][0]["gated_by"]]

    assert gated_by() == []
    step(OPEN_DAY_END - 3 * DAY, True)
    assert gated_by() == [NAME]
    step(OPEN_DAY_END + timedelta(hours=1), False)
    assert gated_by() == [NAME], "a step after the tick says nothing of it"
    step(OPEN_DAY_END - DAY, False)
    assert gated_by() == []
    step(OPEN_DAY_END - 3 * DAY, True, source="import")
    assert gated_by() == [NAME]
    step(OPEN_DAY_END - 9 * DAY, False, version=2, source="import")
    assert gated_by() == [], "a new version replaces all steps of the old one"
