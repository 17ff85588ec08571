"""`vitals up --detach` and `vitals down`: a supervisor in a session of its own, and how to end it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from rich.console import Console

from embedded.display import DETACHED, StartProgress, show_summary
from embedded.endpoints import Endpoints
from embedded.stack import log_tail
from embedded.state_folder import StateFolder
from embedded.status import end_leftovers, read_status
from vitals.errors import UserError

POLL_SECONDS = 0.1
START_TIMEOUT_SECONDS = 300.0


def start_detached(state: StateFolder, up_arguments: Sequence[str], console: Console) -> None:
    """Starts `vitals up` with these arguments as a daemon and returns once all is ready.

    Raises UserError when it ends early, or when a part was given up (the others then go on).
    """
    began = time.monotonic()
    log_path = state.log_file("supervisor")
    with log_path.open("wb") as log:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "vitals", "up", *up_arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # outlives this terminal
            env=os.environ | {DETACHED: "1"},
        )
    progress = StartProgress(console)
    try:
        while time.monotonic() - began < START_TIMEOUT_SECONDS:
            ended = daemon.poll() is not None
            status = read_status(state)
            services = status["services"] if status.get("pid") == daemon.pid else []
            for service in services:
                progress.observe(service["name"], service["state"])
            if ended:
                raise UserError(f"Vitals did not start:\n{log_tail(log_path)}")
            if services and all(service["state"] in ("ready", "done", "failed") for service in services):
                show_summary(console, Endpoints.of(state, status["ports"]), services, time.monotonic() - began)
                _refuse_failures(state, services)
                console.print("It runs in the background: `vitals status` shows it, `vitals down` stops it.")
                return
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        daemon.terminate()
        daemon.wait()
        raise
    raise UserError(
        f"Vitals is not ready after {START_TIMEOUT_SECONDS:.0f} s, and still trying: "
        f"`vitals status --state {state.path}` shows what it waits for."
    )


def _refuse_failures(state: StateFolder, services: Sequence[dict[str, str]]) -> None:
    failed = [service["name"] for service in services if service["state"] == "failed"]
    if failed:
        path = state.log_file(failed[0])
        raise UserError(
            f"{', '.join(failed)} failed and the rest goes on (`vitals down` stops it). "
            f"The end of the log of {failed[0]}, {path}:\n{log_tail(path)}"
        )


def stop_running(state: StateFolder, timeout_seconds: float) -> bool | None:
    """Stops the stack on a state folder: None when none ran, True when it ended by itself, False when it was killed."""
    pid = state.running_pid()
    if pid is None:
        return None
    try:
        os.kill(pid, signal.SIGTERM)
    except PermissionError as error:
        raise UserError(
            f"Vitals on {state.path} (pid {pid}) runs as another user: only that user can stop it."
        ) from error
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        if state.running_pid() != pid:
            return True
        time.sleep(POLL_SECONDS)
    os.kill(pid, signal.SIGKILL)
    end_leftovers(state)
    return False
