"""Amplitude: whole hours of upload only, damaged exports never used, too large ones halved, each event once."""

import gzip
import io
import random
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.amplitude import simulator
from connectors.amplitude.archive import ExportArchive, LostPlaceError
from connectors.amplitude.connector import HOSTS
from connectors.amplitude.stream import HOUR, ExportStream, Progress, Project, classify
from connectors.catalogue import connector_modules
from connectors.http import TruncatedBodyError, VendorHttp, Wire
from connectors.simulation.calendar import DAY
from connectors.simulation.faults import Fault
from connectors.simulation.world import World
from tests.connectors.conftest import Stage
from tests.connectors.simulated import SIMULATOR_URL, Followed, by_id
from vitals.errors import FatalError, RetriableError
from vitals.settings import Settings

StageOf = Callable[..., Stage]
STREAM = "amplitude.export"
pytestmark = pytest.mark.usefixtures("first_day")
PROJECT = Project("http://amplitude.test", date(2024, 6, 1), 24, paced=False)
NOW = datetime(2024, 6, 10, 12, 34, tzinfo=UTC)


@pytest.fixture
def first_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """The generated world begins here."""
    monkeypatch.setenv("VITALS_AMPLITUDE_START_DATE", "2025-11-03")


def line(number: int, **more: object) -> bytes:
    event = {
        "uuid": f"id-{number:03d}",
        "event_type": "Feature Used",
        "event_time": "2024-06-01 00:00:00.000000",
        "user_id": "ana",
        "groups": {"company": ["0015e00000AaBbCAAV"]},
        "text": "\u2028 and a letter é",
    }
    return orjson.dumps(event | more, option=orjson.OPT_APPEND_NEWLINE)


