"""What a running stack tells about itself in `run/status.json`, for `vitals status` and for the next start."""

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

import psutil

from embedded.files import write_atomically
from embedded.part_run import PartRun
from embedded.state_folder import StateFolder


def overall_state(runs: Iterable[PartRun]) -> str:
    """`ready`, `degraded` (something failed or is being restarted), `stopping` or `starting`."""
    states = {run.state for run in runs}
    if states <= {"ready", "done"}:
        return "ready"
    if states & {"stopping", "stopped"}:
        return "stopping"
    if states & {"failed", "restarting"}:
        return "degraded"
    return "starting"


def write_status(state: StateFolder, runs: Iterable[PartRun], ports: Mapping[str, int]) -> None:
    """Replaces the status file."""
    runs = list(runs)
    document = {
        "pid": os.getpid(),
        "state": overall_state(runs),
        "ports": dict(ports),
        "services": describe_runs(runs),
    }
    write_atomically(state.status_file, json.dumps(document, indent=1) + "\n")


def read_status(state: StateFolder) -> dict[str, Any]:
    """The last status written, or an empty one."""
    try:
        document: dict[str, Any] = json.loads(state.status_file.read_text())
    except (OSError, ValueError):
        return {"services": []}
    return document


def end_leftovers(state: StateFolder) -> None:
    """Kills parts that outlived a killed supervisor, where the operating system did not do so (it does on Linux)."""
    for service in read_status(state)["services"]:
        if service.get("pid") is None:
            continue
        try:
            process = psutil.Process(service["pid"])
            # The number alone could by now be somebody else's.
            if process.create_time() == service.get("process_created"):
                process.kill()
                process.wait(10)
        except (psutil.Error, psutil.TimeoutExpired):
            continue


def describe_runs(runs: Iterable[PartRun]) -> list[dict[str, Any]]:
    """One JSON object a part."""
    return [_describe(run) for run in runs]


def _describe(run: PartRun) -> dict[str, Any]:
    return {
        "name": run.part.name,
        "kind": run.part.kind,
        "state": run.state,
        "pid": run.pid,
        "process_created": _created(run.pid),
        "port": run.part.port,
        "restarts": run.restarts,
        "since": run.since.isoformat(timespec="milliseconds"),
        "log": str(run.part.log_path),
    }


def _created(pid: int | None) -> float | None:
    try:
        return psutil.Process(pid).create_time() if pid is not None else None
    except psutil.Error:
        return None
