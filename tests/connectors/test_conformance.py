"""Every discovered connector against its simulator: faults, restarts and polling times change nothing it brings."""

from collections.abc import Callable
from typing import Any

import pytest

from connectors.catalogue import connector_modules
from connectors.contract import Stream
from connectors.simulation.calendar import DAY
from connectors.simulation.faults import Fault, kinds_of
from connectors.simulation.vendors import simulators
from connectors.simulation.world import World
from tests.connectors.conftest import Stage
from tests.connectors.simulated import Followed, by_id, conformance, followed_together, set_environment
from vitals.errors import FatalError, UserError
from vitals.settings import Settings

pytestmark = pytest.mark.usefixtures("small_pages")

StageOf = Callable[..., Stage]

SIMULATED = tuple(simulators())

VARIANTS: dict[str, list[dict[str, Any]]] = {
    "rate_limit": [{}, {"retry_after": 1.0}, {"retry_after": 120.0}],
    "server_error": [{"count": 3}, {"status": 500}, {"status": 406}, {"status": 503, "retry_after": 2.0}],
    "slow": [{"seconds": 0.01}],
    "duplicates": [{}],
    "empty_page": [{"count": 2}],
    "terminated_early": [{"count": 2}],
}


def ordered() -> list[Any]:
    """Every kind of fault of every vendor that has a connector, at its first data request and within the walk."""
    cases = []
    for vendor in SIMULATED:
        told = conformance()[vendor]
        for kind in kinds_of(vendor):
            if kind in told.waived:
                continue
            for number, variant in enumerate(VARIANTS.get(kind, [{}])):
                for after in (0, 2):
                    fault = {"vendor": vendor, "kind": kind, "path": told.data_path, "after": after, **variant}
                    cases.append(pytest.param(vendor, fault, id=f"{vendor}-{kind}-{number}-after{after}"))
    return cases


def load(streams: dict[str, Stream]) -> dict[str, Followed]:
    """Every stream of a connector until its vendor has no more."""
    return {name: one.catch_up() for name, one in followed_together(streams).items()}


def brought(loaded: dict[str, Followed]) -> dict[str, Any]:
    """Everything that a load brought, by id."""
    return {name: by_id(one.events) for name, one in loaded.items()}


