"""One part's life: setup, start, readiness, death, restart, stop. A state machine that never blocks for long.

The caller ticks it from one thread that lives as long as the parts may: on Linux a part is tied to the thread that
started it, and ends with it.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from embedded.backoff import RestartBackoff
from embedded.parts import Part, rotate_log
from vitals.errors import RetriableError

USER_ERROR_EXIT_CODE = 2

State = Literal["waiting", "starting", "ready", "done", "restarting", "failed", "stopping", "stopped"]

LAUNCHER = Path(__file__).with_name("launch.py")

# Infrastructure sees only these: a stray PGPORT, JAVA_TOOL_OPTIONS or QUARKUS_… must not change how it runs.
INHERITED_BY_INFRASTRUCTURE = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")


class PartRun:
    """Runs one part. Call `start` once, then `tick` until `state` says what is wanted."""

    def __init__(
        self,
        part: Part,
        *,
        restart: bool,
        on_change: Callable[["PartRun"], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.part = part
        self.state: State = "waiting"
        self.restarts = 0
        self.since = datetime.now(UTC)
        self._restart = restart
        self._on_change = on_change
        self._clock = clock
        self._backoff = RestartBackoff()
        self._process: subprocess.Popen[bytes] | None = None
        self._setup_running: int | None = None
        self._started_at = 0.0
        self._deadline = 0.0

    @property
    def pid(self) -> int | None:
        """Process id while the part's process, or its setup, lives."""
        return self._process.pid if self._process else None

    @property
    def settled(self) -> bool:
        """Whether others that need this part may start."""
        return self.state in ("ready", "done")

    def start(self) -> None:
        """Starts the setup that is still to be done, else the part itself."""
        self._started_at = self._clock()
        self._deadline = self._started_at + self.part.ready_timeout_seconds
        rotate_log(self.part.log_path)
        self._enter("starting")
        self._launch_next()

    def tick(self) -> None:
        """Moves on where something has happened since the last call."""
        match self.state:
            case "starting":
                if self._reap() is None:
                    self._check_readiness()
            case "ready" | "stopping":
                self._reap()
            case "restarting":
                if self._clock() >= self._deadline:
                    self.restarts += 1
                    self.start()
            case _:
                pass

    def request_stop(self) -> None:
        """Asks the process to end; after its time it is killed by a later tick."""
        if self._process is None:
            self._enter("stopped")
            return
        self._deadline = self._clock() + self.part.stop_timeout_seconds
        self._enter("stopping")
        # Not Popen.send_signal, which may reap the process behind the back of `_reap`.
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, self.part.stop_signal)

    def kill(self) -> None:
        """Kills the process as a fault would, without asking it first, and leaves it down."""
        self._deadline = self._clock()
        self._enter("stopping" if self._process else "stopped")
        self.kill_group()

    def give_up(self, reason: str) -> None:
        """Marks a part that was never started as failed."""
        self._note(f"not started: {reason}")
        self._enter("failed")

    def enforce_stop(self) -> None:
        """Kills a process that outstayed the time it has for stopping."""
        if self.state == "stopping" and self._clock() >= self._deadline:
            self.kill_group()

    def kill_group(self) -> None:
        """Sends SIGKILL to the process and to what it started in its group."""
        if self._process is not None:
            _signal_group(self._process.pid, signal.SIGKILL)

    def _enter(self, state: State) -> None:
        if state != self.state:
            self.state = state
            self.since = datetime.now(UTC)
            self._on_change(self)

    def _launch_next(self) -> None:
        for index, step in enumerate(self.part.setup):
            if not step.creates.exists():
                if step.partial.exists():
                    shutil.rmtree(step.partial)
                self._setup_running = index
                self._launch(step.argv)
                return
        self._setup_running = None
        self._launch(self.part.argv)

    def _launch(self, argv: Sequence[str]) -> None:
        part = self.part
        wrapper = [sys.executable, "-I", "-S", str(LAUNCHER)]
        wrapper += ["--parent", str(os.getpid()), "--death-signal", str(int(part.death_signal))]
        if part.account:
            wrapper += ["--account", part.account, *(text for path in part.reach for text in ("--reach", str(path)))]
        inherited = {
            name: value
            for name, value in os.environ.items()
            if part.kind == "service" or name in INHERITED_BY_INFRASTRUCTURE
        }
        with part.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*wrapper, "--", *argv],
                cwd=part.cwd,
                env=inherited | dict(part.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,  # Ctrl-C on the terminal reaches the supervisor only, which stops parts in order
            )

    def _check_readiness(self) -> None:
        if self._setup_running is None and not self.part.run_once and self.part.probe.ready():
            try:
                if self.part.provision is not None:
                    self.part.provision()
            except RetriableError as error:
                self._note(f"not provisioned yet: {error}")
            else:
                self._enter("ready")
                return
        if self._clock() >= self._deadline:
            self._note(f"not ready after {self.part.ready_timeout_seconds:.0f} s: killed")
            self.kill_group()

    def _reap(self) -> int | None:
        """Exit code if the process has ended since the last call, after acting on it; else None."""
        if self._process is None:
            return None
        if not _has_ended(self._process):
            return None
        _signal_group(self._process.pid, signal.SIGKILL)
        code = self._process.wait()
        self._process = None
        self._ended(code)
        return code

    def _ended(self, code: int) -> None:
        if self.state == "stopping":
            if self.part.after_stop is not None:
                self.part.after_stop(code)
            self._enter("stopped")
        elif self._setup_running is not None and code == 0:
            step = self.part.setup[self._setup_running]
            step.partial.replace(step.creates)
            self._launch_next()
        elif self.part.run_once and code == 0:
            self._enter("done")
        else:
            self._died(code)

    def _died(self, code: int) -> None:
        what = f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        # Exit code 2 is a user's mistake, which no restart mends.
        restart = self._restart and code != USER_ERROR_EXIT_CODE
        delay = self._backoff.next_delay(self._clock() - self._started_at) if restart else None
        if delay is None:
            self._note(f"{what}; not started again")
            self._enter("failed")
        else:
            self._note(f"{what}; starting again in {delay:g} s")
            self._deadline = self._clock() + delay
            self._enter("restarting")

    def _note(self, text: str) -> None:
        with self.part.log_path.open("a") as log:
            log.write(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} supervisor: {self.part.name} {text}\n")


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process has ended; leaves it a zombie where the operating system can.

    While the leader is a zombie, the number of its group cannot be given to anyone else.
    """
    if sys.platform == "darwin":
        return process.poll() is not None
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _signal_group(group: int, number: signal.Signals) -> None:
    # Nothing may be left in it; macOS says "not permitted" for a group of zombies.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
