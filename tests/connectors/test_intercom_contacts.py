"""Intercom searches contacts by whole days of the workspace: what changed since an instant is found all the same."""

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.intercom import search_query
from connectors.intercom.contact_days import searched_after, zone_of
from connectors.intercom.simulator import INDEX_SECONDS, TIMEZONE
from connectors.intercom.stream import INDEX_LAG
from connectors.simulation.faults import Fault
from connectors.simulation.world import NEVER, World
from tests.connectors.conftest import Stage
from tests.connectors.simulated import Followed
from tests.connectors.test_intercom_cycles import HOUR, STREAM, with_tickets

StageOf = Callable[..., Stage]

zones = st.sampled_from(
    ["America/New_York", "Europe/Berlin", "Asia/Kolkata", "Pacific/Apia", "America/Sao_Paulo", "UTC", "Not/AZone"]
)
instants = st.integers(1_100_000_000, 1_900_000_000)


def shown(updated_at: int, after: int, zone: str) -> bool:
    query = {"query": {"field": "updated_at", "operator": ">", "value": after}}
    search = search_query.parse(query, search_query.CONTACT_FIELDS, zone_of(zone) or ZoneInfo("Asia/Tokyo"), 50)
    return search.matches({"updated_at": updated_at})


@given(zone=zones, since=instants, later=st.integers(0, 40 * 86_400))
@example(zone="America/New_York", since=1_793_503_800, later=0)  # 2026-11-01, the night of 25 hours
@example(zone="America/Sao_Paulo", since=1_541_300_400, later=0)  # a day that began at one in the morning
@example(zone="Pacific/Apia", since=1_325_239_200, later=0)  # a day that was left out
def test_every_later_change_is_found_and_little_else(zone: str, since: int, later: int) -> None:
    after = searched_after(datetime.fromtimestamp(since, UTC), zone)
    assert shown(since + later, after, zone)
    assert not shown(after - 2 * 86_400, after, zone)
    assert since - after <= 2 * 86_400 + 3_600


@given(zone=zones.filter(lambda name: name != "Not/AZone"), since=instants)
def test_the_instant_itself_would_lose_the_rest_of_its_day(zone: str, since: int) -> None:
    """Why the value is not simply the cursor."""
    assert not shown(since, since, zone)


def test_a_contact_of_this_morning_is_found_an_hour_later(world: World, stage_of: StageOf) -> None:
    """Cursor at 08:00 of today, a contact changed at 09:00 of the same day."""
    eight = int(datetime(2026, 11, 20, 8, tzinfo=ZoneInfo(TIMEZONE)).timestamp())
    tickets = [(eight - 9 * HOUR, NEVER), *((eight + HOUR + number, NEVER) for number in range(3))]
    stage = stage_of(with_tickets(world, tickets), eight)
    followed = Followed(stage.streams("intercom")[STREAM]).catch_up()
    assert followed.state["walk"]["contacts_at"] == eight
    assert len([entry for entry in followed.state if entry.startswith("contact/")]) == 1
    stage.advance_to(eight + HOUR + 60)
    followed.catch_up()
    assert len([entry for entry in followed.state if entry.startswith("contact/")]) == 4
    asked = [request.url.path for request in stage.transport.requests]
    assert not [path for path in asked if "/contacts/" in path and "search" not in path], "the search has found them"


def test_a_look_at_contacts_ends_where_the_last_one_began(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole day is asked for; only what is new of it is read."""
    monkeypatch.setattr("connectors.intercom.client.PER_PAGE", 2)
    noon = int(datetime(2026, 11, 20, 12, tzinfo=ZoneInfo(TIMEZONE)).timestamp())
    stage = stage_of(with_tickets(world, [(noon - 6 * HOUR + 60 * number, NEVER) for number in range(30)]), noon)
    followed = Followed(stage.streams("intercom")[STREAM]).catch_up()

    def looks() -> int:
        return sum(request.url.path.endswith("/contacts/search") for request in stage.transport.requests)

    assert looks() == 15
    stage.advance_to(noon + 60)
    followed.catch_up()
    assert looks() == 16


def test_a_contact_that_the_index_shows_late_is_found_by_the_overlap(world: World, stage_of: StageOf) -> None:
    noon = int(datetime(2026, 11, 20, 12, tzinfo=ZoneInfo(TIMEZONE)).timestamp())
    stage = stage_of(with_tickets(world, [(noon - HOUR, NEVER), (noon + 100, NEVER)]), noon)
    followed = Followed(stage.streams("intercom")[STREAM]).catch_up()
    lag = int(INDEX_LAG.total_seconds()) - INDEX_SECONDS - 10
    for _ in range(2):
        stage.advance_to(stage.simulation.clock.now() + lag // 2)
        for path in ("/contacts/search", "/conversations/search"):
            stage.simulation.faults.order(Fault("intercom", "search_lag", path=path, seconds=lag))
        followed.catch_up()
    assert len([entry for entry in followed.state if entry.startswith("contact/")]) == 1
    stage.advance_to(stage.simulation.clock.now() + 1)
    followed.catch_up()
    assert len([entry for entry in followed.state if entry.startswith("contact/")]) == 2
