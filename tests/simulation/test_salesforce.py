"""The Salesforce simulator against section 1 of the vendor specification."""

import itertools
from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from connectors.simulation.calendar import DAY, iso
from connectors.simulation.injection import Injection
from connectors.simulation.soql import datetime_text
from connectors.simulation.stage import Simulation
from connectors.simulation.world import World
from tests.simulation.conftest import StageAt, Wall, client_of, salesforce_token

DATA = "/salesforce/services/data/v67.0"


def query(client: TestClient, soql: str, path: str = "queryAll", **headers: str) -> Any:
    answer = client.get(f"{DATA}/{path}", params={"q": soql}, headers={**salesforce_token(client), **headers})
    return answer


def test_the_token_answer_has_the_documented_fields(client: TestClient, simulation: Simulation) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "sf-refresh-demo", "client_id": "vitals-demo"}
    token = client.post(
        "/salesforce/services/oauth2/token", data={**form, "client_secret": "sf-client-secret-demo"}
    ).json()
    assert set(token) == {"access_token", "signature", "scope", "instance_url", "id", "token_type", "issued_at"}
    assert token["instance_url"] == "http://simulator.test/salesforce"
    assert token["issued_at"] == str(simulation.clock.now_seconds() * 1000)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"client_id": "x"}, "invalid_client_id"),
        ({"client_secret": "x"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
    ],
)
def test_token_errors_are_objects(client: TestClient, change: dict[str, str], code: str) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": "vitals-demo",
        "client_secret": "sf-client-secret-demo",
        **change,
    }
    answer = client.post("/salesforce/services/oauth2/token", data=form)
    assert (answer.status_code, answer.json()["error"]) == (400, code)


def test_client_credentials_work_over_basic(client: TestClient) -> None:
    answer = client.post(
        "/salesforce/services/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=("vitals-demo", "sf-client-secret-demo"),
    )
    assert answer.status_code == 200


def test_no_session_and_a_session_left_for_two_hours_are_refused(client: TestClient, wall: Wall) -> None:
    refused = client.get(f"{DATA}/limits")
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (401, "INVALID_SESSION_ID")
    session = salesforce_token(client)
    for _ in range(3):  # each use starts the two hours anew
        wall.seconds += 7_000
        assert client.get(f"{DATA}/limits", headers=session).status_code == 200
    wall.seconds += 7_201
    assert client.get(f"{DATA}/limits", headers=session).status_code == 401


def test_versions_are_open_and_others_unknown(client: TestClient) -> None:
    versions = client.get("/salesforce/services/data/").json()
    assert {"label", "url", "version"} == set(versions[0])
    answer = client.get("/salesforce/services/data/v12.0/limits", headers=salesforce_token(client))
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (404, "NOT_FOUND")


def test_describe_lists_custom_fields(client: TestClient) -> None:
    answer = client.get(f"{DATA}/sobjects/Account/describe", headers=salesforce_token(client)).json()
    names = {field["name"] for field in answer["fields"]}
    assert {"Id", "SystemModstamp", "Segment__c", "Region__c", "Plan__c", "External_Id__c"} <= names
    assert {"name", "type", "compoundFieldName", "nillable", "calculated"} <= set(answer["fields"][0])


def test_a_record_carries_its_type_and_documented_times(client: TestClient, world: World) -> None:
    account = world.accounts[0]
    soql = f"SELECT Id, Name, SystemModstamp, Owner.Name FROM Account WHERE Id = '{account.crm_id}'"
    page = query(client, soql).json()
    assert page["totalSize"] == 1
    assert page["done"] is True
    assert "nextRecordsUrl" not in page
    record = page["records"][0]
    assert record["attributes"]["type"] == "Account"
    assert record["attributes"]["url"] == f"/services/data/v67.0/sobjects/Account/{account.crm_id}"
    assert record["Name"] == account.name
    assert record["SystemModstamp"].endswith(".000+0000")
    assert record["Owner"]["Name"]


def many(world: World, count: int) -> World:
    """The world with many accounts of one `SystemModstamp`."""
    first = world.accounts[0]
    accounts = tuple(replace(first, index=place, crm_id=f"001{place:015d}", changes=()) for place in range(count))
    return replace(world, accounts=accounts, subscriptions=(), invoices=())


