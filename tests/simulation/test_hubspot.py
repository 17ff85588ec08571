"""The HubSpot simulator against section 2 of the vendor specification."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from connectors.hubspot.simulated_ids import company_id, deal_id, owner_id, ticket_object_id
from connectors.simulation.calendar import DAY, epoch
from connectors.simulation.faults import Fault
from connectors.simulation.injection import Injection
from connectors.simulation.stage import Simulation
from connectors.simulation.world import World
from tests.simulation.conftest import StageAt, Wall, client_of

TOKEN = {"Authorization": "Bearer pat-na1-demo"}
OBJECTS = "/hubspot/crm/objects/2026-09"


def listed(client: TestClient, kind: str, **params: str) -> tuple[list[dict[str, Any]], int]:
    """Every object of a list, and its number of pages."""
    found, pages, after = list[dict[str, Any]](), 0, {}
    while True:
        answer = client.get(f"{OBJECTS}/{kind}", params={**params, **after}, headers=TOKEN)
        assert answer.status_code == 200
        found += answer.json()["results"]
        pages += 1
        if "paging" not in answer.json():
            return found, pages
        after = {"after": answer.json()["paging"]["next"]["after"]}


def search(client: TestClient, kind: str, **body: Any) -> Any:
    return client.post(f"{OBJECTS}/{kind}/search", json=body, headers=TOKEN)


def condition(name: str, operator: str, **values: Any) -> dict[str, Any]:
    return {"filters": [{"propertyName": name, "operator": operator, **values}]}


def test_a_list_gives_every_company_by_id_with_text_for_values(client: TestClient, world: World) -> None:
    found, pages = listed(client, "companies", limit="7", properties="name,domain,crm_account_id,no_such_property")
    assert pages == -(-len(world.accounts) // 7)
    ids = [int(one["id"]) for one in found]
    assert ids == sorted(company_id(account.external_id) for account in world.accounts)
    by_id = {company_id(account.external_id): account for account in world.accounts}
    for one in found:
        account = by_id[int(one["id"])]
        assert one["properties"] == {
            "name": account.name,
            "domain": account.domain,
            "crm_account_id": account.crm_id,
            "createdate": one["createdAt"],
            "hs_lastmodifieddate": one["updatedAt"],
            "hs_object_id": one["id"],
        }
        assert epoch(one["createdAt"]) == account.created_at
        assert one["archived"] is False


def test_domains_are_unique_and_ids_do_not_meet(world: World) -> None:
    assert len({account.domain for account in world.accounts}) == len(world.accounts)
    assert not {company_id(one.external_id) for one in world.accounts} & {
        deal_id(one.external_id) for one in world.accounts
    }


def test_deals_and_tickets_with_their_company(client: TestClient, world: World) -> None:
    deals, _ = listed(client, "0-3", limit="100", properties="amount,hs_is_closed_won", associations="companies")
    companies = {deal_id(one.external_id): company_id(one.external_id) for one in world.accounts}
    for later in world.opportunities:
        companies[deal_id(later.opportunity_id)] = company_id(world.accounts[later.account].external_id)
    for one in deals:
        linked = one["associations"]["companies"]["results"]
        assert {int(link["id"]) for link in linked} == {companies[int(one["id"])]}
        assert [link["type"] for link in linked] == ["deal_to_company", "deal_to_company_unlabeled"]
        assert float(one["properties"]["amount"]) >= 0
    tickets, _ = listed(client, "ticket", limit="100", properties="closed_date,hs_ticket_priority")
    now = world.history_end
    assert len(tickets) == int((world.tickets.opened_at <= now).sum())
    for one in tickets[::25]:
        place = int(one["id"]) - ticket_object_id(int(world.tickets.ticket_id[0]))
        solved_at = int(world.tickets.solved_at[place])
        closed = one["properties"]["closed_date"]
        assert (closed is not None) == (solved_at <= now)
        assert closed is None or epoch(closed) == solved_at


def test_deals_are_the_new_business_the_renewals_and_the_expansions_of_the_contracts(
    client: TestClient, simulation: Simulation, world: World
) -> None:
    asked = "amount,dealstage,dealtype,hs_is_closed,hs_is_closed_won,closedate,hs_v2_date_entered_current_stage"
    simulation.clock.change(advance_to=world.history_end + 30 * DAY)
    now = simulation.clock.now_seconds()
    shown = {int(one["id"]): one for one in listed(client, "deals", limit="100", properties=asked)[0]}
    begun = [one for one in world.accounts if one.first_activity_at <= now]
    later = [one for one in world.opportunities if one.created_at <= now]
    assert len(shown) == len(begun) + len(later) > len(begun)
    for account in begun:
        properties = shown[deal_id(account.external_id)]["properties"]
        assert account.contract is not None
        assert float(properties["amount"]) == account.contract.arr_cents / 100
        assert (properties["dealstage"], properties["dealtype"]) == ("closedwon", "newbusiness")
    stages = {"Closed Won": ("closedwon", "true", "true"), "Closed Lost": ("closedlost", "true", "false")}
    seen = set()
    for one in later:
        deal, (since, stage) = shown[deal_id(one.opportunity_id)], one.stage_at(now)
        properties = deal["properties"]
        found = (properties["dealstage"], properties["hs_is_closed"], properties["hs_is_closed_won"])
        assert found == stages.get(stage, ("appointmentscheduled", "false", "false"))
        assert (epoch(deal["createdAt"]), epoch(deal["updatedAt"])) == (one.created_at, since)
        assert epoch(properties["hs_v2_date_entered_current_stage"]) == since
        assert epoch(properties["closedate"]) == (since if stage in stages else one.expected_close)
        seen.add(properties["dealstage"])
    assert seen == {"closedwon", "closedlost", "appointmentscheduled"}


def test_a_merge_of_the_world_is_one_of_the_portal_and_ends_with_it(
    client: TestClient, simulation: Simulation, world: World
) -> None:
    loser, winner = world.accounts[0], world.accounts[1]
    ids = [str(company_id(one.external_id)) for one in (loser, winner)]
    merged_at, _ = simulation.inject(Injection("account_changed", account=loser.crm_id, merged_into=winner.crm_id))
    found, _ = listed(client, "companies", limit="100", properties="hs_merged_object_ids")
    shown = {one["id"]: one for one in found}
    assert ids[0] not in shown
    assert shown[ids[1]]["properties"]["hs_merged_object_ids"] == ids[0]
    assert epoch(shown[ids[1]]["updatedAt"]) == merged_at
    assert not listed(client, "companies", limit="100", archived="true")[0], "merged is not archived"
    assert client.get(f"{OBJECTS}/companies/{ids[0]}", headers=TOKEN).json()["id"] == ids[1]
    simulation.clock.change(advance_to=merged_at + 60)
    simulation.inject(Injection("account_changed", account=loser.crm_id, deleted=False))
    found, _ = listed(client, "companies", limit="100", properties="hs_merged_object_ids")
    shown = {one["id"]: one for one in found}
    assert shown[ids[1]]["properties"]["hs_merged_object_ids"] is None
    assert {epoch(shown[one]["updatedAt"]) for one in ids} == {merged_at + 60}


@pytest.mark.parametrize("params", [{"limit": "101"}, {"limit": "0"}, {"after": "x"}])
def test_a_list_refuses_what_it_cannot_read(client: TestClient, params: dict[str, str]) -> None:
    answer = client.get(f"{OBJECTS}/companies", params=params, headers=TOKEN)
    assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR")


def test_an_archived_company_leaves_list_and_search_at_once(
    client: TestClient, simulation: Simulation, world: World
) -> None:
    account = world.accounts[3]
    place = f"{OBJECTS}/companies/{company_id(account.external_id)}"
    assert client.delete(place, headers=TOKEN).status_code == 204
    now = simulation.clock.now_seconds()
    assert len(listed(client, "companies", limit="100")[0]) == len(world.accounts) - 1
    query = condition("crm_account_id", "EQ", value=account.crm_id)
    assert search(client, "companies", filterGroups=[query]).json()["total"] == 0
    (archived,), _ = listed(client, "companies", limit="100", archived="true")
    assert (archived["archived"], epoch(archived["archivedAt"])) == (True, now)
    assert client.get(place, headers=TOKEN).status_code == 404
    assert client.get(place, params={"archived": "true"}, headers=TOKEN).json()["id"] == archived["id"]
    simulation.clock.change(advance_to=now + 90 * DAY)
    assert listed(client, "companies", limit="100", archived="true")[0] == []


def test_a_merged_company_is_read_as_its_winner(client: TestClient, simulation: Simulation, world: World) -> None:
    first, second, third = (company_id(world.accounts[place].external_id) for place in (0, 1, 2))
    simulation.clock.change(advance_to=world.history_end + 60)
    for winner, loser in ((second, first), (third, second)):
        body = {"primaryObjectId": str(winner), "objectIdToMerge": str(loser)}
        assert client.post(f"{OBJECTS}/companies/merge", json=body, headers=TOKEN).status_code == 200
    found, _ = listed(client, "companies", limit="100", properties="hs_merged_object_ids")
    assert len(found) == len(world.accounts) - 2
    winner_shown = next(one for one in found if int(one["id"]) == third)
    assert winner_shown["properties"]["hs_merged_object_ids"].split(";") == [str(first), str(second)]
    assert epoch(winner_shown["updatedAt"]) == world.history_end + 60
    assert client.get(f"{OBJECTS}/companies/{first}", headers=TOKEN).json()["id"] == str(third)
    batch = client.post(f"{OBJECTS}/companies/batch/read", json={"inputs": [{"id": str(first)}]}, headers=TOKEN)
    assert [one["id"] for one in batch.json()["results"]] == [str(third)]
    deal = str(deal_id(world.accounts[0].external_id))
    answer = client.post(
        "/hubspot/crm/associations/2026-09/deals/companies/batch/read", json={"inputs": [{"id": deal}]}, headers=TOKEN
    )
    assert answer.json()["results"][0]["to"][0]["toObjectId"] == str(third)


def test_merges_survive_a_restart(world: World, tmp_path: Any) -> None:
    ids = [company_id(world.accounts[place].external_id) for place in (0, 1)]
    body = {"primaryObjectId": str(ids[0]), "objectIdToMerge": str(ids[1])}
    client = client_of(Simulation(world, state=tmp_path))
    assert client.post(f"{OBJECTS}/companies/merge", json=body, headers=TOKEN).status_code == 200
    again = client_of(Simulation(world, state=tmp_path))
    assert again.get(f"{OBJECTS}/companies/{ids[1]}", headers=TOKEN).json()["id"] == str(ids[0])


def test_a_search_by_time_and_id_pages_by_offset(client: TestClient, world: World) -> None:
    now = world.history_end
    since = now - 30 * DAY
    body = {
        "filterGroups": [
            {
                "filters": [
                    {"propertyName": "hs_lastmodifieddate", "operator": "GTE", "value": str(since * 1000)},
                    {"propertyName": "hs_object_id", "operator": "GT", "value": "0"},
                ]
            }
        ],
        "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
        "limit": 10,
    }
    page = search(client, "tickets", **body).json()
    changed = sum(
        max(opened, solved if solved <= now - 15 else opened) >= since and opened <= now - 15
        for opened, solved in zip(world.tickets.opened_at.tolist(), world.tickets.solved_at.tolist(), strict=True)
    )
    assert page["total"] == changed > 20
    assert page["paging"] == {"next": {"after": "10"}}
    assert all("associations" not in one for one in page["results"])
    ids = [int(one["id"]) for one in page["results"]]
    following = search(client, "tickets", **body, after="10").json()
    assert ids == sorted(ids)
    assert int(following["results"][0]["id"]) > ids[-1]


def test_operators(client: TestClient, world: World) -> None:
    enterprise = sum(account.segment == "Enterprise" for account in world.accounts)
    name = world.accounts[0].name

    def total(*groups: dict[str, Any]) -> int:
        return int(search(client, "companies", filterGroups=list(groups)).json()["total"])

    everybody = len(world.accounts)
    assert total() == everybody
    assert total(condition("segment", "EQ", value="enterprise")) == enterprise
    assert total(condition("segment", "NEQ", value="enterprise")) == everybody - enterprise
    assert total(condition("segment", "IN", values=["Enterprise", "SMB", "Mid-Market"])) == everybody
    assert total(condition("segment", "NOT_IN", values=["Enterprise"])) == everybody - enterprise
    assert total(condition("annualrevenue", "HAS_PROPERTY")) == 0
    assert total(condition("annualrevenue", "NOT_HAS_PROPERTY")) == everybody
    assert total(condition("name", "CONTAINS_TOKEN", value=name.split()[0])) >= 1
    alternatives = (condition("segment", "EQ", value="SMB"), condition("segment", "EQ", value="Enterprise"))
    assert total(*alternatives) == sum(account.segment in ("SMB", "Enterprise") for account in world.accounts)
    created = [account.created_at for account in world.accounts]
    bounds = {"value": str(min(created) * 1000), "highValue": str(max(created) * 1000)}
    assert total(condition("createdate", "BETWEEN", **bounds)) == everybody
    # The contacts' name of the property matches nothing, and is no error.
    assert total(condition("lastmodifieddate", "GTE", value="0")) == 0


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 201},
        {"limit": 200, "after": "9801"},
        {"after": "x"},
        {"sorts": [{"propertyName": "name"}, {"propertyName": "createdate"}]},
        {"filterGroups": [condition("createdate", "GTE", value=1_793_000_000_000)]},
        {"filterGroups": [condition("createdate", "LIKE", value="1")]},
        {"filterGroups": [condition("createdate", "BETWEEN", value="1")]},
        {"filterGroups": [condition("createdate", "GTE", value="lately")]},
        {"filterGroups": [condition("name", "HAS_PROPERTY")] * 6},
    ],
)
def test_a_search_refuses_what_hubspot_refuses(client: TestClient, body: dict[str, Any]) -> None:
    answer = search(client, "companies", **body)
    assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR")


def test_the_deepest_place_of_a_search(client: TestClient) -> None:
    assert search(client, "companies", limit=200, after="9800").status_code == 200


def test_the_index_lags_and_a_list_does_not(client: TestClient, simulation: Simulation, world: World) -> None:
    simulation.clock.change(advance_to=world.history_end + 1_000)
    _, ids = simulation.inject(Injection("ticket_opened", account=world.accounts[0].crm_id))
    ticket = str(ticket_object_id(ids["ticket"]))
    query = {"filterGroups": [condition("hs_object_id", "EQ", value=ticket)]}
    assert client.get(f"{OBJECTS}/tickets/{ticket}", headers=TOKEN).status_code == 200
    for seconds, total in ((14, 0), (15, 1)):
        simulation.clock.change(advance_to=world.history_end + 1_000 + seconds)
        assert search(client, "tickets", **query).json()["total"] == total
    simulation.faults.order(Fault("hubspot", "search_lag", seconds=30))
    assert [search(client, "tickets", **query).json()["total"] for _ in range(2)] == [0, 1]


def test_a_batch_tells_what_does_not_exist(client: TestClient, simulation: Simulation, world: World) -> None:
    ids = [str(company_id(world.accounts[0].external_id)), str(company_id(world.accounts[1].external_id))]
    inputs = [{"id": one} for one in [*ids, "7"]]
    answer = client.post(
        f"{OBJECTS}/companies/batch/read", json={"inputs": inputs, "properties": ["name"]}, headers=TOKEN
    )
    body = answer.json()
    assert (answer.status_code, body["numErrors"]) == (207, 1)
    assert (body["errors"][0]["category"], body["errors"][0]["context"]) == ("OBJECT_NOT_FOUND", {"ids": ["7"]})
    assert {one["id"] for one in body["results"]} == set(ids)
    simulation.faults.order(Fault("hubspot", "partial_batch"))
    partial = client.post(f"{OBJECTS}/companies/batch/read", json={"inputs": inputs[:2]}, headers=TOKEN).json()
    assert [error["category"] for error in partial["errors"]] == ["INTERNAL_ERROR"]
    for wrong in ({"inputs": []}, {"inputs": inputs * 40}, {"inputs": [{}]}, []):
        assert client.post(f"{OBJECTS}/companies/batch/read", json=wrong, headers=TOKEN).status_code == 400


def test_associations_in_both_generations(client: TestClient, world: World) -> None:
    deal, company = deal_id(world.accounts[0].external_id), company_id(world.accounts[0].external_id)
    asked = {"inputs": [{"id": str(deal)}, {"id": "7"}]}
    for place, shown in (("v4/associations", company), ("associations/2026-03", str(company))):
        answer = client.post(f"/hubspot/crm/{place}/deals/companies/batch/read", json=asked, headers=TOKEN)
        body = answer.json()
        assert answer.status_code == 207
        assert body["errors"][0]["subCategory"] == "crm.associations.NO_ASSOCIATIONS_FOUND"
        (row,) = body["results"]
        assert row["from"] == {"id": str(deal)}
        assert row["to"][0]["toObjectId"] == shown
        assert [one["label"] for one in row["to"][0]["associationTypes"]] == ["Primary", None]


@pytest.mark.parametrize("version", ["v1", "2026-03"])
def test_oauth_in_both_generations(client: TestClient, wall: Wall, version: str) -> None:
    form = {
        "grant_type": "refresh_token",
        "client_id": "hs-vitals-demo",
        "client_secret": "hs-demo-secret",
        "refresh_token": "hs-refresh-demo",
    }
    place = f"/hubspot/oauth/{version}/token"
    given = client.post(place, data=form).json()
    assert (given["token_type"], given["expires_in"], given["refresh_token"]) == ("bearer", 1800, "hs-refresh-demo")
    session = {"Authorization": f"Bearer {given['access_token']}"}
    assert client.get(f"{OBJECTS}/companies", headers=session).status_code == 200
    wall.seconds += 1_801
    expired = client.get(f"{OBJECTS}/companies", headers=session)
    assert (expired.status_code, expired.json()["status"]) == (401, "error")
    refused = client.post(place, data={**form, "refresh_token": "x"})
    assert refused.status_code == 400
    assert (refused.json()["error"], refused.json()["status"]) == ("invalid_grant", "BAD_REFRESH_TOKEN")
    # In the query of the address nothing counts.
    assert client.post(place, params=form).status_code == 400
    assert client.post(place, data={**form, "client_secret": "x"}).json()["error"] == "invalid_client"
    assert client.post(place, data={**form, "grant_type": "password"}).json()["error"] == "unsupported_grant_type"


def test_limits_and_their_headers(client: TestClient, simulation: Simulation, wall: Wall) -> None:
    simulation.rate_limits = True
    usual = client.get(f"{OBJECTS}/companies", headers=TOKEN)
    assert usual.headers["x-hubspot-ratelimit-max"] == "190"
    assert usual.headers["x-hubspot-ratelimit-remaining"] == "189"
    assert usual.headers["x-hubspot-ratelimit-interval-milliseconds"] == "10000"
    assert usual.headers["x-hubspot-ratelimit-daily-remaining"] == "649999"
    searched = [search(client, "deals") for _ in range(6)]
    assert [one.status_code for one in searched] == [200] * 5 + [429]
    assert (searched[-1].json()["policyName"], searched[-1].json()["errorType"]) == ("SECONDLY", "RATE_LIMIT")
    assert not [one for one in searched if "x-hubspot-ratelimit-max" in one.headers or "retry-after" in one.headers]
    wall.seconds += 1
    assert search(client, "tickets").status_code == 200
    statuses = [client.get(f"{OBJECTS}/companies", params={"limit": "1"}, headers=TOKEN) for _ in range(190)]
    assert statuses[-1].json()["policyName"] == "TEN_SECONDLY_ROLLING"
    usage = "/hubspot/account-info/v3/api-usage/daily/private-apps"
    wall.seconds += 10
    row = client.get(usage, headers=TOKEN).json()["results"][0]
    assert (row["usageLimit"], row["currentUsage"] > 190) == (650_000, True)
    assert client.get("/hubspot/account-info/2026-03/details", headers=TOKEN).json()["timeZone"] == "UTC"


def test_owners_and_pipelines(client: TestClient, world: World) -> None:
    found, after = list[dict[str, Any]](), "0"
    while after:
        page = client.get("/hubspot/crm/v3/owners", params={"limit": "3", "after": after}, headers=TOKEN).json()
        found += page["results"]
        after = page.get("paging", {}).get("next", {}).get("after", "")
    assert {one["id"]: f"{one['firstName']} {one['lastName']}" for one in found} == {
        owner_id(one): one.name for one in world.owners
    }
    for kind, closed in (("deals", {"closedwon", "closedlost"}), ("tickets", {"4"})):
        pipeline = client.get(f"/hubspot/crm/v3/pipelines/{kind}", headers=TOKEN).json()["results"][0]
        assert {one["id"] for one in pipeline["stages"] if one["metadata"]["isClosed"] == "true"} == closed


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/hubspot/crm/objects/2025-09/companies", 404),
        ("/hubspot/crm/objects/2026-09/unicorns", 400),
        ("/hubspot/nothing", 404),
    ],
)
def test_paths_that_do_not_exist(client: TestClient, path: str, status: int) -> None:
    assert client.get(path, headers=TOKEN).status_code == status


def test_without_a_token(client: TestClient) -> None:
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic pat-na1-demo"}):
        answer = client.get(f"{OBJECTS}/companies", headers=headers)
        assert (answer.status_code, answer.json()["category"]) == (401, "INVALID_AUTHENTICATION")


def test_the_real_portal(git_world: World, stage_at: StageAt) -> None:
    client = client_of(stage_at(git_world, epoch("2024-03-01")))
    summary = client.get("/_sim/summary").json()["hubspot"]
    assert summary == {"companies": 244, "deals": 244, "tickets": 36_911}
    assert len(listed(client, "companies", limit="100")[0]) == 244
    assert search(client, "tickets", filterGroups=[condition("closed_date", "HAS_PROPERTY")]).json()["total"] == 36_911
