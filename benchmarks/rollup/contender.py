"""What a contender is, and the field that all of them run on."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from confluent_kafka.admin import NewTopic

from benchmarks.rollup.broker import TIMEOUT_SECONDS, admin_of, create
from benchmarks.rollup.log import Log, produce
from benchmarks.rollup.measured import Measured, Meter
from embedded.endpoints import Endpoints
from vitals.settings import Settings

ROOT = Path(__file__).resolve().parent.parent.parent
DEADLINE_SECONDS = 900.0
Report = dict[str, Any]
RESULT = "@"
"""A subprocess says `@ {"name": …, "began": …, "ended": …, "events": …}` on a line of its own."""


class ContenderError(Exception):
    """A contender cannot be installed or did not finish; the others go on."""


@dataclass(frozen=True)
class Field:
    """A log in a topic, and where it is."""

    log: Log
    topic: str
    schema_id: int
    endpoints: Endpoints
    settings: Settings
    folder: Path

    def own_folder(self, name: str) -> Path:
        """A new folder for one run."""
        plain = "".join(letter if letter.isalnum() else "-" for letter in name)
        folder = self.folder / f"{plain}-{time.time_ns()}"
        folder.mkdir(parents=True)
        return folder

    def prefix(self, events: int) -> "Field":
        """The first messages of the log in a topic of their own, for those too slow for all of it."""
        log = self.log.prefix(events)
        topic = f"prefix-{events}"
        partitions = log.shape.partitions
        admin = admin_of(self.settings)
        if topic not in admin.list_topics(timeout=TIMEOUT_SECONDS).topics:
            create(admin, [NewTopic(topic, partitions, 1)])
            produce(log, self.settings.kafka_bootstrap, topic, self.schema_id)
        return replace(self, log=log, topic=topic)

    def arguments(self) -> dict[str, object]:
        """What a subprocess needs to read the log."""
        return {
            "bootstrap": self.settings.kafka_bootstrap,
            "registry": self.settings.registry_url,
            "schema_id": self.schema_id,
            "topic": self.topic,
            "ends": self.log.ends(),
        }


class Contender(Protocol):
    """A module that runs the job. Each stands in `benchmarks/rollup/contenders` and is found there."""

    NAME: str
    ORDER: int
    REPEATED: bool
    """Whether it runs as often as asked for, interleaved with the others that do; peers run once."""

    def run(self, field: Field) -> list[Measured]:
        """Runs the job once and judges its result. Raises ContenderError."""
        ...


def run_process(
    field: Field,
    name: str,
    command: Sequence[str | Path],
    arguments: Mapping[str, object],
    environment: Mapping[str, str] | None = None,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> list[Measured]:
    """Runs a subprocess that reports its own instants, and measures it from outside.

    The arguments go to it as one JSON text. Raises ContenderError where it fails or reports nothing.
    """
    folder = field.own_folder(name)
    log_path = folder / "log"
    inherited = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [*map(str, command), json.dumps(arguments)],
            cwd=folder,
            env=inherited | dict(environment or {}),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        meter = Meter(process.pid)
        try:
            reports = _reports(process, meter, log_path, deadline_seconds)
        finally:
            meter.close()
            end(process)
    if process.returncode != 0 or not reports:
        raise ContenderError(f"{name} ended with {process.returncode}: {tail(log_path)}")
    return [
        meter.measured(report.get("name", name), report["events"], report["began"], report["ended"])
        for report in reports
    ]  # fmt: skip


def _reports(process: "subprocess.Popen[str]", meter: Meter, log_path: Path, deadline_seconds: float) -> list[Report]:
    timer = threading.Timer(deadline_seconds, process.kill)
    timer.start()
    reports: list[Report] = []
    assert process.stdout is not None
    with log_path.with_name("out").open("w") as out:
        for line in process.stdout:
            if line.startswith(RESULT):
                meter.sample()
                reports.append(json.loads(line[len(RESULT) :]))
            else:
                out.write(line)
    process.wait()
    timer.cancel()
    return reports


def project_environment() -> dict[str, str]:
    """For a subprocess that imports the project."""
    return {"PYTHONPATH": str(ROOT)}


def project_command(module: str) -> list[str]:
    """Runs a module of the project with this Python."""
    return [sys.executable, "-m", module]


def end(process: "subprocess.Popen[str]") -> None:
    """Ends a process, politely at first."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def tail(path: Path, size: int = 1_500) -> str:
    """The end of a log, without what nanobind says of modules that an exception keeps alive."""
    lines = [line for line in path.read_text(errors="replace").splitlines() if "leaked" not in line]
    return "\n".join(lines)[-size:].strip() or "(it said nothing)"
