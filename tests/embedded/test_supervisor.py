"""Supervision of processes, on small ones."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from embedded.backoff import RestartBackoff
from embedded.parts import Part, SetupStep, rotate_log
from embedded.supervisor import Supervisor

SLEEP = "import time; time.sleep(600)"


@pytest.fixture
def make_part(tmp_path: Path):
    def make(name: str, code: str = SLEEP, **settings) -> Part:
        return Part(name, "service", (sys.executable, "-c", code), tmp_path, tmp_path / f"{name}.log", **settings)

    return make


class FileProbe:
    """Ready once a file exists."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def ready(self) -> bool:
        return self.path.exists()


def test_backoff_doubles_and_gives_up_after_quick_deaths_in_a_row() -> None:
    backoff = RestartBackoff(initial_seconds=1, longest_seconds=5, quick_death_seconds=60, max_quick_deaths=5)
    assert [backoff.next_delay(0.1) for _ in range(6)] == [1, 2, 4, 5, 5, None]


def test_backoff_starts_afresh_after_a_long_life() -> None:
    backoff = RestartBackoff(initial_seconds=1, quick_death_seconds=60, max_quick_deaths=3)
    assert [backoff.next_delay(lived) for lived in (1, 1, 1, 90, 1)] == [1, 2, 4, 1, 2]


def test_starts_in_order_of_dependencies_and_stops_in_reverse(make_part) -> None:
    order: list[tuple[str, str]] = []
    parts = [make_part("api", depends_on=("store",)), make_part("store")]
    supervisor = Supervisor(parts, on_change=lambda run: order.append((run.part.name, run.state)))
    assert supervisor.start(10)
    assert [change for change in order if change[1] == "ready"] == [("store", "ready"), ("api", "ready")]
    supervisor.stop()
    assert [change for change in order if change[1] == "stopped"] == [("api", "stopped"), ("store", "stopped")]


def test_killed_part_is_restarted(make_part) -> None:
    supervisor = Supervisor([make_part("worker")])
    supervisor.start(10)
    run = supervisor.runs["worker"]
    first = run.pid
    os.kill(first, signal.SIGKILL)
    deadline = time.monotonic() + 10
    supervisor.run(lambda: (run.restarts == 1 and run.state == "ready") or time.monotonic() > deadline)
    assert run.state == "ready"
    assert run.pid != first
    supervisor.stop()


def test_part_that_keeps_dying_fails_and_the_others_go_on(make_part, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RestartBackoff, "next_delay", _impatient)
    parts = [
        make_part("broken", "raise SystemExit(3)", probe=FileProbe(Path("/nonexistent"))),
        make_part("healthy"),
        make_part("dependent", depends_on=("broken",)),
    ]
    supervisor = Supervisor(parts)
    deadline = time.monotonic() + 20
    supervisor.run(lambda: supervisor.decided or time.monotonic() > deadline)
    assert {name: run.state for name, run in supervisor.runs.items()} == {
        "broken": "failed",
        "healthy": "ready",
        "dependent": "failed",
    }
    assert "ended with exit code 3; not started again" in parts[0].log_path.read_text()
    supervisor.stop()


def _impatient(backoff: RestartBackoff, lived_seconds: float) -> float | None:
    backoff.quick_deaths += 1
    return None if backoff.quick_deaths > 2 else 0.01


def test_part_that_is_never_ready_is_killed_and_counts_as_dead(make_part) -> None:
    part = make_part("mute", probe=FileProbe(Path("/nonexistent")), ready_timeout_seconds=0.3)
    supervisor = Supervisor([part], restart=False)
    assert not supervisor.start(10)
    assert [run.part.name for run in supervisor.failed] == ["mute"]


def test_run_once_part_is_done_when_it_ends_well(make_part, tmp_path: Path) -> None:
    parts = [make_part("migrate", "print('migrated')", run_once=True), make_part("api", depends_on=("migrate",))]
    supervisor = Supervisor(parts)
    assert supervisor.start(10)
    assert supervisor.runs["migrate"].state == "done"
    supervisor.stop()


def test_setup_runs_once_and_an_interrupted_one_starts_over(make_part, tmp_path: Path) -> None:
    partial, final = tmp_path / "data.partial", tmp_path / "data"
    partial.mkdir()
    (partial / "half-made").write_text("")
    code = f"import pathlib; p = pathlib.Path({str(partial)!r}); p.mkdir(); (p / 'made').write_text('')"
    part = make_part("store", setup=(SetupStep((sys.executable, "-c", code), partial, final),))
    for _ in range(2):
        supervisor = Supervisor([part])
        assert supervisor.start(10)
        supervisor.stop()
        assert [path.name for path in final.iterdir()] == ["made"]


def test_part_that_ignores_the_stop_signal_is_killed(make_part, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    code = (
        "import pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"pathlib.Path({str(ready)!r}).write_text(''); time.sleep(600)"
    )
    supervisor = Supervisor([make_part("stubborn", code, probe=FileProbe(ready), stop_timeout_seconds=0.3)])
    supervisor.start(10)
    pid = supervisor.runs["stubborn"].pid
    supervisor.stop()
    assert not psutil.pid_exists(pid)


def test_what_a_dead_part_had_started_is_swept_up(make_part, tmp_path: Path) -> None:
    pid_file = tmp_path / "child"
    code = (
        "import pathlib, subprocess, sys, time;"
        f"child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}]);"
        f"pathlib.Path({str(pid_file)!r}).write_text(str(child.pid)); time.sleep(600)"
    )
    supervisor = Supervisor([make_part("parent", code, probe=FileProbe(pid_file))], restart=False)
    supervisor.start(10)
    child = psutil.Process(int(pid_file.read_text()))
    supervisor.kill("parent")
    psutil.wait_procs([child], timeout=5)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ties a process to its parent's life")
def test_parts_die_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from embedded.parts import Part
from embedded.supervisor import Supervisor
here = Path({str(tmp_path)!r})
part = Part("worker", "service", (sys.executable, "-c", {SLEEP!r}), here, here / "worker.log")
supervisor = Supervisor([part])
supervisor.start(10)
print(supervisor.runs["worker"].pid, flush=True)
supervisor.run(lambda: False)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        worker = psutil.Process(int(process.stdout.readline()))
        process.kill()
    psutil.wait_procs([worker], timeout=5)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def test_unknown_dependency_is_refused(make_part) -> None:
    with pytest.raises(ValueError, match="not supervised"):
        Supervisor([make_part("api", depends_on=("nothing",))])


def test_large_log_is_moved_aside(tmp_path: Path) -> None:
    log = tmp_path / "kafka.log"
    log.write_text("x" * 100)
    rotate_log(log, limit_bytes=100)
    assert log.exists()
    rotate_log(log, limit_bytes=99)
    assert not log.exists()
    assert (tmp_path / "kafka.log.1").read_text() == "x" * 100