def test_five_thousand_rows_of_one_instant_come_in_pages_of_two_thousand(world: World, stage_at: StageAt) -> None:
    client = client_of(stage_at(many(world, 5_000), world.history_end))
    session = salesforce_token(client)
    soql = "SELECT Id, SystemModstamp FROM Account ORDER BY SystemModstamp ASC, Id ASC"
    page = client.get(f"{DATA}/queryAll", params={"q": soql}, headers=session).json()
    ids, sizes = [record["Id"] for record in page["records"]], [len(page["records"])]
    while not page["done"]:
        assert page["totalSize"] == 5_000
        assert "/query/01g" in page["nextRecordsUrl"]
        page = client.get(f"/salesforce{page['nextRecordsUrl']}", headers=session).json()
        ids += [record["Id"] for record in page["records"]]
        sizes.append(len(page["records"]))
    assert sizes == [2_000, 2_000, 1_000]
    assert ids == sorted(set(ids))
    assert len(ids) == 5_000


def test_a_full_last_page_says_done_and_the_batch_size_is_a_hint(world: World, stage_at: StageAt) -> None:
    client = client_of(stage_at(many(world, 4_000), world.history_end))
    page = query(client, "SELECT Id FROM Account ORDER BY Id").json()
    page = client.get(f"/salesforce{page['nextRecordsUrl']}", headers=salesforce_token(client)).json()
    assert (len(page["records"]), page["done"]) == (2_000, True)
    small = query(client, "SELECT Id FROM Account", **{"Sforce-Query-Options": "batchSize=10"}).json()
    assert len(small["records"]) == 200


def test_keyset_restart_reads_what_the_walk_would(world: World, stage_at: StageAt) -> None:
    client = client_of(stage_at(many(world, 450), world.history_end))
    at = iso(world.accounts[0].created_at).replace("Z", ".000Z")
    found: list[str] = []
    last = ""
    while True:
        soql = (
            f"SELECT Id FROM Account WHERE (SystemModstamp > {at}) OR (SystemModstamp = {at} AND Id > '{last}') "
            "ORDER BY SystemModstamp ASC, Id ASC LIMIT 200"
        )
        records = query(client, soql).json()["records"]
        if not records:
            break
        found += [record["Id"] for record in records]
        last = found[-1]
    assert len(found) == len(set(found)) == 450


@pytest.mark.parametrize(
    ("soql", "code"),
    [
        ("SELECT Id FROM", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account WHERE", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account LIMIT x", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account; DELETE", "MALFORMED_QUERY"),
        ("SELECT Id FROM Lead", "INVALID_TYPE"),
        ("SELECT Foo__c FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Account ORDER BY Foo__c", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE SystemModstamp >= '2026-01-01T00:00:00Z'", "INVALID_FIELD"),
    ],
)
def test_bad_queries_are_arrays_of_errors(client: TestClient, soql: str, code: str) -> None:
    answer = query(client, soql)
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, code)


def test_conditions(client: TestClient, world: World) -> None:
    everyone = query(client, "SELECT Id, Segment__c, Plan__c FROM Account").json()["records"]
    counted = query(
        client,
        "select count() from Account where (Segment__c in ('SMB', 'Enterprise') and not Plan__c = 'Growth') "
        "or Segment__c not in ('SMB', 'Enterprise')",
    ).json()
    expected = [
        record
        for record in everyone
        if (record["Segment__c"] in ("SMB", "Enterprise") and record["Plan__c"] != "Growth")
        or record["Segment__c"] not in ("SMB", "Enterprise")
    ]
    assert counted["totalSize"] == len(expected) < len(everyone) == 40
    assert counted["records"] == []


def test_windows_of_time_partition_the_records(client: TestClient, world: World) -> None:
    edges = [world.history_start - DAY + step * 50 * DAY for step in range(9)]
    total = 0
    for low, high in itertools.pairwise(edges):
        soql = f"SELECT COUNT() FROM Account WHERE SystemModstamp >= {iso(low)} AND SystemModstamp < {iso(high)}"
        total += query(client, soql).json()["totalSize"]
    assert total == 40


def test_nothing_of_the_future_shows(world: World, stage_at: StageAt) -> None:
    client = client_of(stage_at(world, world.history_start + 30 * DAY))
    records = query(client, "SELECT CreatedDate FROM Account").json()["records"]
    assert 0 < len(records) < 40
    assert max(record["CreatedDate"] for record in records) <= datetime_text(world.history_start + 30 * DAY)


def test_an_unknown_and_an_expired_locator(world: World, stage_at: StageAt) -> None:
    simulation = stage_at(many(world, 2_500), world.history_end)
    client = client_of(simulation)
    session = salesforce_token(client)
    answer = client.get(f"{DATA}/query/01gDemo-2000", headers=session)
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "INVALID_QUERY_LOCATOR")
    page = query(client, "SELECT Id FROM Account").json()
    simulation.clock.change(advance_to=world.history_end + 3 * DAY)
    answer = client.get(f"/salesforce{page['nextRecordsUrl']}", headers=salesforce_token(client))
    assert answer.json()[0]["errorCode"] == "INVALID_QUERY_LOCATOR"


