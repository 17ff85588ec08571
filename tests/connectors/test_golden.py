"""Every golden pair beside a connector."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from connectors.catalogue import connector_modules
from connectors.contract import Stream
from connectors.simulation.vendors import simulators
from tests.connectors import golden
from tests.connectors.simulated import SIMULATOR_URL, conformance, set_environment
from vitals.settings import Settings

SIMULATED = tuple(simulators())


@pytest.fixture(scope="module")
def streams() -> Iterator[dict[str, Stream]]:
    """Every stream, those too that are off unless a setting asks for them."""
    settings = Settings(simulator_url=SIMULATOR_URL)
    with pytest.MonkeyPatch.context() as patch:
        set_environment(patch)
        yield {stream.name: stream for name in SIMULATED for stream in connector_modules()[name].create(settings)}


@pytest.mark.parametrize("path", golden.files(), ids=lambda path: f"{path.parent.parent.name}/{path.stem}")
def test_golden_pair(path: Path, streams: dict[str, Stream]) -> None:
    case = orjson.loads(path.read_bytes())
    expected = {key: case[key] for key in ("mapped", "error") if key in case}
    stream = streams[case["stream"]]
    assert stream.source == path.parent.parent.name
    assert golden.answer(stream, case) == expected
    assert golden.answer(stream, case) == expected, "mapping is pure: the second time gives the same"


def test_every_stream_has_golden_pairs(streams: dict[str, Stream]) -> None:
    covered = {orjson.loads(path.read_bytes())["stream"] for path in golden.files()}
    assert covered == set(streams)


def test_golden_pairs_show_every_kind_and_a_bad_record_of_each_source(streams: dict[str, Stream]) -> None:
    cases = [orjson.loads(path.read_bytes()) for path in golden.files()]
    for name in SIMULATED:
        own = [case for case in cases if streams[case["stream"]].source == name]
        kinds = {event["kind"] for case in own for event in case.get("mapped", {}).get("events", ())}
        assert kinds == set(conformance()[name].kinds)
    assert {streams[case["stream"]].source for case in cases if "error" in case} == set(SIMULATED)
