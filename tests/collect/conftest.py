"""The collect endpoint as its own process on the session's real parts."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import httpx
import pytest
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from schemas.bootstrap import bootstrap
from vitals.settings import Settings

WRITE_KEY = "dev-write-key"


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """The environment of a `vitals` process that uses the session's parts."""
    return {name: value for name, value in os.environ.items() if not name.startswith("VITALS_")} | {
        "VITALS_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "VITALS_REGISTRY_URL": settings.registry_url,
        "VITALS_POSTGRES_DSN": settings.postgres_dsn.get_secret_value(),
        "VITALS_STATE_DIR": str(settings.state_dir),
        **more,
    }


class CollectProcess:
    """`vitals collect` that can be killed and started again on the same port."""

    def __init__(self, settings: Settings, log: Path, **more: str) -> None:
        self.port, self._metrics_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = environment(
            settings,
            VITALS_COLLECT_PORT=str(self.port),
            VITALS_METRICS_PORT=str(self._metrics_port),
            **{"VITALS_CONNECTORS": "collect", **more},
        )
        self._log = log
        self._http = httpx.Client(timeout=30.0)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and waits until it is ready."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "vitals", "collect"], env=self._environment, stderr=log, stdout=log
            )
        self._await_ready()

    @retry(
        retry=retry_if_exception_type((httpx.HTTPError, ConnectionError)),
        stop=stop_after_delay(90),
        wait=wait_fixed(0.1),
    )
    def _await_ready(self) -> None:
        assert self.process is not None
        assert self.process.poll() is None, self._log.read_text()
        httpx.get(f"http://127.0.0.1:{self._metrics_port}/healthz").raise_for_status()

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def post(self, path: str, body: object, key: str | None = WRITE_KEY) -> httpx.Response:
        """One call."""
        return self._http.post(f"{self.url}/v1/{path}", json=body, auth=None if key is None else (key, ""))

    def __enter__(self) -> "CollectProcess":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()


@pytest.fixture(scope="session")
def prepared(settings: Settings) -> Settings:
    """Settings of parts that hold the topics and schemas."""
    bootstrap(settings)
    return settings


@pytest.fixture(scope="module")
def collecting(prepared: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectProcess]:
    """A collect process without an identity source: every company is its own account."""
    with CollectProcess(prepared, tmp_path_factory.mktemp("collect") / "log") as process:
        yield process
