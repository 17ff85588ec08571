"""Fixtures of every suite: the data folder, and the real parts as local processes."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pydantic import SecretStr

from embedded import ports
from embedded.endpoints import Endpoints
from embedded.stack import Stack
from vitals.settings import Settings

# Timings are never asserted: on a busy machine any example may take long.
# Under CI the examples are the same in every run; whoever runs the suite by hand draws new ones, and finds more.
hypothesis_settings.register_profile(
    "untimed",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
    print_blob=True,
)
hypothesis_settings.load_profile("untimed")

# What a developer has set up in this folder is no part of a test.
os.environ.setdefault("VITALS_SETTINGS_FILE", os.devnull)

# Two processes run the suite: neither takes a port that a part of the other has for a moment not bound.
WORKER, WORKERS = os.environ.get("PYTEST_XDIST_WORKER", "gw0"), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
ports.FREE_PORTS = ports.FREE_PORTS[int(WORKER.removeprefix("gw")) :: WORKERS]

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets; required under CI, as everything that is measured is measured on them."""
    folder = (ROOT / os.environ.get("VITALS_DATA_DIR", "../shared/data")).resolve()
    if not (folder / "git_usage" / "events.csv.gz").is_file():
        if os.environ.get("CI"):
            pytest.fail(f"{folder} has no git_usage/events.csv.gz: set VITALS_DATA_DIR to the folder of data sets.")
        pytest.skip("no real data on this machine; the generated world is tested instead")
    return folder


@pytest.fixture(scope="session")
def running_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Kafka, registry, PostgreSQL and Valkey on free ports, for the whole session."""
    stack = Stack(tmp_path_factory.mktemp("stack"))
    with stack.infrastructure():
        yield stack


@pytest.fixture(scope="session")
def stack(running_stack: Stack) -> Endpoints:
    """Addresses of the four parts."""
    return running_stack.endpoints


def settings_for(endpoints: Endpoints, state_dir: Path, **more: object) -> Settings:
    """Settings that point at the given parts."""
    return Settings(
        kafka_bootstrap=endpoints.kafka_bootstrap,
        registry_url=endpoints.registry_url,
        postgres_dsn=SecretStr(endpoints.postgres_dsn),
        redis_url=SecretStr(endpoints.redis_url),
        state_dir=state_dir,
        vendor_pacing=False,
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="session")
def settings(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings that point at the session's parts."""
    return settings_for(stack, tmp_path_factory.mktemp("state"))
