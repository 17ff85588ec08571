"""`vitals up` in the foreground: starts the stack, watches over it, and stops it in order when asked to."""

import signal
import time
from types import FrameType

from rich.console import Console

from embedded.display import StartProgress, show_summary, show_taken_ports
from embedded.part_run import PartRun
from embedded.stack import Stack, log_tail
from embedded.status import describe_runs
from embedded.telemetry import PORT_NAME, serve_supervisor
from vitals.errors import UserError

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Foreground:
    """Runs one stack until a stop signal arrives or its infrastructure fails."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = StartProgress(console)
        self._stop_requests = 0
        self._stack: Stack | None = None
        self._failed_infrastructure: PartRun | None = None

    def on_change(self, run: PartRun) -> None:
        """For `Stack(on_change=...)`: shows the change, and remembers infrastructure that was given up."""
        self._progress.observe(run.part.name, run.state)
        if run.state == "failed" and run.part.kind == "infrastructure":
            self._failed_infrastructure = run

    def run(self, stack: Stack) -> None:
        """Blocks until the stack has stopped. Raises UserError when it cannot start or its infrastructure failed."""
        began = time.monotonic()
        # Nothing runs yet that would have to be stopped: a signal simply ends the preparation.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        self._console.print("Starting Vitals …")
        stack.prepare()
        self._stack = stack
        for number in STOP_SIGNALS:
            signal.signal(number, self._request_stop)
        try:
            show_taken_ports(self._console, stack.port_choices)
            supervisor = stack.supervisor
            health = serve_supervisor(supervisor, stack.endpoints.ports[PORT_NAME])
            supervisor.run(lambda: self._over() or supervisor.decided)
            if not self._over():
                health.ready()
                runs = supervisor.runs.values()
                show_summary(self._console, stack.endpoints, describe_runs(runs), time.monotonic() - began)
                self._console.print("Ctrl-C or `vitals down` stops it.", highlight=False)
                supervisor.run(self._over)
        finally:
            if self._stop_requests:
                self._console.print("Stopping …")
            stack.stop()
        failed = self._failed_infrastructure
        if failed is not None and not self._stop_requests:
            path = failed.part.log_path
            raise UserError(f"{failed.part.name} keeps failing. The end of its log, {path}:\n{log_tail(path)}")

    def _over(self) -> bool:
        return self._stop_requests > 0 or self._failed_infrastructure is not None

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._stop_requests += 1
        if self._stop_requests > 1 and self._stack is not None:
            # Asked twice, so it is urgent.
            for run in self._stack.supervisor.runs.values():
                run.kill_group()
