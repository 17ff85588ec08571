"""The Mixpanel simulator against section 5 of the vendor specification."""

import time
from typing import Any

import orjson
import pytest
from starlette.testclient import TestClient

from connectors.simulation.calendar import DAY, epoch, iso_day
from connectors.simulation.faults import Fault
from connectors.simulation.injection import Injection
from connectors.simulation.stage import Simulation
from connectors.simulation.world import World
from tests.simulation.conftest import MIXPANEL, StageAt, Wall, client_of

EXPORT = "/mixpanel/api/2.0/export"


def export(client: TestClient, first: str, last: str, **params: str) -> Any:
    asked = {"project_id": "3100001", "from_date": first, "to_date": last, **params}
    return client.get(EXPORT, params=asked, auth=MIXPANEL)


def lines(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200
    return [orjson.loads(line) for line in answer.text.splitlines()]


def test_both_days_are_inclusive_and_days_partition_the_events(client: TestClient, world: World) -> None:
    day = world.history_end - 20 * DAY
    days = [iso_day(day + step * DAY) for step in range(7)]
    week = lines(export(client, days[0], days[-1]))
    single = [event for one in days for event in lines(export(client, one, one))]
    expected = ((world.events.event_time >= day) & (world.events.event_time < day + 7 * DAY)).sum()
    assert len(week) == len(single) == expected
    assert {event["properties"]["$insert_id"] for event in week} == {
        event["properties"]["$insert_id"] for event in single
    }


def test_an_event_has_the_documented_properties(client: TestClient, world: World) -> None:
    day = iso_day(world.history_end - 3 * DAY)
    event, precise = lines(export(client, day, day))[0], lines(export(client, day, day, time_in_ms="true"))[0]
    properties = event["properties"]
    assert event["event"] == "Feature Used"
    assert properties["distinct_id"] == properties["$user_id"]
    assert len(properties["$insert_id"]) == 36
    assert properties["company_id"].startswith(("001", "trial_"))
    assert {"feature", "lines_changed", "files"} <= set(properties)
    assert precise["properties"]["time"] == properties["time"] * 1_000
    assert 0 <= properties["mp_processing_time_ms"] - properties["time"] * 1_000 < 1_000


def test_the_answer_is_compressed_when_asked_and_worth_it(client: TestClient, world: World) -> None:
    day = iso_day(world.history_end - 3 * DAY)
    answer = export(client, day, day)
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"].startswith("text/plain")
    asked = {"project_id": "3100001", "from_date": day, "to_date": day}
    plain = client.get(EXPORT, params=asked, auth=MIXPANEL, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.text == answer.text


def test_a_day_before_the_world_is_an_empty_200(client: TestClient) -> None:
    answer = export(client, "2001-01-01", "2001-01-01")
    assert (answer.status_code, answer.text) == (200, "")


def test_today_is_cut_at_now_and_tomorrow_is_refused(world: World, stage_at: StageAt) -> None:
    at = int(world.events.event_time[len(world.events.event_time) // 2])
    client = client_of(stage_at(world, at))
    today = lines(export(client, iso_day(at), iso_day(at)))
    assert max(event["properties"]["time"] for event in today) == at
    refused = export(client, iso_day(at), iso_day(at + DAY))
    assert (refused.status_code, refused.json()["error"]) == (400, "to_date cannot be later than today")


def test_an_injected_event_is_there_at_once(client: TestClient, simulation: Simulation, world: World) -> None:
    at, ids = simulation.inject(Injection(kind="feature_used", account=world.accounts[0].name, feature="new/thing"))
    found = lines(export(client, iso_day(at), iso_day(at)))
    event = next(one for one in found if one["properties"]["$insert_id"] == ids["insert_id"])
    assert event["properties"]["feature"] == "new/thing"
    assert event["properties"]["company_id"] == world.accounts[0].crm_id


def test_limit_truncates_without_telling_and_filters_hold(client: TestClient, world: World) -> None:
    day = world.history_end - 3 * DAY
    text = iso_day(day)
    everything = lines(export(client, text, text))
    assert len(lines(export(client, text, text, limit="3"))) == 3
    assert lines(export(client, text, text, event='["Login"]')) == []
    noon = day + DAY // 2
    where = f'properties["$time"]>=datetime({noon})'
    late = [event for event in everything if event["properties"]["time"] >= noon]
    assert lines(export(client, text, text, where=where)) == late


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"project_id": None}, 400),
        ({"project_id": "1"}, 403),
        ({"from_date": None}, 400),
        ({"from_date": "yesterday"}, 400),
        ({"from_date": "2026-02-30"}, 400),
        ({"to_date": "2001-01-01"}, 400),
        ({"limit": "100001"}, 400),
        ({"where": "1=1"}, 400),
    ],
)
def test_refusals(client: TestClient, change: dict[str, str | None], status: int) -> None:
    asked = {"project_id": "3100001", "from_date": "2026-02-02", "to_date": "2026-02-03", **change}
    params = {name: value for name, value in asked.items() if value is not None}
    answer = client.get(EXPORT, params=params, auth=MIXPANEL)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "request"}


def test_a_bad_secret(client: TestClient) -> None:
    assert client.get(EXPORT, auth=("vitals-demo.service-account", "x")).status_code == 401
    assert client.get(EXPORT).status_code == 401


def test_terminated_early_is_a_line_under_200(client: TestClient, simulation: Simulation, world: World) -> None:
    day = iso_day(world.history_end - 3 * DAY)
    whole = export(client, day, day)
    simulation.faults.order(Fault("mixpanel", "terminated_early"))
    cut = export(client, day, day)
    assert cut.status_code == 200
    assert cut.text.splitlines()[-1] == "terminated early"
    assert len(cut.text) < len(whole.text)
    assert export(client, day, day).text == whole.text


def test_duplicates_repeat_events_whole(client: TestClient, simulation: Simulation, world: World) -> None:
    day = iso_day(world.history_end - 3 * DAY)
    whole = lines(export(client, day, day))
    simulation.faults.order(Fault("mixpanel", "duplicates"))
    assert lines(export(client, day, day)) == [*whole, *whole[:3]]


def test_three_a_second_and_sixty_an_hour(client: TestClient, simulation: Simulation, wall: Wall) -> None:
    simulation.rate_limits = True
    statuses = [export(client, "2001-01-01", "2001-01-01").status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    for _ in range(57):
        wall.seconds += 1
        assert export(client, "2001-01-01", "2001-01-01").status_code == 200
    wall.seconds += 10
    refused = export(client, "2001-01-01", "2001-01-01")
    assert refused.status_code == 429
    assert "61/60 queries running in the last hour" in refused.json()["error"]
    assert refused.json()["request"].startswith("/api/2.0/export?")
    assert "retry-after" not in refused.headers
    wall.seconds += 3_600
    assert export(client, "2001-01-01", "2001-01-01").status_code == 200


def test_all_real_events_stream_in_one_export(git_world: World, stage_at: StageAt) -> None:
    client = client_of(stage_at(git_world, epoch("2023-12-31")))
    started = time.perf_counter()
    events = lines(export(client, "2013-01-01", "2023-12-31"))
    assert time.perf_counter() - started < 10
    assert len(events) == 51_047
    assert len({event["properties"]["$insert_id"] for event in events}) == 51_047
    known = {account.crm_id for account in git_world.accounts}
    assert sum(event["properties"]["company_id"] in known for event in events) == 50_312
