"""The Amplitude simulator against section 6 of the vendor specification."""

import gzip
import io
import zipfile
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import pytest
from starlette.testclient import TestClient

from connectors.amplitude import simulator
from connectors.amplitude.uploads import HOUR
from connectors.simulation.calendar import DAY, epoch
from connectors.simulation.faults import Fault
from connectors.simulation.injection import Injection
from connectors.simulation.stage import Simulation
from connectors.simulation.world import World
from tests.simulation.conftest import AMPLITUDE, StageAt, client_of

EXPORT = "/amplitude/api/2/export"


def hour(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%dT%H}"


def export(client: TestClient, first: int, last: int) -> Any:
    return client.get(EXPORT, params={"start": hour(first), "end": hour(last)}, auth=AMPLITUDE)


def members(answer: Any) -> dict[str, list[dict[str, Any]]]:
    assert answer.status_code == 200
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        return {
            name: [orjson.loads(line) for line in gzip.decompress(archive.read(name)).splitlines()]
            for name in archive.namelist()
        }


def events(answer: Any) -> list[dict[str, Any]]:
    return [event for lines in members(answer).values() for event in lines]


def uploaded(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["server_upload_time"]).replace(tzinfo=UTC).timestamp()


def busiest_hour(world: World) -> int:
    """The beginning of the hour with the most events of the history."""
    hours, counts = np.unique(world.events.event_time // HOUR, return_counts=True)
    past = hours < world.history_end // HOUR - 24
    return int(hours[past][counts[past].argmax()]) * HOUR


def test_both_hours_are_inclusive_and_hours_of_upload_partition_the_events(client: TestClient, world: World) -> None:
    day = busiest_hour(world) // DAY * DAY
    whole = events(export(client, day, day + 23 * HOUR))
    single = []
    for one in range(day, day + DAY, HOUR):
        answer = export(client, one, one)
        found = [] if answer.status_code == 404 else events(answer)
        assert all(one <= uploaded(event) < one + HOUR for event in found)
        single += found
    assert len(whole) == len(single) > 30
    assert {event["uuid"] for event in whole} == {event["uuid"] for event in single}


def test_members_are_named_by_hour_without_padding_and_partition(client: TestClient, world: World) -> None:
    day = busiest_hour(world) // DAY * DAY
    answer = export(client, day, day + 23 * HOUR)
    assert answer.headers["content-type"] == "application/zip"
    written = members(answer)
    for name, lines in written.items():
        folder, _, rest = name.partition("/")
        assert folder == "187520"
        at = datetime.fromtimestamp(uploaded(lines[0]), UTC)
        assert rest.startswith(f"187520_{at:%Y-%m-%d}_{at.hour}#")
        assert rest.endswith(("#1.json.gz", "#2.json.gz"))
    assert len({name.rpartition("#")[0] for name in written}) < len(written), "an hour has several partitions"


def test_an_event_has_the_documented_fields(client: TestClient, world: World) -> None:
    day = busiest_hour(world) // DAY * DAY
    found = events(export(client, day, day + 23 * HOUR))
    first = found[0]
    assert first["event_type"] == "Feature Used"
    assert set(first["event_properties"]) == {"feature", "lines_changed", "files"}
    times = [first[name] for name in ("client_event_time", "event_time", "server_received_time", "server_upload_time")]
    assert times == sorted(times)
    assert all(len(time) == len("2026-11-19 17:02:11.301000") and time[10] == " " for time in times)
    groups = [event["groups"]["company"][0] for event in found if event["groups"]]
    properties = [event["user_properties"]["company_id"] for event in found if event["user_properties"]]
    assert len(groups) + len(properties) == len(found)
    assert groups
    assert properties


def test_an_hour_shows_half_after_one_hour_and_all_after_two(world: World, stage_at: StageAt) -> None:
    busiest = busiest_hour(world)
    seen = []
    for minutes in (-30, 59, 60, 119, 120, 600):
        answer = export(client_of(stage_at(world, busiest + HOUR + minutes * 60)), busiest, busiest)
        seen.append(0 if answer.status_code == 404 else len(events(answer)))
    assert seen[:2] == [0, 0]
    assert 0 < seen[2] == seen[3] < seen[4] == seen[5]


def test_a_quiet_range_is_a_404(client: TestClient) -> None:
    answer = export(client, epoch("2001-01-01"), epoch("2001-01-02"))
    assert answer.status_code == 404
    assert answer.json()["error"]["http_code"] == 404


def test_what_is_too_large_is_a_400(client: TestClient, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator, "LARGEST_EXPORT_BYTES", 5_000)
    day = busiest_hour(world) // DAY * DAY
    assert export(client, day, day + 23 * HOUR).status_code == 400
    assert export(client, day + 12 * HOUR, day + 12 * HOUR).status_code == 200


@pytest.mark.parametrize(
    "params",
    [
        {"start": "20261001T00"},
        {"start": "2026-10-01", "end": "20261001T00"},
        {"start": "20261301T00", "end": "20261301T00"},
        {"start": "20261002T00", "end": "20261001T00"},
        {"start": "20251001T00", "end": "20261001T00"},
    ],
)
def test_refusals(client: TestClient, params: dict[str, str]) -> None:
    assert client.get(EXPORT, params=params, auth=AMPLITUDE).status_code == 400


def test_a_project_lives_in_one_region(client: TestClient, world: World) -> None:
    day = hour(busiest_hour(world))
    asked = {"start": day, "end": day}
    europe = ("amplitude-demo-eu", "amp-secret-demo-eu")
    statuses = {
        (path, keys): client.get(f"/amplitude{path}/api/2/export", params=asked, auth=keys).status_code
        for path in ("", "/eu")
        for keys in (AMPLITUDE, europe)
    }
    assert statuses == {("", AMPLITUDE): 200, ("", europe): 401, ("/eu", AMPLITUDE): 401, ("/eu", europe): 200}
    assert client.get(EXPORT, params=asked).status_code == 401


def test_late_uploads_keep_their_event_time_and_come_under_a_later_hour(
    client: TestClient, simulation: Simulation, world: World
) -> None:
    noon = busiest_hour(world)
    before = events(export(client, noon, noon + 3 * HOUR))
    simulation.faults.order(Fault("amplitude", "late_upload"))
    first, later = events(export(client, noon, noon)), events(export(client, noon + HOUR, noon + 3 * HOUR))
    assert {event["uuid"] for event in first + later} == {event["uuid"] for event in before}
    happened = {event["uuid"]: event["event_time"] for event in before}
    late = [event for event in later if event["event_time"] < f"{datetime.fromtimestamp(noon + HOUR - 60, UTC)}"]
    assert late
    assert {uploaded(event) for event in late} == {noon + HOUR * 1.5 + 0.4}
    assert all(event["event_time"] == happened[event["uuid"]] for event in first + later)


def test_duplicates_are_the_stored_event_again_and_the_upload_stored_twice(
    client: TestClient, simulation: Simulation, world: World
) -> None:
    noon = world.history_end - 20 * DAY + 12 * HOUR
    usual = events(export(client, noon, noon))
    simulation.faults.order(Fault("amplitude", "duplicates"))
    again = events(export(client, noon, noon))
    assert len(again) > len(usual)
    assert {event["$insert_id"] for event in again} == {event["$insert_id"] for event in usual}
    assert len({event["uuid"] for event in again}) > len(usual)
    assert len(again) > len({event["uuid"] for event in again})


@pytest.mark.parametrize(
    ("kind", "error"),
    [("broken_member", EOFError), ("no_directory", zipfile.BadZipFile), ("truncate", zipfile.BadZipFile)],
)
def test_damage_under_200(
    client: TestClient, simulation: Simulation, world: World, kind: str, error: type[Exception]
) -> None:
    noon = world.history_end - 20 * DAY + 12 * HOUR
    simulation.faults.order(Fault("amplitude", kind))
    with pytest.raises(error):
        members(export(client, noon, noon))
    assert events(export(client, noon, noon))


def test_a_slow_export_is_a_504_and_members_may_lie_in_no_folder(
    client: TestClient, simulation: Simulation, world: World
) -> None:
    noon = world.history_end - 20 * DAY + 12 * HOUR
    simulation.faults.order(Fault("amplitude", "gateway_timeout"))
    simulation.faults.order(Fault("amplitude", "flat_members"))
    assert export(client, noon, noon).status_code == 504
    assert not any("/" in name for name in members(export(client, noon, noon)))


def test_an_injected_event_is_exported_two_hours_after_its_hour(
    client: TestClient, simulation: Simulation, world: World
) -> None:
    at, _ = simulation.inject(Injection(kind="feature_used", account=world.accounts[0].name, feature="new/thing"))
    simulation.clock.change(advance_to=at - at % HOUR + 3 * HOUR)
    found = [event for event in events(export(client, at, at)) if event["event_properties"]["feature"] == "new/thing"]
    assert len(found) == 1


def test_declared_counts_are_what_can_be_exported(git_world: World, stage_at: StageAt) -> None:
    now = epoch("2023-11-30T12:34:56")
    client = client_of(stage_at(git_world, now))
    told = client.get("/_sim/summary").json()["amplitude"]
    found, year = 0, epoch("2013-01-01")
    while year < now:
        answer = export(client, year, min(year + 364 * DAY, now))
        found += 0 if answer.status_code == 404 else len({event["uuid"] for event in events(answer)})
        year += 364 * DAY + HOUR
    assert found == told["events"] == told["events_of_accounts"] + told["events_of_unknown"]
