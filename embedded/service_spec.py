"""How an application service describes itself to the embedded stack."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from embedded.endpoints import Endpoints
from embedded.parts import Part
from embedded.probes import AliveProbe, HttpProbe, Probe
from embedded.state_folder import StateFolder

INFRASTRUCTURE = ("kafka", "registry", "postgres", "valkey")


@dataclass(frozen=True)
class ServiceSpec:
    """A `vitals …` command, or any other program, that runs as part of the stack.

    argv: `("vitals", "rollup")` runs with this Python. ports: names of ports it needs, each handed over as
    `VITALS_<NAME>_PORT` (`api` becomes VITALS_API_PORT). Every service also gets a port for metrics and health,
    VITALS_METRICS_PORT. health_path: the path that answers 2xx when ready, on the port `health_port` (default: that of
    metrics); None means that running is enough. depends_on: parts that must be ready first. run_once: it must end
    with exit code 0 (a migration), then its dependents start. env: further settings, from the addresses of the stack.
    when: False leaves it out.
    """

    name: str
    argv: tuple[str, ...]
    ports: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = INFRASTRUCTURE
    health_path: str | None = "/healthz"
    health_port: str | None = None
    run_once: bool = False
    env: Callable[[Endpoints], Mapping[str, str]] = field(default=lambda _endpoints: {})
    when: Callable[[], bool] = field(default=lambda: True)
    stop_timeout_seconds: float = 15.0
    ready_timeout_seconds: float = 90.0

    @property
    def metrics_port_name(self) -> str:
        """Name of the port for metrics and health."""
        return f"{self.name}-metrics"

    @property
    def port_names(self) -> tuple[str, ...]:
        """All ports it needs; a command that runs once serves none of its own."""
        return self.ports if self.run_once else (*self.ports, self.metrics_port_name)

    def part(self, state: StateFolder, endpoints: Endpoints) -> Part:
        """The process that the supervisor runs."""
        ports = endpoints.ports
        argv = (sys.executable, "-m", *self.argv) if self.argv[0] == "vitals" else self.argv
        handed_over = {f"VITALS_{name.upper().replace('-', '_')}_PORT": str(ports[name]) for name in self.ports}
        if not self.run_once:
            handed_over["VITALS_METRICS_PORT"] = str(ports[self.metrics_port_name])
        probe: Probe = AliveProbe()
        if self.health_path is not None and not self.run_once:
            probe = HttpProbe(f"http://127.0.0.1:{ports[self.health_port or self.metrics_port_name]}{self.health_path}")
        return Part(
            name=self.name,
            kind="service",
            argv=argv,
            cwd=state.path,
            log_path=state.log_file(self.name),
            probe=probe,
            env={"PYTHONUNBUFFERED": "1", "VITALS_SESSION_SECRET": state.secret("session-secret")}
            | endpoints.environment()
            | handed_over
            | dict(self.env(endpoints)),
            port=ports[self.port_names[0]] if self.port_names else None,
            depends_on=self.depends_on,
            stop_timeout_seconds=self.stop_timeout_seconds,
            ready_timeout_seconds=self.ready_timeout_seconds,
            run_once=self.run_once,
        )
