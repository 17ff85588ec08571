"""The Zendesk simulator against section 3 of the vendor specification."""

import base64
from typing import Any

import pytest
from starlette.testclient import TestClient

from connectors.simulation.calendar import epoch
from connectors.simulation.faults import Fault
from connectors.simulation.injection import Injection
from connectors.simulation.stage import Simulation
from connectors.simulation.world import World
from tests.simulation.conftest import StageAt, Wall, client_of, zendesk_token

EXPORTS = "/zendesk/api/v2/incremental"


def walk(client: TestClient, **params: str) -> tuple[list[dict[str, Any]], str, int]:
    """Every ticket of an export, its last cursor, and its number of pages."""
    session = zendesk_token(client)
    page = client.get(f"{EXPORTS}/tickets/cursor.json", params=params, headers=session).json()
    tickets, pages = page["tickets"], 1
    while not page["end_of_stream"]:
        page = client.get(page["after_url"], headers=session).json()
        tickets += page["tickets"]
        pages += 1
    return tickets, page["after_cursor"], pages


def test_an_export_gives_every_ticket_once_in_its_newest_state(client: TestClient, world: World) -> None:
    tickets, cursor, pages = walk(client, start_time="0", per_page="50")
    now = world.history_end
    visible = int((world.tickets.opened_at <= now - 60).sum())
    assert len(tickets) == len({ticket["id"] for ticket in tickets}) == visible
    assert pages == -(-visible // 50)
    order = [(ticket["generated_timestamp"], ticket["id"]) for ticket in tickets]
    assert order == sorted(order)
    assert base64.b64decode(cursor).decode() == f"{order[-1][0]}.0||{order[-1][1]}"
    for ticket in tickets:
        place = ticket["id"] - int(world.tickets.ticket_id[0])
        solved_at = int(world.tickets.solved_at[place])
        assert (ticket["status"] == "solved") == (solved_at <= now)
        assert epoch(ticket["created_at"]) == world.tickets.opened_at[place]
        assert epoch(ticket["updated_at"]) == ticket["generated_timestamp"]


def test_a_cursor_goes_on_where_it_stopped_and_sees_a_solution(world: World, stage_at: StageAt) -> None:
    simulation = stage_at(world, world.history_end)
    client = client_of(simulation)
    first, cursor, _ = walk(client, start_time="0")
    assert walk(client, cursor=cursor)[0] == []
    simulation.clock.change(advance_to=world.history_end + 5 * 86_400)
    later, _, _ = walk(client, cursor=cursor)
    states = {ticket["id"]: ticket["status"] for ticket in [*first, *later]}
    now = simulation.clock.now_seconds() - 60
    for place, ticket_id in enumerate(world.tickets.ticket_id.tolist()):
        if world.tickets.opened_at[place] <= now:
            assert states[ticket_id] == ("solved" if world.tickets.solved_at[place] <= now else "open")
        else:
            assert ticket_id not in states


def test_metric_sets_come_beside_their_tickets(client: TestClient, world: World) -> None:
    page = client.get(
        f"{EXPORTS}/tickets/cursor",
        params={"start_time": "0", "include": "metric_sets", "per_page": "5"},
        headers=zendesk_token(client),
    ).json()
    assert [one["ticket_id"] for one in page["metric_sets"]] == [one["id"] for one in page["tickets"]]
    for ticket, metrics in zip(page["tickets"], page["metric_sets"], strict=True):
        place = ticket["id"] - int(world.tickets.ticket_id[0])
        assert epoch(metrics["created_at"]) == world.tickets.opened_at[place]
        assert epoch(metrics["solved_at"]) == world.tickets.solved_at[place]
    assert "include=metric_sets" in page["after_url"]


def test_the_last_minute_is_hidden(client: TestClient, simulation: Simulation, world: World) -> None:
    _, cursor, _ = walk(client, start_time="0")
    _, ids = simulation.inject(Injection(kind="ticket_opened", account=world.accounts[0].name))
    simulation.clock.change(advance_to=world.history_end + 59)
    assert walk(client, cursor=cursor)[0] == []
    simulation.clock.change(advance_to=world.history_end + 60)
    assert ids["ticket"] in [ticket["id"] for ticket in walk(client, cursor=cursor)[0]]


def test_a_recent_or_absent_start_time_and_a_bad_cursor_are_422(client: TestClient, world: World) -> None:
    session = zendesk_token(client)
    for params in ({"start_time": str(world.history_end - 299)}, {}, {"start_time": "x"}, {"cursor": "?"}):
        answer = client.get(f"{EXPORTS}/tickets/cursor.json", params=params, headers=session)
        assert (answer.status_code, answer.json()["error"]) == (422, "InvalidValue")
    recent = client.get(f"{EXPORTS}/organizations.json", params={"start_time": str(world.history_end)}, headers=session)
    assert recent.json()["description"].startswith("Too recent start_time")


def test_an_empty_page_is_not_the_end(client: TestClient, simulation: Simulation) -> None:
    everything, _, pages = walk(client, start_time="0", per_page="100")
    simulation.faults.order(Fault("zendesk", "empty_page", path="/api/v2/incremental", after=1))
    again, _, more = walk(client, start_time="0", per_page="100")
    assert again == everything
    assert more == pages + 1


def test_duplicates_come_at_a_page_boundary(client: TestClient, simulation: Simulation) -> None:
    everything, _, _ = walk(client, start_time="0", per_page="100")
    simulation.faults.order(Fault("zendesk", "duplicates"))
    again, _, _ = walk(client, start_time="0", per_page="100")
    assert len(again) == len(everything) + 1
    assert again[99] == again[100]


def test_organizations_repeat_the_last_second_and_name_the_crm_account(client: TestClient, world: World) -> None:
    session, found, start = zendesk_token(client), list[dict[str, Any]](), "0"
    for _ in range(100):
        page = client.get(
            f"{EXPORTS}/organizations.json", params={"start_time": start, "per_page": "10"}, headers=session
        ).json()
        assert page["count"] == len(page["organizations"])
        if found:
            assert page["organizations"][0]["id"] in {one["id"] for one in found}
        found += page["organizations"]
        if page["end_of_stream"]:
            break
        assert f"start_time={page['end_time']}" in page["next_page"]
        start = str(page["end_time"])
    unique = {one["id"]: one for one in found}
    assert {one["external_id"] for one in unique.values()} == {account.crm_id for account in world.accounts}
    assert len(found) > len(unique)


def test_a_refresh_ends_the_old_pair_at_once(client: TestClient, simulation: Simulation) -> None:
    old = zendesk_token(client)
    body = {
        "grant_type": "refresh_token",
        "refresh_token": "zd-refresh-demo-0001",
        "client_id": "cs_platform",
        "client_secret": "zd-client-secret-demo",
        "expires_in": 300,
    }
    pair = client.post("/zendesk/oauth/tokens", json=body).json()
    assert (pair["token_type"], pair["expires_in"], pair["refresh_token_expires_in"]) == ("bearer", 300, 7_776_000)
    refused = client.get(f"{EXPORTS}/tickets/cursor.json", params={"start_time": "0"}, headers=old)
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")
    again = client.post("/zendesk/oauth/tokens", json=body)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    rotated = client.post("/zendesk/oauth/tokens", json={**body, "refresh_token": pair["refresh_token"]})
    assert rotated.status_code == 200


def test_a_token_expires_after_what_was_asked_for(client: TestClient, wall: Wall) -> None:
    session = zendesk_token(client)
    wall.seconds += 172_801
    answer = client.get(f"{EXPORTS}/tickets/cursor.json", params={"start_time": "0"}, headers=session)
    assert answer.status_code == 401


def test_basic_auth_with_an_api_token(client: TestClient) -> None:
    url = f"{EXPORTS}/organizations.json?start_time=0"
    assert client.get(url, auth=("admin@vendor.example/token", "zd-api-token-demo")).status_code == 200
    refused = client.get(url, auth=("admin@vendor.example", "zd-api-token-demo"))
    assert (refused.status_code, refused.json()) == (401, {"error": "Couldn't authenticate you"})


def test_ten_exports_a_minute(client: TestClient, simulation: Simulation, wall: Wall) -> None:
    simulation.rate_limits = True
    session = zendesk_token(client)
    url = f"{EXPORTS}/organizations.json?start_time=0"
    assert [client.get(url, headers=session).status_code for _ in range(10)] == [200] * 10
    wall.seconds += 23
    refused = client.get(url, headers=session)
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "37"
    assert refused.headers["content-type"].startswith("text/plain")
    assert refused.text == "Number of allowed incremental ticket export API requests per minute exceeded"
    # The account's own limit shows plenty left, and how many seconds until it resets.
    assert (refused.headers["x-rate-limit"], refused.headers["x-rate-limit-remaining"]) == ("700", "690")
    assert refused.headers["ratelimit-reset"] == "37"
    wall.seconds += 37
    assert client.get(url, headers=session).status_code == 200


@pytest.mark.parametrize("path", ["/zendesk/api/v2/nothing.json", "/zendesk/nothing"])
def test_an_unknown_path(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()) == (404, {"error": "RecordNotFound", "description": "Not found"})


def test_the_real_tickets(git_world: World, stage_at: StageAt) -> None:
    client = client_of(stage_at(git_world, epoch("2024-03-01")))
    tickets, _, pages = walk(client, start_time="0")
    assert len({ticket["id"] for ticket in tickets}) == len(tickets) == 36_911
    assert pages == 37
    assert {ticket["status"] for ticket in tickets} == {"solved"}
    assert sum(ticket["updated_at"][:4] == "2023" for ticket in tickets) > 1_000
