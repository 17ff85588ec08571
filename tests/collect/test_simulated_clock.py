"""With a simulator, collect lives in the simulator's time."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from connectors.collect.connector import STREAM
from embedded.stack import Stack
from schemas.bootstrap import bootstrap
from tests.collect.conftest import CollectProcess, environment, free_port
from tests.collect.test_endpoint import feature_used
from tests.collect.topics import Topic
from tests.conftest import settings_for
from vitals.settings import Settings

pytestmark = pytest.mark.slow


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Settings]:
    """Parts of this test alone: source time never goes back, and the other tests' stream is in wall time."""
    with Stack(tmp_path / "stack").infrastructure() as endpoints:
        settings = settings_for(endpoints, tmp_path / "state")
        bootstrap(settings)
        yield settings


@pytest.fixture
def source_clock(own: Settings, tmp_path: Path) -> Iterator[str]:
    """Address of the clock of a `vitals simulate` that runs sixty times as fast as the wall clock."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/_sim/clock"
    arguments = ["simulate", "--world", "--speed", "60", "--port", str(port), "--state", str(tmp_path / "simulated")]
    with (tmp_path / "simulator.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "vitals", *arguments], env=environment(own), stdout=log, stderr=log
        )
    try:
        await_clock(url)
        yield url
    finally:
        process.terminate()
        process.wait(30)


@retry(retry=retry_if_exception_type(httpx.HTTPError), stop=stop_after_delay(60), wait=wait_fixed(0.1), reraise=True)
def await_clock(url: str) -> None:
    """Returns once the simulator answers."""
    httpx.get(url).raise_for_status()


def told(url: str) -> datetime:
    """The simulator's time, in whole seconds."""
    return datetime.fromisoformat(httpx.get(url).json()["source_time"])


def test_events_and_progress_are_in_source_time(own: Settings, source_clock: str, tmp_path: Path) -> None:
    events = Topic(own, "events.product")
    with CollectProcess(own, tmp_path / "log", VITALS_SOURCE_CLOCK_URL=source_clock) as process:
        before = told(source_clock)
        process.post("track", feature_used()).raise_for_status()
        # A client's clock that has nothing to do with the simulator's is not "corrected".
        times = {"originalTimestamp": "2020-01-01T08:00:00Z", "sentAt": "2020-01-01T09:00:00Z"}
        process.post("track", feature_used(**times)).raise_for_status()
        after = told(source_clock)
    now, given = (event["event_time"] for event in events.records("Event"))
    now, given = max(now, given), min(now, given)
    slack = timedelta(minutes=1)
    assert before - slack <= now <= after + slack
    assert given == datetime(2020, 1, 1, 8, tzinfo=UTC)
    through = {
        record["complete_through"]
        for record in events.records("Progress")
        if record["stream"] == STREAM and record["complete_through"] is not None
    }
    assert max(through) <= after + slack
