"""The embedded stack: Kafka, schema registry, PostgreSQL and Valkey as local processes, with services on top.

In a pytest fixture, the four parts on free ports, without the services:

    @pytest.fixture(scope="session")
    def endpoints(tmp_path_factory):
        with Stack(tmp_path_factory.mktemp("stack")).infrastructure() as endpoints:
            yield endpoints

Fault tests keep the stack object as well: `stack.kill("kafka")`, `stack.restart("kafka")`, `stack.stop_part("valkey")`,
`stack.start_part("valkey")`. Use a stack from one thread only, one that lives as long as the stack (pytest's main
thread does): the parts end with the thread that started them. One stack for a session is enough for most tests; isolate
them by topic name, `CREATE DATABASE` (the role may) and key prefix.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from embedded import kafka, postgres, registry, valkey
from embedded.endpoints import Endpoints
from embedded.jvm import Jvm
from embedded.part_run import PartRun
from embedded.parts import Part
from embedded.ports import PortChoice, choose_ports, read_ports, write_ports
from embedded.service_spec import INFRASTRUCTURE, ServiceSpec
from embedded.state_folder import StateFolder
from embedded.status import end_leftovers, write_status
from embedded.supervisor import Supervisor
from embedded.telemetry import PORT_NAME as SUPERVISOR_PORT_NAME
from vitals.disk import require_free_space
from vitals.errors import UserError
from vitals.jars import JarCache
from vitals.java import find_java

START_NEEDS_BYTES = 500_000_000
LOG_TAIL_LINES = 15

__all__ = ["INFRASTRUCTURE", "Endpoints", "ServiceSpec", "Stack", "fetch_downloads", "log_tail"]


class Stack:
    """One stack on one state folder.

    forced_ports: ports by name that must be used. on_change is told of every part that changes its state.
    """

    def __init__(
        self,
        state_dir: Path,
        services: Sequence[ServiceSpec] = (),
        *,
        forced_ports: Mapping[str, int] | None = None,
        on_change: Callable[[PartRun], None] = lambda _run: None,
    ) -> None:
        self.state = StateFolder(Path(state_dir))
        self._services = [service for service in services if service.when()]
        self._forced_ports = forced_ports or {}
        self._on_change = on_change
        self._lock: TextIO | None = None
        self._supervisor: Supervisor | None = None
        self._endpoints: Endpoints | None = None
        self.port_choices: dict[str, PortChoice] = {}

    @property
    def endpoints(self) -> Endpoints:
        """Addresses, once prepared."""
        if self._endpoints is None:
            raise RuntimeError("the stack is not prepared yet")
        return self._endpoints

    @property
    def supervisor(self) -> Supervisor:
        """The supervisor of the parts, once prepared."""
        if self._supervisor is None:
            raise RuntimeError("the stack is not prepared yet")
        return self._supervisor

    @contextmanager
    def infrastructure(self, only: Sequence[str] = INFRASTRUCTURE) -> Iterator[Endpoints]:
        """For tests: the infrastructure alone, on free ports, as fast as it starts; stopped at the end of the block.

        only: the parts needed, `("kafka",)` say; what they depend on comes along. Data survive killed processes but not
        a power cut. Raises UserError when a part does not come up.
        """
        self.prepare(only=only, for_tests=True)
        try:
            self.start()
            yield self.endpoints
        finally:
            self.stop()

    @contextmanager
    def running(self) -> Iterator[Endpoints]:
        """For tests: infrastructure and services, with the settings of `infrastructure`."""
        self.prepare(for_tests=True)
        try:
            self.start()
            yield self.endpoints
        finally:
            self.stop()

    def prepare(self, *, only: Sequence[str] | None = None, for_tests: bool = False) -> None:
        """Locks the state folder, chooses ports, fetches what is missing and builds the parts; starts nothing yet.

        Raises UserError: already running, forced port in use, no Java, no network for the first download, disk full.
        """
        require_free_space(self.state.path, START_NEEDS_BYTES, "starting Vitals")
        self.state.create()
        self._lock = self.state.acquire()
        try:
            end_leftovers(self.state)
            self._build(only, for_tests)
        except BaseException:
            self._release()
            raise

    def start(self, *, give_up: Callable[[], bool] = lambda: False) -> None:
        """Starts the parts and waits until all are ready. Raises UserError, with the log's end, when one is not."""
        if self.supervisor.start(give_up=give_up) or give_up():
            return
        runs = self.supervisor.failed or [run for run in self.supervisor.runs.values() if not run.settled]
        name, path = runs[0].part.name, runs[0].part.log_path
        raise UserError(f"{name} did not start. The end of its log, {path}:\n{log_tail(path)}")

    def stop(self) -> None:
        """Stops everything, dependents first, and lets the state folder go."""
        try:
            if self._supervisor is not None:
                self._supervisor.stop()
        finally:
            self._release()

    def kill(self, name: str) -> None:
        """Kills a part at once (SIGKILL); it stays down."""
        self.supervisor.kill(name)

    def stop_part(self, name: str) -> None:
        """Stops one part in good order; it stays down, and its dependents keep running."""
        self.supervisor.stop([name])

    def start_part(self, name: str) -> None:
        """Starts a part that is down, on the port it had. Raises UserError when it does not become ready."""
        if not self.supervisor.start_again(name):
            path = self.supervisor.runs[name].part.log_path
            raise UserError(f"{name} did not start. The end of its log, {path}:\n{log_tail(path)}")

    def restart(self, name: str) -> None:
        """Stops a part if it runs and starts it again."""
        self.stop_part(name)
        self.start_part(name)

    def _build(self, only: Sequence[str] | None, for_tests: bool) -> None:
        wanted = _with_dependencies(INFRASTRUCTURE if only is None else only)
        services = self._services if only is None else []
        # Every infrastructure port is chosen, also of parts left out: addresses are then complete, if dead.
        names = [*kafka.PORT_NAMES, *registry.PORT_NAMES, *postgres.PORT_NAMES, *valkey.PORT_NAMES]
        names += [SUPERVISOR_PORT_NAME] if only is None else []
        names += [name for service in services for name in service.port_names]
        remembered = read_ports(self.state.ports_file)
        self.port_choices = choose_ports(
            names, forced=self._forced_ports, remembered=remembered, prefer_defaults=not for_tests
        )
        ports = {name: choice.port for name, choice in self.port_choices.items()}
        write_ports(self.state.ports_file, remembered | ports)
        endpoints = self._endpoints = Endpoints.of(self.state, ports)
        parts = self._infrastructure_parts(wanted, ports, for_tests)
        parts += [service.part(self.state, endpoints) for service in services]
        self._supervisor = Supervisor(parts, restart=not for_tests, on_change=self._changed)
        self._changed(None)

    def _infrastructure_parts(self, wanted: set[str], ports: Mapping[str, int], for_tests: bool) -> list[Part]:
        parts = []
        if wanted & {kafka.NAME, registry.NAME}:
            jvm = Jvm(find_java(), JarCache(), fast_start=for_tests)
            if kafka.NAME in wanted:
                parts.append(kafka.build(self.state, jvm, ports))
            if registry.NAME in wanted:
                parts.append(registry.build(self.state, jvm, ports))
        if postgres.NAME in wanted:
            parts.insert(0, postgres.build(self.state, ports, durable=not for_tests))
        if valkey.NAME in wanted:
            parts.append(valkey.build(self.state, ports))
        return parts

    def _changed(self, run: PartRun | None) -> None:
        write_status(self.state, self.supervisor.runs.values(), self.endpoints.ports)
        if run is not None:
            self._on_change(run)

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def fetch_downloads() -> None:
    """Downloads what the parts need and the cache does not have yet. Raises UserError without network or disk space."""
    cache = JarCache()
    cache.jars("kafka")
    cache.unpacked("registry")


def _with_dependencies(names: Sequence[str]) -> set[str]:
    unknown = set(names) - set(INFRASTRUCTURE)
    if unknown:
        raise ValueError(f"{sorted(unknown)} are not among {INFRASTRUCTURE}")
    return set(names) | ({postgres.NAME} if registry.NAME in names else set())


def log_tail(path: Path, lines: int = LOG_TAIL_LINES) -> str:
    """The last lines of a log, or a remark where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 200 * max(lines, 1) - 4096))
            text = file.read().decode(errors="replace")
    except OSError:
        return "(no log)"
    return "\n".join(text.splitlines()[-lines:])
