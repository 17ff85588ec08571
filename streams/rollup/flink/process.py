"""Runs the job as `vitals rollup --engine flink`, with Flink as a child process on a local mini-cluster.

The child ends with this process, whatever ends it. SIGTERM and Ctrl-C stop the job with a savepoint; after a kill the
next start goes on from the newest checkpoint. They lie in a folder named by what the plan computes: a changed catalogue
begins anew, from the start of the log.
"""

import json
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import structlog

from schemas.bootstrap import prepare_topics
from schemas.topics import DAY, EVENTS_TOPICS, HOUR, METRIC_VALUES_FLINK, TOPICS
from streams.rollup.flink.checkpoints import CheckpointFolder
from streams.rollup.flink.launch import job_command, job_environment
from streams.rollup.flink.plan import Plan, PlanOptions, flink_plan
from vitals.errors import FatalError, RetriableError, UserError
from vitals.process import start_process
from vitals.settings import Settings, load_settings
from vitals.telemetry import Health

log = structlog.get_logger()

STOP_SECONDS = 60.0
"""Longest wait for a savepoint."""

# Flink's own defaults listen on every address, and have buffers for the paths of a few metrics only.
MINI_CLUSTER = {
    "jobmanager.bind-host": "127.0.0.1",
    "jobmanager.rpc.address": "127.0.0.1",
    "taskmanager.bind-host": "127.0.0.1",
    "taskmanager.host": "127.0.0.1",
    "rest.address": "127.0.0.1",
    "rest.bind-address": "127.0.0.1",
    "rest.bind-port": "0",
    "taskmanager.memory.network.min": "256 mb",
    "taskmanager.memory.network.max": "256 mb",
}


@dataclass(frozen=True)
class FlinkRun:
    """What the user asked for; see `options.py`."""

    until_end: bool
    parallelism: int
    checkpoints: str | None
    at_least_once: bool
    state_ttl_hours: int | None
    conf: tuple[str, ...]
    jobmanager: str | None
    plan_only: bool

    def plan(self, settings: Settings) -> Plan:
        """The plan of this run.

        Raises:
            UserError: a setting is not NAME=VALUE, or state would be forgotten while it is still needed.
        """
        least = least_state_hours()
        if self.state_ttl_hours is not None and self.state_ttl_hours < least:
            raise UserError(
                f"--state-ttl-hours must be {least} at least: a window takes events until its end plus the allowed "
                "lateness, and one that is forgotten sooner would be counted anew from zero."
            )
        local = {} if self.jobmanager or self.plan_only else MINI_CLUSTER
        return flink_plan(
            settings,
            PlanOptions(
                until_end=self.until_end,
                exactly_once=not self.at_least_once,
                parallelism=self.parallelism,
                checkpoint_seconds=settings.snapshot_interval_seconds,
                state_ttl_hours=self.state_ttl_hours,
                more=local | dict(_named(text) for text in self.conf),
            ),
        )


def least_state_hours() -> int:
    """The longest grain plus the longest allowed lateness."""
    lateness = max(TOPICS[name].allowed_lateness_seconds or 0 for name in EVENTS_TOPICS)
    return (DAY + lateness) // HOUR


def _named(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UserError(f"--conf {text} is not NAME=VALUE.")
    return name.strip(), value.strip()


def run(asked: FlinkRun) -> None:
    """Does what was asked, until it is done or a signal comes.

    Raises:
        UserError: no Java, no network for the first use, or a wrong option.
        FatalError: the cluster does not take the job.
        RetriableError: the job failed; the next start goes on from its newest checkpoint.
    """
    if asked.plan_only:
        click.echo(asked.plan(load_settings()).text(), nl=False)
    elif asked.jobmanager is not None:
        _submit(asked, asked.jobmanager, load_settings())
    else:
        _run_here(asked)


def _submit(asked: FlinkRun, jobmanager: str, settings: Settings) -> None:
    plan = asked.plan(settings)
    with tempfile.TemporaryDirectory(prefix="vitals-flink-") as name:
        folder = Path(name)
        (folder / "plan.json").write_text(plan.text())
        command = [*job_command(folder / "plan.json"), "--jobmanager", jobmanager]
        if asked.checkpoints is not None:
            kept = CheckpointFolder.below(asked.checkpoints, plan.digest)
            command += ["--checkpoints", kept.uri, "--restore", kept.newest() or ""]
        environment = job_environment(settings, folder)
        prepare_topics(settings, [TOPICS[METRIC_VALUES_FLINK]])
        finished = subprocess.run(command, env=environment, check=False)
    if finished.returncode != 0:
        raise FatalError("The cluster did not take the job; the reason is above.")


def _run_here(asked: FlinkRun) -> None:
    settings, health, stopping = start_process("rollup-flink")
    plan = asked.plan(settings)
    folder = settings.state_dir.absolute() / "flink"
    folder.mkdir(parents=True, exist_ok=True)
    kept = CheckpointFolder.below(asked.checkpoints or str(folder), plan.digest)
    (folder / "plan.json").write_text(plan.text())
    command = [*job_command(folder / "plan.json"), "--checkpoints", kept.uri, "--supervised"]
    command += ["--restore", restored] if (restored := kept.newest()) else []
    environment = job_environment(settings, folder)
    prepare_topics(settings, [TOPICS[METRIC_VALUES_FLINK]])
    log.info("flink", plan=plan.digest, checkpoints=kept.uri, restored=restored, log=str(folder / "flink.log"))
    with _child(command, environment) as child:
        last = _follow(child, health, stopping)
    if last == "finished":
        kept.clear()
    elif child.returncode != 0:
        raise RetriableError("The Flink job failed, as said above: the next start goes on from its newest checkpoint.")


@contextmanager
def _child(command: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The running job. It ends when its standard input closes, however this process may end."""
    child = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for this process, which stops the job in good order
    )
    try:
        yield child
    finally:
        assert child.stdin is not None
        with suppress(OSError):
            child.stdin.close()
        child.wait()


def _follow(child: subprocess.Popen[str], health: Health, stopping: threading.Event) -> str:
    """Logs what the job says until it ends, and asks it to stop once `stopping` is set. Returns its last state."""
    threading.Thread(target=_stop_on_request, args=(child, stopping), daemon=True).start()
    assert child.stdout is not None
    last = ""
    for line in child.stdout:
        said = _said(line)
        last = str(said.get("state", last))
        if last == "running":
            health.ready()
        (log.error if last == "failed" else log.info)("flink_job", **said)
    return last


def _said(line: str) -> Mapping[str, Any]:
    with suppress(ValueError):
        said = json.loads(line)
        if isinstance(said, dict):
            return said
    return {"output": line.rstrip()}


def _stop_on_request(child: subprocess.Popen[str], stopping: threading.Event) -> None:
    stopping.wait()
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        log.error("flink_does_not_stop", seconds=STOP_SECONDS)
        child.kill()
