"""The truth is told under `/_sim/truth` and nowhere else, and agrees with what vendors show."""

from typing import Any

import orjson
import pytest
from starlette.testclient import TestClient

from connectors.simulation.billing_records import customer_id
from connectors.simulation.calendar import DAY, epoch
from connectors.simulation.causes import CAUSES
from connectors.simulation.crm_records import rows
from connectors.simulation.generated import generate
from connectors.simulation.stage import Simulation
from connectors.simulation.vendors import simulators
from connectors.simulation.world import World
from tests.simulation.conftest import STRIPE, StageAt, client_of, salesforce_token, zendesk_token


@pytest.fixture(scope="module")
def company() -> World:
    return generate(seed=3, accounts=120)


def test_the_truth_of_every_account(company: World, stage_at: StageAt) -> None:
    now = company.history_end
    answer = client_of(stage_at(company, now)).get("/_sim/truth")
    told = orjson.loads(answer.content)
    assert (told["world"], told["source_time"]) == (company.name, "2026-11-01T00:00:00Z")
    assert epoch(told["known_until"]) >= now + 60 * DAY
    assert len(told["outages"]) == len(company.outages) > 0
    assert [one["crm_id"] for one in told["accounts"]] == [account.crm_id for account in company.accounts]
    found = [episode for one in told["accounts"] for episode in one["episodes"]]
    assert {one["cause"] for one in found} <= set(CAUSES)
    assert {one["outcome"] for one in found} <= {"ongoing", "recovered", "contracted", "churned"}
    assert all("health" not in one for one in told["accounts"])


def test_one_account_and_its_health_by_day(company: World, stage_at: StageAt) -> None:
    client, account = client_of(stage_at(company, company.history_end)), company.accounts[5]
    for name in (account.name, account.crm_id, account.external_id):
        told = client.get("/_sim/truth", params={"account": name, "health": "daily"}).json()
        assert [one["name"] for one in told["accounts"]] == [account.name]
    only = told["accounts"][0]
    assert only["health_from"] == "2025-11-01"
    assert len(only["health"]) == (epoch(told["known_until"]) - epoch(only["health_from"])) // DAY
    assert all(0 <= value <= 1 for value in only["health"])
    unknown = client.get("/_sim/truth", params={"account": "nobody"})
    assert unknown.status_code == 400
    assert "nobody" in unknown.json()["error"]


def test_real_data_has_no_truth_to_tell(git_world: World, stage_at: StageAt) -> None:
    answer = client_of(stage_at(git_world, git_world.history_end)).get("/_sim/truth")
    assert answer.status_code == 400
    assert "no truth" in answer.json()["error"]


def test_who_is_gone_by_the_truth_is_gone_for_billing_and_crm(company: World, stage_at: StageAt) -> None:
    # Half a day after the turn of a month, when the CRM knows what was renewed.
    now = company.history_end + DAY // 2
    client = client_of(stage_at(company, now))
    told = {one["crm_id"]: one for one in client.get("/_sim/truth").json()["accounts"]}
    gone = {crm_id for crm_id, one in told.items() if one["churned_at"] and epoch(one["churned_at"]) <= now}
    assert gone
    ended = client.get("/stripe/v1/subscriptions?status=canceled&limit=100", headers=STRIPE).json()["data"]
    customers = {customer_id(account): account.crm_id for account in company.accounts}
    assert {customers[one["customer"]] for one in ended} == gone
    for row in rows(company, "Account", now, deleted=False):
        one = told[row["Id"]]
        assert (row["Contract_End__c"] <= "2026-11-01") == (row["Id"] in gone), one
        if row["Id"] not in gone and not one["contracted_at"] and not one["expanded_at"]:
            assert (row["Seats__c"], row["ARR__c"]) == (one["contract"]["seats"], one["contract"]["arr"])
    opportunities = rows(company, "Opportunity", now, deleted=False)
    won = [row for row in opportunities if row["Type"] == "Expansion" and row["IsWon"]]
    assert len(won) == sum(epoch(at) <= now for one in told.values() for at in one["expanded_at"])


def bodies(client: TestClient) -> dict[str, str]:
    """What each vendor of the first four shows of everything it has."""
    session, support = salesforce_token(client), zendesk_token(client)
    query = "/salesforce/services/data/v67.0/query"
    answers: dict[str, Any] = {
        "describe": client.get("/salesforce/services/data/v67.0/sobjects/Account/describe", headers=session),
        "account": client.get(query, params={"q": "SELECT Id, Name, Contract_End__c FROM Account"}, headers=session),
        "tickets": client.get("/zendesk/api/v2/incremental/tickets/cursor.json?start_time=0", headers=support),
        "organizations": client.get("/zendesk/api/v2/incremental/organizations.json?start_time=0", headers=support),
        "customers": client.get("/stripe/v1/customers?limit=100", headers=STRIPE),
        "subscriptions": client.get("/stripe/v1/subscriptions?limit=100&status=all", headers=STRIPE),
    }
    assert {answer.status_code for answer in answers.values()} == {200}
    return {name: answer.text for name, answer in answers.items()}


def test_no_vendor_shows_any_of_it(client: TestClient, simulation: Simulation) -> None:
    words = {*CAUSES, "latent", "decline", "episode", "churn", "truth"}
    for name, body in bodies(client).items():
        assert not [word for word in words if word in body.lower()], name
    for vendor in simulators():
        assert client.get(f"/{vendor}/_sim/truth").status_code >= 400
