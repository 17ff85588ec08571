"""Worlds, a stage with clocks that tests move, and a client for each vendor without a network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from connectors.simulation import generated, git_usage
from connectors.simulation.clock import SourceClock
from connectors.simulation.server import create_app
from connectors.simulation.stage import Simulation
from connectors.simulation.world import World


class Wall:
    """A wall clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def wall() -> Wall:
    """The wall clock of a test."""
    return Wall()


@pytest.fixture(scope="session")
def world() -> World:
    """A generated world of forty accounts."""
    return generated.generate(seed=7, accounts=40)


@pytest.fixture(scope="session")
def git_world(data_dir: Path) -> World:
    """The world of the real data."""
    return git_usage.load(data_dir)


@pytest.fixture
def simulation(world: World, wall: Wall) -> Simulation:
    """A stage whose source time stands at the end of the generated world's history."""
    return Simulation(world, clock=SourceClock(world.history_end, paused=True, wall=wall), wall=wall)


def client_of(simulation: Simulation) -> TestClient:
    """All vendors of a stage under one address."""
    return TestClient(create_app(simulation), base_url="http://simulator.test")


@pytest.fixture
def client(simulation: Simulation) -> TestClient:
    """All vendors of the test's stage under one address."""
    return client_of(simulation)


def salesforce_token(client: TestClient) -> dict[str, str]:
    """A header with a fresh session."""
    form = {
        "grant_type": "client_credentials",
        "client_id": "vitals-demo",
        "client_secret": "sf-client-secret-demo",
    }
    answer = client.post("/salesforce/services/oauth2/token", data=form)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def zendesk_token(client: TestClient) -> dict[str, str]:
    """A header with a fresh access token."""
    body = {
        "grant_type": "client_credentials",
        "client_id": "cs_platform",
        "client_secret": "zd-client-secret-demo",
        "scope": "read",
    }
    answer = client.post("/zendesk/oauth/tokens", json=body)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


STRIPE = {"Authorization": "Bearer sk_test_demo"}
AMPLITUDE = ("amplitude-demo-us", "amp-secret-demo-us")
MIXPANEL = ("vitals-demo.service-account", "mp-secret-demo")

StageAt = Callable[[World, int], Simulation]


@pytest.fixture
def stage_at(wall: Wall) -> StageAt:
    """Makes a stage whose source time stands at a given second."""
    return lambda world, at: Simulation(world, clock=SourceClock(at, paused=True, wall=wall), wall=wall)


def walk_of_events(client: TestClient, since: int) -> list[dict[str, Any]]:
    """Stripe's events after a second, oldest first."""
    found: list[dict[str, Any]] = []
    asked: dict[str, Any] = {"created[gt]": since, "limit": 100}
    while True:
        page = client.get("/stripe/v1/events", params=asked, headers=STRIPE).json()
        found += page["data"]
        if not page["has_more"]:
            return found[::-1]
        asked["starting_after"] = found[-1]["id"]