def test_a_result_does_not_change_while_it_is_walked(world: World, stage_at: StageAt) -> None:
    simulation = stage_at(many(world, 2_500), world.history_end)
    client = client_of(simulation)
    page = query(client, "SELECT Id, Plan__c FROM Account ORDER BY Id").json()
    simulation.inject(Injection(kind="account_changed", account=f"001{2_400:015d}", plan="Changed"))
    rest = client.get(f"/salesforce{page['nextRecordsUrl']}", headers=salesforce_token(client)).json()
    assert "Changed" not in {record["Plan__c"] for record in rest["records"]}
    assert query(client, "SELECT COUNT() FROM Account WHERE Plan__c = 'Changed'").json()["totalSize"] == 1


def test_deleted_accounts_are_seen_by_query_all_and_by_deleted_for_fifteen_days(
    client: TestClient, simulation: Simulation, world: World
) -> None:
    account, now = world.accounts[3], world.history_end
    simulation.clock.change(advance_to=now + 10)
    simulation.inject(Injection(kind="account_changed", account=account.crm_id, deleted=True))
    soql = f"SELECT Id, IsDeleted, SystemModstamp FROM Account WHERE Id = '{account.crm_id}'"
    assert query(client, soql, "query").json()["totalSize"] == 0
    record = query(client, soql).json()["records"][0]
    assert (record["IsDeleted"], record["SystemModstamp"]) == (True, datetime_text(now + 10))
    simulation.clock.change(advance_to=now + DAY)
    span = {"start": iso(now), "end": iso(now + DAY)}
    answer = client.get(f"{DATA}/sobjects/Account/deleted/", params=span, headers=salesforce_token(client)).json()
    assert answer["deletedRecords"] == [{"id": account.crm_id, "deletedDate": datetime_text(now + 10)}]
    assert answer["latestDateCovered"] == datetime_text(now + DAY)
    simulation.clock.change(advance_to=now + 20 * DAY)
    assert query(client, soql).json()["totalSize"] == 0


def test_every_answer_tells_the_use_of_the_day_and_the_limit_is_403(simulation: Simulation) -> None:
    from connectors.salesforce.simulator import create_app

    simulation.rate_limits = True
    client = TestClient(create_app(simulation, daily_requests=2), base_url="http://simulator.test")
    form = {"grant_type": "client_credentials", "client_id": "vitals-demo", "client_secret": "sf-client-secret-demo"}
    token = client.post("/services/oauth2/token", data=form).json()["access_token"]
    session = {"Authorization": f"Bearer {token}"}
    answers = [client.get("/services/data/v67.0/limits", headers=session) for _ in range(3)]
    assert [answer.headers["sforce-limit-info"] for answer in answers] == [
        "api-usage=1/2",
        "api-usage=2/2",
        "api-usage=2/2",
    ]
    assert answers[1].json()["DailyApiRequests"] == {"Max": 2, "Remaining": 0}
    assert (answers[2].status_code, answers[2].json()[0]["errorCode"]) == (403, "REQUEST_LIMIT_EXCEEDED")
    assert "retry-after" not in answers[2].headers


def test_one_closed_won_opportunity_for_each_account(client: TestClient, world: World) -> None:
    soql = "SELECT AccountId, Amount, StageName, Type, IsWon, CloseDate FROM Opportunity WHERE Type = 'New Business'"
    records = {record["AccountId"]: record for record in query(client, soql).json()["records"]}
    assert set(records) == {account.crm_id for account in world.accounts}
    account = world.accounts[0]
    record = records[account.crm_id]
    assert account.contract is not None
    assert record["Amount"] == account.contract.arr_cents / 100 > 0
    assert (record["StageName"], record["Type"], record["IsWon"]) == ("Closed Won", "New Business", True)
    assert record["CloseDate"] == iso(account.first_activity_at)[:10]