def zipped(members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", compression) as archive:
        for name, lines in members.items():
            archive.writestr(name, gzip.compress(lines, mtime=0))
    return written.getvalue()


def ids(archive: ExportArchive) -> list[str]:
    return [one.source_id for one in archive.after(None, 10**6)[0]]


NAMES = ("9/9_2024-06-01_2#7.json.gz", "9/9_2024-06-01_10#1.json.gz", "9/9_2024-06-01_10#12.json.gz")


def test_members_come_by_hour_and_partition_wherever_they_lie() -> None:
    written = {name: line(number) for number, name in enumerate(NAMES)}
    turned = dict(reversed(written.items()))
    flat = {name.partition("/")[2]: lines for name, lines in turned.items()}
    for members in (written, turned, flat):
        assert ids(ExportArchive([zipped(members)])) == ["id-000", "id-001", "id-002"]


@given(
    lines=st.lists(st.lists(st.integers(0, 99), max_size=6), max_size=3),
    count=st.integers(1, 7),
    restarts=st.booleans(),
)
def test_pages_of_any_size_with_or_without_a_restart_hand_out_every_line_once(lines, count, restarts) -> None:
    body = zipped({name: b"".join(map(line, numbers)) for name, numbers in zip(NAMES, lines, strict=False)})
    archive, place, found = ExportArchive([body]), None, []
    while True:
        objects, place = archive.after(place, count)
        found += [one.source_id for one in objects]
        if place is None:
            break
        if restarts:
            archive = ExportArchive([body])
    assert found == [f"id-{number:03d}" for numbers in lines for number in numbers]


BODY = zipped({name: b"".join(line(10 * part + number) for number in range(5)) for part, name in enumerate(NAMES)})


@given(cut=st.integers(0, len(BODY) - 1))
def test_a_cut_body_is_never_used(cut: int) -> None:
    with pytest.raises(TruncatedBodyError):
        ExportArchive([BODY[:cut]])


@given(place=st.integers(0, len(BODY) - 1), byte=st.integers(1, 255), packed=st.booleans())
def test_an_overwritten_byte_is_found_or_changes_nothing(place: int, byte: int, packed: bool) -> None:
    members = {name: line(number) for number, name in enumerate(NAMES)}
    whole = zipped(members, zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED)
    place %= len(whole)
    broken = whole[:place] + bytes([whole[place] ^ byte]) + whole[place + 1 :]
    try:
        found = ids(ExportArchive([broken]))
    except (TruncatedBodyError, FatalError):
        return
    assert sorted(found) == ["id-000", "id-001", "id-002"]


def test_a_gzip_member_cut_inside_a_whole_zip_is_found() -> None:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr(NAMES[0], gzip.compress(line(1) * 50)[:-9])
    with pytest.raises(TruncatedBodyError, match="EOFError"):
        ExportArchive([written.getvalue()])


def test_a_file_of_another_kind_is_not_passed_over() -> None:
    with pytest.raises(FatalError, match=r"events\.parquet"):
        ExportArchive([zipped({NAMES[0]: line(1), "9/events.parquet": b""})])


def test_a_large_export_does_not_lie_in_memory() -> None:
    import tracemalloc

    noise = random.Random(1)
    lines = b"".join(line(number % 1_000, noise=noise.randbytes(2_000).hex()) for number in range(12_000))
    body = zipped({NAMES[0]: lines})
    assert len(body) > 20 * 1024 * 1024
    chunks = (body[at : at + 65_536] for at in range(0, len(body), 65_536))
    tracemalloc.start()
    try:
        archive, place, count = ExportArchive(chunks), None, 0
        while count == 0 or place is not None:
            objects, place = archive.after(place, 1_000)
            count += len(objects)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 12_000
    assert peak < len(body) * 1.2, "the zip itself spools at 16 MB, its lines never gather"


def test_a_place_that_another_export_has_not_is_lost() -> None:
    archive = ExportArchive([zipped({NAMES[0]: line(1) + line(2)})])
    for place in ((NAMES[0], 1, "id-002"), (NAMES[1], 1, "id-001")):
        with pytest.raises(LostPlaceError):
            archive.after(place, 10)
    assert ids(archive) == ["id-001", "id-002"]


class Vendor:
    """Answers exports by a function of (start, end) and tells `now` in `Date`."""

    def __init__(self, answer: Callable[[str, str], httpx.Response], now: datetime = NOW) -> None:
        self.answer, self.now = answer, now
        self.asked: list[tuple[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("export"):
            response = httpx.Response(200)
        else:
            self.asked.append((request.url.params["start"], request.url.params["end"]))
            response = self.answer(*self.asked[-1])
        response.headers["Date"] = f"{self.now:%a, %d %b %Y %H:%M:%S} GMT"
        return response

    def stream(self, project: Project = PROJECT) -> ExportStream:
        wire = Wire(transport=httpx.MockTransport(self), sleep=lambda _seconds: None)
        return ExportStream(VendorHttp("amplitude", classify_first=classify, wire=wire), project)


def test_an_order_that_changed_between_two_processes_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.amplitude.stream.PAGE_OBJECTS", 2)
    lines = [line(number) for number in range(6)]
    vendor = Vendor(lambda _first, _last: httpx.Response(200, content=zipped({NAMES[0]: b"".join(lines)})))
    followed = Followed(vendor.stream())
    followed.page()
    lines.reverse()
    followed.restart(vendor.stream())
    for _ in range(3):
        followed.page()
    assert sorted(by_id(followed.events)) == sorted(event.event_id for event in followed.events)
    assert len(followed.events) == 6


def test_quiet_ranges_are_crossed_in_ever_longer_steps_and_the_cursor_advances() -> None:
    def answer(first: str, last: str) -> httpx.Response:
        return (
            httpx.Response(200, content=zipped({NAMES[0]: line(1)})) if last >= "20240515T00" else httpx.Response(404)
        )

    vendor = Vendor(answer)
    followed = Followed(vendor.stream(replace(PROJECT, start=date(2024, 5, 1)))).catch_up()
    spans = [_hours(*one) for one in vendor.asked]
    assert spans == [24, 48, 96, 192, *[24] * 25, 10]
    assert followed.promises[-1] == datetime(2024, 6, 10, 9, 55, tzinfo=UTC)
    assert not [promise for promise in followed.promises[:-1] if promise]


def _hours(first: str, last: str) -> int:
    start, end = (datetime.strptime(one, "%Y%m%dT%H").replace(tzinfo=UTC) for one in (first, last))
    return (end - start) // HOUR + 1


def test_after_the_first_load_two_hours_are_read_again_with_every_new_one() -> None:
    vendor = Vendor(lambda _first, _last: httpx.Response(404))
    followed = Followed(vendor.stream()).catch_up()
    assert vendor.asked[-1][1] == "20240610T09", "an hour can be exported two hours after its end"
    told = len(vendor.asked)
    followed.catch_up()
    vendor.now += timedelta(minutes=25)
    followed.catch_up()
    assert len(vendor.asked) == told, "the vendor has no further whole hour"
    vendor.now += timedelta(minutes=1)
    followed.catch_up()
    assert vendor.asked[told:] == [("20240610T08", "20240610T10")]
    vendor.now += timedelta(days=2)
    followed.catch_up()
    assert vendor.asked[told + 1 :] == [("20240610T09", "20240611T10"), ("20240611T09", "20240612T10")]


@pytest.mark.parametrize("status", [400, 504])
@settings(max_examples=40)
@given(longest=st.integers(1, 40), window=st.integers(1, 60), looked_back=st.booleans())
def test_what_is_too_large_is_asked_for_in_halves_and_every_hour_comes(
    status: int, longest: int, window: int, looked_back: bool
) -> None:
    def answer(first: str, last: str) -> httpx.Response:
        return httpx.Response(status if _hours(first, last) > longest else 404)

    vendor = Vendor(answer)
    followed = Followed(vendor.stream(replace(PROJECT, window_hours=window))).catch_up()
    if looked_back:
        vendor.now += timedelta(hours=7)
        followed.catch_up()
    exported = [one for one in vendor.asked if _hours(*one) <= longest]
    reached = datetime(2024, 6, 1, tzinfo=UTC) - HOUR
    for first, last in exported:
        start, end = (datetime.strptime(one, "%Y%m%dT%H").replace(tzinfo=UTC) for one in (first, last))
        assert start <= reached + HOUR, "no hour is passed over"
        assert end > reached, "every export brings a further hour"
        reached = end
    assert reached == vendor.now.replace(minute=0) - 3 * HOUR


@pytest.mark.parametrize(("status", "error"), [(400, FatalError), (504, RetriableError)])
def test_an_hour_that_is_too_large_says_what_to_do(status: int, error: type[Exception]) -> None:
    vendor = Vendor(lambda _first, _last: httpx.Response(status, text="larger than 4GB"))
    with pytest.raises(error, match="storage export") as raised:
        Followed(vendor.stream()).catch_up(patience=0) if status == 400 else _until_raised(vendor.stream())
    assert "20240601T00" in str(raised.value)


def _until_raised(stream: ExportStream) -> None:
    followed = Followed(stream)
    for _ in range(20):
        followed.page()


def test_a_window_that_was_begun_and_is_then_refused_starts_again_in_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.amplitude.stream.PAGE_OBJECTS", 2)
    lines = b"".join(line(number) for number in range(5))
    longest = 24

    def answer(first: str, last: str) -> httpx.Response:
        if _hours(first, last) > longest:
            return httpx.Response(400)
        inside = first <= "20240601T03" <= last
        return httpx.Response(200, content=zipped({NAMES[0]: lines})) if inside else httpx.Response(404)

    vendor = Vendor(answer)
    followed = Followed(vendor.stream())
    followed.page()
    longest = 6
    followed.restart(vendor.stream())
    followed.catch_up()
    assert len(followed.events) == len(by_id(followed.events)) == 5


def test_nothing_of_a_damaged_window_is_published_until_it_comes_whole(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    followed = Followed(stage.streams("amplitude")[STREAM])
    for kind in ("broken_member", "no_directory", "truncate", "corrupt"):
        stage.simulation.faults.order(Fault(vendor="amplitude", kind=kind, path="/api", count=99))
        with pytest.raises(RetriableError):
            followed.page()
        stage.simulation.faults.clear()
        assert not followed.objects
        assert not followed.state
    followed.page()
    assert followed.events


def test_throttling_hands_the_wait_to_the_runner(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    stage.simulation.faults.order(Fault(vendor="amplitude", kind="rate_limit", path="/api", count=5))
    stream = stage.streams("amplitude")[STREAM]
    for wait in (60.0, 120.0, 240.0, 480.0, 600.0):
        with pytest.raises(RetriableError) as raised:
            stream.fetch({})
        assert raised.value.retry_after_seconds == wait
    assert stream.fetch({}) is not None


def test_an_event_that_a_device_kept_comes_once_under_its_own_time(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A Wednesday: on days off hardly anything is uploaded.
    midnight = world.history_end - world.history_end % DAY - 4 * DAY
    assert datetime.fromtimestamp(midnight, UTC).isoweekday() == 3
    monkeypatch.setenv("VITALS_AMPLITUDE_START_DATE", f"{datetime.fromtimestamp(midnight - 30 * DAY, UTC):%Y-%m-%d}")
    stage = stage_of(world, midnight)
    followed = Followed(stage.streams("amplitude")[STREAM]).catch_up()
    stage.simulation.faults.order(Fault(vendor="amplitude", kind="late_upload", path="/api"))
    for hours in range(1, 30):
        stage.advance_to(midnight + hours * 3_600)
        followed.catch_up()
    assert not stage.simulation.faults.waiting()
    first, end = midnight - 30 * DAY, midnight + 29 * 3_600 - 3 * 3_600
    times = [int(event.event_time.timestamp()) for event in followed.events + followed.set_aside]
    inside = world.events.event_time[(world.events.event_time >= first) & (world.events.event_time < end)]
    assert len(by_id(followed.events)) == len(followed.events)
    # The last hour's events may be under way still.
    settled = len(inside) - int((inside >= end - 3_600).sum())
    assert settled > 40
    assert sorted(times)[:settled] == inside[:settled].tolist()


def test_an_upload_stored_twice_is_one_event(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    stage.simulation.faults.order(Fault(vendor="amplitude", kind="duplicates", path="/api"))
    followed = Followed(stage.streams("amplitude")[STREAM]).catch_up()
    stored = {one.source_id for one in followed.objects}
    assert len(followed.objects) > len(stored)
    assert len(stored) > len({one.body["$insert_id"] for one in followed.objects})
    assert len(followed.events) == len(by_id(followed.events))


def test_size_refusals_of_the_simulator_end_with_every_event(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITALS_AMPLITUDE_WINDOW_HOURS", "480")
    whole = Followed(stage_of(world).streams("amplitude")[STREAM]).catch_up()
    monkeypatch.setattr(simulator, "LARGEST_EXPORT_BYTES", 3_000)
    stage = stage_of(world)
    halved = Followed(stage.streams("amplitude")[STREAM]).catch_up()
    assert by_id(halved.events) == by_id(whole.events)
    assert halved.pages > whole.pages + 50


def test_the_projects_region_decides_the_host(monkeypatch: pytest.MonkeyPatch, world: World, stage_of: StageOf) -> None:
    assert HOSTS == {"us": "https://amplitude.com", "eu": "https://analytics.eu.amplitude.com"}
    create = connector_modules()["amplitude"].create
    monkeypatch.setenv("VITALS_AMPLITUDE_API_KEY", "key")
    monkeypatch.setenv("VITALS_AMPLITUDE_SECRET_KEY", "secret")
    monkeypatch.delenv("VITALS_AMPLITUDE_START_DATE")
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(404, headers={"Date": "Mon, 10 Jun 2024 12:00:00 GMT"})

    for region in ("us", "eu"):
        monkeypatch.setenv("VITALS_AMPLITUDE_REGION", region)
        create(Settings(simulator_url=""), Wire(transport=httpx.MockTransport(answer)))[0].fetch({})
        assert asked[-1].startswith(f"{HOSTS[region]}/api/2/export?start=20120101T00&end=20120101T23")
    stage = stage_of(world)
    assert Followed(stage.streams("amplitude")[STREAM]).page()
    assert str(stage.transport.requests[-1].url).startswith(f"{SIMULATOR_URL}/amplitude/eu/api/2/export")


@given(
    span=st.integers(1, 8760),
    hours=st.lists(st.integers(0, 400_000), min_size=3, max_size=3),
    loaded=st.booleans(),
    begun=st.booleans(),
)
def test_progress_survives_its_json_form(span: int, hours: list[int], loaded: bool, begun: bool) -> None:
    exported, first, last = (datetime(2001, 1, 1, tzinfo=UTC) + hour * HOUR for hour in hours)
    progress = Progress(span, exported, loaded, (first, last) if begun else None, ("a#1", 3, "x") if begun else None)
    assert Progress.read(orjson.loads(orjson.dumps(progress.json())), 24) == progress