@pytest.fixture(scope="module")
def clean(world: World) -> dict[str, dict[str, Any]]:
    """What each connector brings when nothing goes wrong."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        set_environment(patch)
        for name in SIMULATED:
            stage = Stage(world)
            found[name] = brought(load(stage.streams(name)))
            stage.transport.finish()
    return found


def test_every_simulated_vendor_has_a_connector() -> None:
    assert set(SIMULATED) == set(conformance()) <= set(connector_modules())


@pytest.mark.parametrize("name", SIMULATED)
def test_streams_say_what_they_are(name: str, world: World, stage_of: StageOf) -> None:
    module, streams = connector_modules()[name], stage_of(world).streams(name)
    assert streams
    for stream in streams.values():
        assert stream.source == module.NAME == stream.name.partition(".")[0]
        assert stream.topics
    assert {topic for stream in streams.values() for topic in stream.topics} == set(module.topics)


@pytest.mark.parametrize("name", SIMULATED)
def test_first_load_brings_events_and_promises_only_at_its_end(name: str, world: World, stage_of: StageOf) -> None:
    for followed in load(stage_of(world).streams(name)).values():
        assert followed.events
        assert followed.pages > 2
        assert followed.promises[-1] is not None
        assert set(followed.promises[:-1]) == {None}
        assert not [record for record in followed.set_aside if record.record_name == "DeadLetter"]


@pytest.mark.parametrize(("name", "fault"), ordered())
def test_a_fault_changes_nothing(
    name: str, fault: dict[str, Any], world: World, clean: dict[str, Any], stage_of: StageOf
) -> None:
    stage = stage_of(world)
    stage.simulation.faults.order(Fault(**fault))
    loaded = load(stage.streams(name))
    assert not stage.simulation.faults.waiting(), "the fault was not met"
    assert brought(loaded) == clean[name]
    assert all(len(one.events) == len(by_id(one.events)) for one in loaded.values()), "an event went out twice"
    assert not [record for one in loaded.values() for record in one.set_aside if record.record_name == "DeadLetter"]


@pytest.mark.parametrize("name", SIMULATED)
def test_a_burst_of_faults_changes_nothing(name: str, world: World, clean: dict[str, Any], stage_of: StageOf) -> None:
    stage = stage_of(world)
    for after, kind in enumerate(("server_error", "truncate", "rate_limit", "corrupt", "drop", "expire_token")):
        stage.simulation.faults.order(Fault(vendor=name, kind=kind, after=after))
    assert brought(load(stage.streams(name))) == clean[name]
    assert not stage.simulation.faults.waiting()


@pytest.mark.parametrize("name", SIMULATED)
def test_rejected_credentials_are_fatal_after_one_renewal(name: str, world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    streams = stage.streams(name)
    stage.simulation.faults.order(Fault(vendor=name, kind="expire_token", path=conformance()[name].data_path, count=99))
    stream = next(iter(streams.values()))
    with pytest.raises(FatalError, match="credentials"):
        Followed(stream).catch_up()
    asked = [one for one in stage.transport.requests if conformance()[name].data_path in one.url.path]
    assert len(asked) == 2


@pytest.mark.parametrize("name", SIMULATED)
def test_a_restart_after_every_page_loses_and_repeats_nothing(
    name: str, world: World, clean: dict[str, Any], stage_of: StageOf
) -> None:
    stage = stage_of(world)
    for stream_name, followed in followed_together(stage.streams(name)).items():
        more = True
        while more:
            more = followed.page()
            followed.restart(stage.streams(name)[stream_name])
        assert by_id(followed.events) == clean[name][stream_name]
        assert len(followed.events) == len(clean[name][stream_name])


@pytest.mark.parametrize("name", SIMULATED)
def test_following_brings_what_a_later_first_load_brings(name: str, world: World, stage_of: StageOf) -> None:
    stage, end = stage_of(world), world.history_end + 45 * DAY
    followed = followed_together(stage.streams(name))
    for at in range(world.history_end, end + 1, 5 * DAY // 2 + 7_333):
        stage.advance_to(at)
        for one in followed.values():
            one.catch_up()
    stage.advance_to(end)
    for one in followed.values():
        one.catch_up()
    at_once = load(stage_of(world, end).streams(name))
    for stream, one in followed.items():
        told = conformance()[name].told_by_change
        assert _without(one, told) == _without(at_once[stream], told)
        assert len(by_id(one.events)) == len(one.events), "the runner published an event twice"
        assert not one.drifted, "a vendor that is as it was has no new fields"
        assert one.promises == sorted(one.promises, key=lambda promise: promise.timestamp() if promise else 0.0)
        assert one.promises[-1] == at_once[stream].promises[-1]


def _without(followed: Followed, kinds: tuple[str, ...]) -> dict[str, Any]:
    return {identifier: event for identifier, event in by_id(followed.events).items() if event["kind"] not in kinds}


@pytest.mark.parametrize("name", SIMULATED)
def test_no_event_comes_after_the_promise_that_covers_it(name: str, world: World, stage_of: StageOf) -> None:
    """Products' exports are the exception by design: their look-back is the topic's allowed lateness."""
    stage = stage_of(world)
    for followed in followed_together(stage.streams(name)).values():
        followed.catch_up()
        for _ in range(12):
            promise = followed.promises[-1]
            told = len(followed.events)
            stage.advance_to(stage.simulation.clock.now() + 30_000)
            followed.catch_up()
            late = [event for event in followed.events[told:] if promise and event.event_time < promise]
            assert not late


@pytest.mark.parametrize("name", SIMULATED)
def test_missing_credentials_are_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("URL", "CLIENT_ID", "CLIENT_SECRET", "PROJECT_ID", "USERNAME", "SECRET", "KEY", "EMAIL"):
        monkeypatch.delenv(f"VITALS_{name.upper()}_{variable}", raising=False)
    with pytest.raises(UserError, match=f"Set VITALS_{name.upper()}_"):
        connector_modules()[name].create(Settings(simulator_url=""))
