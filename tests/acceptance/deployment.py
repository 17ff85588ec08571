"""A running Vitals as its users see it: the API, the collect endpoint and the simulators' controls, over HTTP only."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.conftest import settings_for
from tests.faults.pipeline import Pipeline
from vitals.settings import Settings

WRITE_KEY = "dev-write-key"
GENEROUS_SECONDS = 120.0
"""How long anything may take before a test gives up: no test asserts on time."""

FATES = ("counted", "duplicates", "late", "quarantined", "dead_lettered")

Value = TypeVar("Value")


def eventually(
    read: Callable[[], Value], accept: Callable[[Value], bool], what: str, timeout_seconds: float = GENEROUS_SECONDS
) -> Value:
    """The first reading that is accepted; fails with the last one when there is none in time."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        value = read()
        if accept(value):
            return value
        assert time.monotonic() < deadline, f"Not within {timeout_seconds:.0f} s: {what}. The last reading: {value!r}"
        time.sleep(0.1)


class Deployment:
    """The pipeline of a test, signed in with the first user's password."""

    def __init__(self, pipeline: Pipeline) -> None:
        endpoints = pipeline.stack.endpoints
        self._stack = pipeline.stack
        self.settings: Settings = settings_for(endpoints, endpoints.state_dir)
        self.url = f"http://127.0.0.1:{endpoints.ports['api']}"
        self._collect = f"http://127.0.0.1:{endpoints.ports['collect']}"
        self._simulators = f"http://127.0.0.1:{endpoints.ports['simulators']}"
        self._pids = {name: run.pid for name, run in self._stack.supervisor.runs.items()}
        link, or_as = (Path(endpoints.state_dir) / "sign-in").read_text().splitlines()
        self.one_time_link = link
        self.email, _, self.password = or_as.strip().removeprefix("or as ").partition(" with the password ")
        self._http = httpx.Client(timeout=30.0)
        body = {"email": self.email, "password": self.password}
        signed_in = self._http.post(f"{self.url}/v1/auth/login", json=body).raise_for_status().json()
        self._bearer = {"Authorization": f"Bearer {signed_in['access_token']}"}

    def get(self, path: str, **parameters: str | int) -> Any:
        """An answer of the API, of `/v1/` and a path."""
        answer = self._http.get(f"{self.url}/v1/{path}", params=parameters, headers=self._bearer)
        return answer.raise_for_status().json()

    def account(self, account_id: str) -> Any:
        """One account with its contributions."""
        return self.get(f"accounts/{account_id}")

    def signal(self, account: Any, name: str) -> Any:
        """One signal's part of an account's score."""
        return next(part for part in account["contributions"] if part["signal"] == name)

    def figures(self) -> dict[str, int]:
        """What became of every event so far."""
        answer = self.get("pipeline")
        return {name: answer[name] for name in ("events_in", *FATES)}

    def await_figures(self, before: dict[str, int], **more: int) -> None:
        """Waits until the figures are those of before and what is named here, neither more nor less."""
        expected = before | {name: before[name] + added for name, added in more.items()}
        eventually(self.figures, lambda figures: figures == expected, f"figures {expected}")

    def set_speed(self, speed: float) -> None:
        """Source seconds a wall second, from now on."""
        self._simulate("clock", {"speed": speed})

    def inject(self, **item: object) -> None:
        """An item into the simulated vendors, at the source time of now."""
        self._simulate("inject", item)

    def track(self, **call: object) -> None:
        """A `track` call to the collect endpoint; it returns once the event is committed."""
        self._http.post(f"{self._collect}/v1/track", json=call, auth=(WRITE_KEY, "")).raise_for_status()

    def assert_undisturbed(self) -> None:
        """Every process is the one that was started, and says that it is ready."""
        self._stack.supervisor.tick()
        for name, run in self._stack.supervisor.runs.items():
            assert (name, run.state, run.restarts) == (name, "done" if run.part.run_once else "ready", 0)
            assert run.pid == self._pids[name], name
            assert run.part.run_once or run.part.probe.ready(), f"{name} is not ready any more"

    def _simulate(self, control: str, body: object) -> None:
        self._http.post(f"{self._simulators}/_sim/{control}", json=body).raise_for_status()
