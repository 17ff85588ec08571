"""Mixpanel: whole days only, damaged exports never used, late events found again, each key once."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.http import Outcome, TruncatedBodyError, VendorHttp, Verdict, Wire
from connectors.mixpanel.limits import classify
from connectors.mixpanel.mapping import event_time
from connectors.mixpanel.stream import ExportStream, Progress, Project
from connectors.mixpanel.window import ExportWindow
from connectors.simulation.calendar import DAY
from connectors.simulation.faults import Fault
from connectors.simulation.world import World
from tests.connectors.conftest import Stage
from tests.connectors.simulated import Followed, by_id
from vitals.errors import RetriableError

StageOf = Callable[..., Stage]
STREAM = "mixpanel.export"
PROJECT = Project("http://mixpanel.test", "1", date(2024, 6, 1), 0, paced=False)


def line(number: int, time: int = 1_793_000_000_000, person: str = "ana") -> bytes:
    return b'{"event":"Feature Used","properties":{"time":%d,"distinct_id":"%s","$insert_id":"id-%03d"}}\n' % (
        time,
        person.encode(),
        number,
    )


def keys(window: ExportWindow) -> list[str]:
    return [one.source_id for one in window.after(None, 10**6)[0]]


def test_a_window_is_in_the_same_order_whatever_the_exports_order() -> None:
    lines = [line(number, 1_793_000_000_000 + number % 3) for number in range(9)]
    assert keys(ExportWindow(iter(lines))) == keys(ExportWindow(iter(lines[::-1])))


def test_a_key_that_comes_twice_is_one_event_and_one_insert_id_of_two_people_is_two() -> None:
    assert len(ExportWindow(iter([line(1), line(2), line(1)]))) == 2
    assert len(ExportWindow(iter([line(1), line(1, person="ben")]))) == 2


@pytest.mark.parametrize("place", [0, 1, 2])
def test_terminated_early_discards_everything_wherever_it_stands(place: int) -> None:
    lines = [line(1), line(2)]
    lines.insert(place, b"terminated early\n")
    with pytest.raises(TruncatedBodyError):
        ExportWindow(iter(lines))


@given(cut=st.integers(1, len(line(1)) - 2), place=st.integers(0, 3))
def test_a_record_split_over_two_lines_is_joined(cut: int, place: int) -> None:
    lines = [line(number) for number in range(4)]
    split = [lines[place][:cut] + b"\n", lines[place][cut:]]
    window = ExportWindow(iter([*lines[:place], *split, *lines[place + 1 :]]))
    assert keys(window) == [f"id-{number:03d}" for number in range(4)]
    assert not window.doubts


def test_a_cut_or_unreadable_body_is_doubted() -> None:
    assert not ExportWindow(iter([line(1), line(2)])).doubts
    assert not ExportWindow(iter([])).doubts
    with pytest.raises(TruncatedBodyError, match="middle of a line"):
        ExportWindow(iter([line(1), line(2)[:-30]]))
    assert ExportWindow(iter([line(1), line(2)[:-1]])).doubts == {"unended"}
    assert ExportWindow(iter([line(1), b"\x00\xff{\n", line(2)])).doubts


def exporting(bodies: Iterable[bytes]) -> ExportStream:
    """A stream whose vendor gives these exports, on a day in 2024."""
    given_bodies = iter(bodies)

    def answer(request: httpx.Request) -> httpx.Response:
        body = next(given_bodies) if request.url.path.endswith("export") else b""
        return httpx.Response(200, content=body, headers={"Date": "Mon, 10 Jun 2024 12:00:00 GMT"})

    wire = Wire(transport=httpx.MockTransport(answer), sleep=lambda _seconds: None)
    return ExportStream(VendorHttp("mixpanel", wire=wire), PROJECT)


def test_a_line_that_two_exports_agree_on_is_a_dead_letter_and_the_rest_goes_on() -> None:
    body = line(1) + b"not an event\n" + line(2)
    followed = Followed(exporting([body, body])).catch_up()
    assert [record.record_name for record in followed.set_aside if record.kind is None] == ["DeadLetter"]
    assert followed.set_aside[0].original == b"not an event"
    assert len(followed.mapped) == 2


def test_damage_that_differs_from_export_to_export_publishes_nothing() -> None:
    whole = line(1) + line(2)
    stream = exporting([*(whole[:-cut] + b"\n" for cut in (20, 30, 40)), whole])
    with pytest.raises(RetriableError, match="damaged"):
        stream.fetch({})
    assert len(stream.fetch({}).objects) == 2


def test_two_exports_that_are_cut_in_the_same_place_are_not_believed() -> None:
    whole = line(1) + line(2)
    assert len(exporting([whole[:-30], whole[:-30], whole]).fetch({}).objects) == 2


def test_windows_are_years_until_something_is_found_and_then_what_the_settings_say() -> None:
    stream = exporting([])
    today, unloaded = date(2024, 12, 20), Progress(date(2022, 12, 31))
    assert stream.next_window(Progress(), today) == (date(2024, 6, 1), date(2024, 12, 19))
    assert stream.next_window(unloaded, today) == (date(2023, 1, 1), date(2023, 12, 31))
    paced = ExportStream(stream._http, replace(PROJECT, paced=True))
    assert paced.next_window(unloaded, today) == (date(2023, 1, 1), date(2023, 12, 31))
    assert paced.next_window(replace(unloaded, found=True), today) == (date(2023, 1, 1), date(2023, 1, 1))
    loaded = Progress(date(2024, 12, 18), loaded=True, found=True)
    assert stream.next_window(loaded, today) == (date(2024, 12, 14), date(2024, 12, 19))
    assert stream.next_window(replace(loaded, exported=date(2024, 12, 19)), today) is None


def test_nothing_is_exported_before_the_vendors_day_is_over(world: World, stage_of: StageOf) -> None:
    midnight = world.history_end - world.history_end % DAY
    stage = stage_of(world, midnight)
    followed = Followed(stage.streams("mixpanel")[STREAM]).catch_up()
    exports = sum(request.url.path.endswith("export") for request in stage.transport.requests)
    for hours in (1, 12, 23):
        stage.advance_to(midnight + hours * 3_600)
        followed.catch_up()
        assert followed.promises[-1] == datetime.fromtimestamp(midnight, UTC)
    assert sum(request.url.path.endswith("export") for request in stage.transport.requests) == exports
    stage.advance_to(midnight + DAY)
    followed.catch_up()
    assert followed.promises[-1] == datetime.fromtimestamp(midnight + DAY, UTC)


def test_an_event_up_to_five_days_late_is_found_and_none_is_published_twice(world: World, stage_of: StageOf) -> None:
    midnight = world.history_end - world.history_end % DAY
    stage = stage_of(world, midnight)
    followed = Followed(stage.streams("mixpanel")[STREAM]).catch_up()
    events, at = world.events, midnight - 4 * DAY
    place = int(np.searchsorted(events.event_time, at))
    late = {"row": 10**6, "event_time": at, "company": 0, "user": 0, "feature": 0, "lines_changed": 1, "files": 1}
    columns = {name: np.insert(getattr(events, name), place, value) for name, value in late.items()}
    stage.simulation.world = replace(world, events=replace(events, **columns))
    told = len(followed.events)
    stage.advance_to(midnight + DAY)
    followed.catch_up()
    assert sum(event.event_time.timestamp() == at for event in followed.events[told:]) == 1
    assert len(by_id(followed.events)) == len(followed.events)


def test_local_times_of_old_projects_become_utc_on_both_sides_of_a_clock_change() -> None:
    zone = ZoneInfo("Europe/Lisbon")
    for wall, utc in (("2021-03-28T00:30", "2021-03-28T00:30"), ("2021-03-28T02:30", "2021-03-28T01:30")):
        written = int(datetime.fromisoformat(wall).replace(tzinfo=UTC).timestamp())
        assert event_time(written, zone) == datetime.fromisoformat(utc).replace(tzinfo=UTC)


def test_throttling_hands_the_wait_to_the_runner(world: World, stage_of: StageOf) -> None:
    """Mixpanel gives no hint: a minute, twice as long each time, up to ten, and anew after an export."""
    stage = stage_of(world)
    stage.simulation.faults.order(Fault(vendor="mixpanel", kind="rate_limit", path="/api", count=6))
    stream = stage.streams("mixpanel")[STREAM]
    for wait in (60.0, 120.0, 240.0, 480.0, 600.0, 600.0):
        with pytest.raises(RetriableError) as raised:
            stream.fetch({})
        assert raised.value.retry_after_seconds == wait
    page = stream.fetch({})
    stage.simulation.faults.order(Fault(vendor="mixpanel", kind="rate_limit", path="/api"))
    with pytest.raises(RetriableError) as raised:
        stream.fetch(dict(page.state))
    assert raised.value.retry_after_seconds == 60.0


def test_a_refusal_names_the_hour_or_the_second() -> None:
    for text, limit in (
        ("61/60 queries running in the last hour", "hour"),
        ("4/3 queries in the last second", "second"),
    ):
        assert classify(httpx.Response(429, text=text)) == Verdict(Outcome.AGAIN, limit=limit)
    assert classify(httpx.Response(402)) == Verdict(Outcome.FATAL)
    assert classify(httpx.Response(404)) is None
