"""The Intercom simulator against section 4 of the vendor specification."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from starlette.testclient import TestClient

from connectors.intercom import credentials
from connectors.intercom.conversation_versions import ASSIGNED_AFTER_SECONDS, conversation_versions, rated_after, score
from connectors.intercom.simulator import INDEX_SECONDS, TIMEZONE, declared
from connectors.simulation.calendar import epoch
from connectors.simulation.faults import Fault
from connectors.simulation.injection import Injection
from connectors.simulation.stage import Simulation
from connectors.simulation.world import NEVER, SURVEY_KINDS, World, no_surveys
from tests.simulation.conftest import StageAt, Wall, client_of

API = "/intercom"
TOKEN = {"Authorization": f"Bearer {credentials.ACCESS_TOKEN}", "Intercom-Version": "2.14"}

ANY = {"field": "updated_at", "operator": ">", "value": 0}


def ask(client: TestClient, what: str, query: Any = ANY, order: str = "ascending", **pagination: Any) -> Any:
    body = {"query": query, "sort": {"field": "updated_at", "order": order}, "pagination": pagination}
    return client.post(f"{API}/{what}/search", json=body, headers=TOKEN)


def walk(client: TestClient, what: str, query: Any = ANY, order: str = "ascending", per_page: int = 150) -> list[Any]:
    """Every row of a search."""
    rows: list[Any] = []
    pagination: dict[str, Any] = {"per_page": per_page}
    while True:
        page = ask(client, what, query, order, **pagination).json()
        found = page["conversations" if what == "conversations" else "data"]
        rows += found
        if not page["pages"].get("next"):
            assert len(rows) >= page["total_count"]
            return rows
        assert len(found) == per_page
        pagination = page["pages"]["next"]


def get(client: TestClient, path: str, **params: Any) -> Any:
    return client.get(f"{API}{path}", params=params, headers=TOKEN)


def test_a_search_gives_every_conversation_once_in_its_newest_state(client: TestClient, world: World) -> None:
    as_of, tickets = world.history_end - INDEX_SECONDS, world.tickets
    rows = walk(client, "conversations", per_page=50)
    place_of = {str(ticket_id): place for place, ticket_id in enumerate(tickets.ticket_id.tolist())}
    asked = world.surveys
    columns = (asked.ticket_id, asked.answered_at, asked.score)
    of_tickets = asked.kind == SURVEY_KINDS.index("csat")
    answers = {
        ticket_id: (at, stars)
        for ticket_id, at, stars in zip(*(one[of_tickets].tolist() for one in columns), strict=True)
    }
    assert len(answers) > 50
    opened = {name for name, place in place_of.items() if tickets.opened_at[place] <= as_of}
    assert {row["id"] for row in rows} == opened
    assert len(rows) == len(opened)
    assert [row["updated_at"] for row in rows] == sorted(row["updated_at"] for row in rows)
    for row in rows:
        place = place_of[row["id"]]
        opened_at, solved_at = int(tickets.opened_at[place]), int(tickets.solved_at[place])
        closed = solved_at <= as_of
        assert (row["state"], row["open"]) == (("closed", False) if closed else ("open", True))
        assert row["created_at"] == opened_at
        assert row["statistics"]["last_close_at"] == (solved_at if closed else None)
        rating, (rated_at, stars) = row["conversation_rating"], answers.get(int(row["id"]), (NEVER, 0))
        assert (rating is not None) == (rated_at <= as_of)
        if rating is not None:
            assert (rating["rating"], rating["created_at"], rating["updated_at"]) == (stars, solved_at, rated_at)
        moments = [opened_at, opened_at + ASSIGNED_AFTER_SECONDS, solved_at, rated_at]
        assert row["updated_at"] == max(moment for moment in moments if moment <= as_of)


def test_a_world_without_surveys_has_ratings_of_three_in_ten_from_one_to_five(world: World) -> None:
    versions = conversation_versions(world.tickets, no_surveys())
    for place, ticket_id in enumerate(world.tickets.ticket_id.tolist()):
        solved_at = max(int(world.tickets.solved_at[place]), int(world.tickets.opened_at[place]))
        expected = score(ticket_id) if solved_at < NEVER else None
        assert versions.stars[place] == (expected or 0)
        assert versions.rated_at[place] == (solved_at + rated_after(ticket_id) if expected else NEVER)
    stars = [score(ticket_id) for ticket_id in range(1, 10_001)]
    given = [one for one in stars if one is not None]
    assert 0.28 < len(given) / len(stars) < 0.32
    assert set(given) == {1, 2, 3, 4, 5}


def test_both_bounds_of_a_search_are_inclusive(client: TestClient) -> None:
    rows = walk(client, "conversations")
    low, high = rows[10]["updated_at"], rows[20]["updated_at"]
    bounds = [
        {"field": "updated_at", "operator": ">", "value": low},
        {"field": "updated_at", "operator": "<", "value": high},
    ]
    found = walk(client, "conversations", {"operator": "AND", "value": bounds})
    assert [row["id"] for row in found] == [row["id"] for row in rows if low <= row["updated_at"] <= high]
    assert {low, high} <= {row["updated_at"] for row in found}


def test_an_order_and_its_reverse(client: TestClient) -> None:
    for what in ("conversations", "contacts"):
        rising, falling = (walk(client, what, order=order, per_page=7) for order in ("ascending", "descending"))
        assert [row["id"] for row in rising] == [row["id"] for row in reversed(falling)]
        assert len({row["id"] for row in rising}) == len(rising)


def test_groups_and_operators(client: TestClient) -> None:
    rows = walk(client, "conversations")

    def found(*filters: Any, operator: str = "AND") -> set[str]:
        query = filters[0] if len(filters) == 1 else {"operator": operator, "value": list(filters)}
        return {row["id"] for row in walk(client, "conversations", query)}

    def those(keep: Any) -> set[str]:
        return {row["id"] for row in rows if keep(row)}

    def one(field: str, operator: str, value: Any) -> dict[str, Any]:
        return {"field": field, "operator": operator, "value": value}

    still_open, first = one("open", "=", True), rows[0]
    contact = first["contacts"]["contacts"][0]["id"]
    assert found(still_open) == those(lambda row: row["open"]) != set()
    assert found(one("contact_ids", "=", contact)) == those(lambda row: row["contacts"]["contacts"][0]["id"] == contact)
    assert found(one("id", "IN", [first["id"], rows[3]["id"]])) == {first["id"], rows[3]["id"]}
    assert found(one("id", "NIN", [first["id"]])) == those(lambda row: row["id"] != first["id"])
    assert found(still_open, one("priority", "=", "priority")) == those(
        lambda row: row["open"] and row["priority"] == "priority"
    )
    assert found(still_open, one("conversation_rating.score", "<", 2), operator="OR") == those(
        lambda row: row["open"] or (row["conversation_rating"] or {"rating": 9})["rating"] <= 2
    )
    assert found(one("source.author.email", "$", ".example")) == those(lambda row: True)
    nested = {"operator": "OR", "value": [one("state", "=", "open"), one("state", "=", "closed")]}
    assert found(nested, one("updated_at", ">", rows[5]["updated_at"])) == those(
        lambda row: row["updated_at"] >= rows[5]["updated_at"]
    )


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"query": []},
        {"query": {"field": "colour", "operator": "=", "value": "red"}},
        {"query": {"field": "updated_at", "operator": "~", "value": 5}},
        {"query": {"field": "updated_at", "operator": ">", "value": "yesterday"}},
        {"query": {"field": "open", "operator": "=", "value": 1}},
        {"query": {"operator": "AND", "value": []}},
        {"query": {"operator": "AND", "value": [ANY] * 16}},
        {"query": {"operator": "AND", "value": [{"operator": "OR", "value": [{"operator": "AND", "value": [ANY]}]}]}},
        {"query": ANY, "pagination": {"per_page": 151}},
        {"query": ANY, "pagination": {"per_page": 0.5}},
        {"query": ANY, "pagination": {"starting_after": "?"}},
        {"query": ANY, "pagination": {"starting_after": "WzFd"}},
        {"query": ANY, "sort": {"field": "title"}},
    ],
)
def test_searches_that_cannot_be(client: TestClient, body: Any) -> None:
    answer = client.post(f"{API}/conversations/search", json=body, headers=TOKEN)
    assert answer.status_code == 400
    assert answer.json()["type"] == "error.list"
    assert answer.json()["errors"][0]["code"] == "parameter_invalid"


def test_fifteen_filters_in_two_levels_are_taken(client: TestClient) -> None:
    group = {"operator": "OR", "value": [ANY] * 15}
    assert ask(client, "conversations", {"operator": "AND", "value": [group] * 15}).status_code == 200


def test_contacts_are_searched_by_the_day_of_the_workspace(world: World, stage_at: StageAt) -> None:
    zone = ZoneInfo(TIMEZONE)
    client = client_of(stage_at(world, world.history_end))
    rows = walk(client, "contacts")
    chosen = rows[len(rows) // 2]["updated_at"]
    day = datetime.fromtimestamp(chosen, zone).date()

    def days(operator: str, value: int) -> set[str]:
        found = walk(client, "contacts", {"field": "updated_at", "operator": operator, "value": value})
        return {row["id"] for row in found}

    def those(keep: Any) -> set[str]:
        return {row["id"] for row in rows if keep(datetime.fromtimestamp(row["updated_at"], zone).date())}

    assert days(">", chosen) == those(lambda other: other > day)
    assert days("<", chosen) == those(lambda other: other < day)
    assert days("=", chosen) == those(lambda other: other == day) != set()
    for operator in ("!=", ">=", "<=", "IN", "NIN"):
        value: Any = [chosen] if operator in ("IN", "NIN") else chosen
        refused = ask(client, "contacts", {"field": "updated_at", "operator": operator, "value": value})
        assert refused.status_code == 400


def test_a_search_is_behind_and_a_single_object_is_not(
    client: TestClient, simulation: Simulation, world: World
) -> None:
    _, ids = simulation.inject(Injection(kind="ticket_opened", account=world.accounts[0].name))
    ticket = str(ids["ticket"])
    recent = {"field": "updated_at", "operator": ">", "value": world.history_end}
    assert get(client, f"/conversations/{ticket}").json()["state"] == "open"
    assert walk(client, "conversations", recent) == []
    simulation.clock.change(advance_to=world.history_end + INDEX_SECONDS)
    assert [row["id"] for row in walk(client, "conversations", recent)] == [ticket]
    simulation.faults.order(Fault("intercom", "search_lag", seconds=300))
    assert walk(client, "conversations", recent) == []
    assert [row["id"] for row in walk(client, "conversations", recent)] == [ticket]


def test_duplicates_come_at_a_page_boundary(client: TestClient, simulation: Simulation) -> None:
    everything = walk(client, "conversations", per_page=100)
    simulation.faults.order(Fault("intercom", "duplicates"))
    again = walk(client, "conversations", per_page=100)
    assert len(again) == len(everything) + 1
    assert again[99] == again[100]


def scrolled(client: TestClient) -> list[Any]:
    rows: list[Any] = []
    page = get(client, "/companies/scroll").json()
    while page["data"]:
        rows += page["data"]
        page = get(client, "/companies/scroll", scroll_param=page["scroll_param"]).json()
    return rows


def test_a_scroll_gives_every_company_and_its_crm_account(
    client: TestClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.intercom.simulator.SCROLL_PAGE", 15)
    rows = scrolled(client)
    assert [row["company_id"] for row in rows] == [f"crm-{account.crm_id}" for account in world.accounts]
    assert len({row["website"] for row in rows}) == len(rows)
    again = client.post(f"{API}/companies/list", json={}, params={"per_page": 60}, headers=TOKEN).json()
    assert again["data"] == rows


def test_there_is_one_scroll_and_it_lives_for_a_minute(client: TestClient, wall: Wall) -> None:
    param = get(client, "/companies/scroll").json()["scroll_param"]
    second = get(client, "/companies/scroll")
    assert (second.status_code, second.json()["errors"][0]["code"]) == (400, "scroll_exists")
    wall.seconds += 59
    assert get(client, "/companies/scroll", scroll_param=param).json()["data"] == [], "the end closes it"
    assert get(client, "/companies/scroll", scroll_param=param).status_code == 404
    param = get(client, "/companies/scroll").json()["scroll_param"]
    wall.seconds += 61
    assert get(client, "/companies/scroll", scroll_param=param).status_code == 404
    assert get(client, "/companies/scroll").status_code == 200


def test_a_scroll_can_break_and_must_be_restarted(client: TestClient, simulation: Simulation) -> None:
    param = get(client, "/companies/scroll").json()["scroll_param"]
    simulation.faults.order(Fault("intercom", "scroll_broken"))
    broken = get(client, "/companies/scroll", scroll_param=param)
    assert broken.status_code == 500
    assert "restart the scroll" in broken.json()["errors"][0]["message"]
    assert get(client, "/companies/scroll", scroll_param=param).status_code == 404
    assert scrolled(client)


def test_a_contact_and_its_company(client: TestClient) -> None:
    row = walk(client, "contacts")[0]
    company_id = row["companies"]["data"][0]["id"]
    assert get(client, f"/contacts/{row['id']}").json() == row
    companies = get(client, f"/contacts/{row['id']}/companies").json()
    assert [one["id"] for one in companies["data"]] == [company_id]
    assert companies["pages"]["next"] is None
    assert get(client, f"/companies/{company_id}").json() == companies["data"][0]
    contacts = get(client, f"/companies/{company_id}/contacts", per_page=1).json()
    assert (contacts["pages"]["next"] is None) == (contacts["total_count"] == 1)
    for path in ("/contacts/nobody", "/companies/none", "/conversations/0", "/contacts/nobody/companies"):
        assert get(client, path).status_code == 404


def test_deleted_archived_and_merged_contacts_leave_the_search(client: TestClient) -> None:
    rows = walk(client, "contacts")
    deleted, archived, lead, user = (row["id"] for row in rows[:4])
    told = client.delete(f"{API}/contacts/{deleted}", headers=TOKEN).json()
    assert (told["id"], told["deleted"]) == (deleted, True)
    assert client.post(f"{API}/contacts/{archived}/archive", headers=TOKEN).json()["archived"] is True
    asked = {"field": "contact_ids", "operator": "=", "value": lead}
    moved = {row["id"] for row in walk(client, "conversations", asked)}
    merged = client.post(f"{API}/contacts/merge", json={"from": lead, "into": user}, headers=TOKEN)
    assert merged.json()["id"] == user
    assert {row["id"] for row in walk(client, "contacts")} == {row["id"] for row in rows[3:]}
    assert [get(client, f"/contacts/{one}").status_code for one in (deleted, archived, lead)] == [404, 200, 404]
    assert walk(client, "conversations", asked) == []
    assert moved <= {row["id"] for row in walk(client, "conversations", {**asked, "value": user})}
    assert moved


def test_the_limit_is_spread_over_ten_seconds(
    simulation: Simulation, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.intercom.simulated_door.REQUESTS", 30)
    client, simulation.rate_limits = client_of(simulation), True
    first = get(client, "/me")
    assert (first.headers["x-ratelimit-limit"], first.headers["x-ratelimit-remaining"]) == ("30", "29")
    for _ in range(29):
        assert client.get(f"{API}/me").status_code == 401, "refused requests count too"
    wall.seconds += 3
    refused = get(client, "/me")
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (429, "rate_limit_exceeded")
    assert "retry-after" not in refused.headers
    assert int(refused.headers["x-ratelimit-reset"]) == simulation.clock.now_seconds() + 7
    assert refused.headers["x-ratelimit-remaining"] == "0"
    wall.seconds += 7
    assert get(client, "/me").status_code == 200


def test_an_ordered_throttle_tells_when_the_window_ends(client: TestClient, simulation: Simulation) -> None:
    simulation.faults.order(Fault("intercom", "rate_limit", retry_after=90))
    refused = get(client, "/me")
    assert int(refused.headers["x-ratelimit-reset"]) == simulation.clock.now_seconds() + 90


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "unauthorized"),
        ({"Authorization": "Bearer somebody-elses"}, 401, "unauthorized"),
        ({**TOKEN, "Intercom-Version": "yesterday"}, 400, "intercom_version_invalid"),
    ],
)
def test_the_door(client: TestClient, headers: dict[str, str], status: int, code: str) -> None:
    answer = client.get(f"{API}/me", headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)


def test_the_workspace_tells_its_zone(client: TestClient) -> None:
    app = get(client, "/me").json()["app"]
    assert (app["timezone"], app["region"]) == (TIMEZONE, "US")
    assert get(client, "/nothing").json()["errors"][0]["code"] == "not_found"


def test_the_summary_adds_up(client: TestClient, world: World) -> None:
    told = client.get("/_sim/summary").json()["intercom"]
    assert told == declared(world, world.history_end)
    rows = walk(client, "conversations")
    assert told["conversations_searchable"] == len(rows)
    assert told["conversations"] == client.get("/_sim/summary").json()["zendesk"]["tickets"]
    assert told["closed_conversations"] == client.get("/_sim/summary").json()["zendesk"]["solved_tickets"]
    assert told["companies"] == len(scrolled(client))


def test_the_real_tickets(git_world: World, stage_at: StageAt) -> None:
    client = client_of(stage_at(git_world, epoch("2024-03-01")))
    rows = walk(client, "conversations")
    assert len({row["id"] for row in rows}) == len(rows) == 36_911
    assert {row["state"] for row in rows} == {"closed"}
    rated = [row for row in rows if row["conversation_rating"]]
    assert 0.28 < len(rated) / len(rows) < 0.32
