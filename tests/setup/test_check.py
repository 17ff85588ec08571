"""`vitals connectors check` against the simulators: each thing that can be wrong is told for what it is."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from connectors.catalogue import connector_modules
from connectors.conformance import Conformance
from connectors.http import Wire
from connectors.setup.checking import CheckStep, check_connector
from connectors.simulation import generated
from connectors.simulation.clock import SourceClock
from connectors.simulation.faults import Fault
from connectors.simulation.server import create_app
from connectors.simulation.stage import Simulation
from connectors.simulation.vendors import simulators
from connectors.simulation.world import World
from tests.connectors.simulated import SIMULATOR_URL, InProcess, conformance
from vitals.clock import ManualClock
from vitals.settings import Settings

PROBED = tuple(
    name
    for name in simulators()
    if any(stream.probes() for stream in connector_modules()[name].create(Settings(simulator_url=SIMULATOR_URL)))
)
SECRETS = {
    "salesforce": {"CLIENT_ID": "vitals-demo", "CLIENT_SECRET": "sf-client-secret-demo"},
    "zendesk": {"CLIENT_ID": "cs_platform", "CLIENT_SECRET": "zd-client-secret-demo"},
    "mixpanel": {"PROJECT_ID": "3100001", "USERNAME": "vitals-demo.service-account", "SECRET": "mp-secret-demo"},
    "stripe": {"KEY": "sk_test_demo"},
    "hubspot": {"ACCESS_TOKEN": "pat-na1-demo"},
    "intercom": {"ACCESS_TOKEN": "dG9rOnZpdGFscy1kZW1v"},
    "amplitude": {"API_KEY": "amplitude-demo-us", "SECRET_KEY": "amp-secret-demo-us"},
}
"""What the simulators accept, as a person would enter it."""


@pytest.fixture(scope="module")
def world() -> World:
    return generated.generate(seed=7, accounts=4)


class Checked:
    """A simulated vendor and what a check says of it."""

    def __init__(self, world: World, transport: httpx.BaseTransport | None = None) -> None:
        self.simulation = Simulation(world, clock=SourceClock(world.history_end, paused=True, wall=lambda: 0.0))
        self.inside = InProcess(create_app(self.simulation))
        self.transport = transport or self.inside
        self.clock = ManualClock(datetime.fromtimestamp(world.history_end, UTC))

    def steps(self, name: str, settings: Settings | None = None) -> list[CheckStep]:
        wire = Wire(self.transport, sleep=lambda _: None, draw=lambda _low, high: high, attempts=2)
        settings = settings or Settings(simulator_url=SIMULATOR_URL, vendor_pacing=False)
        return list(check_connector(connector_modules()[name], settings, self.clock, wire))

    def failed(self, name: str, settings: Settings | None = None) -> CheckStep:
        """The one step that failed, with nothing after it."""
        steps = self.steps(name, settings)
        (failed,) = [step for step in steps if step.problem is not None]
        assert steps[-1] == failed
        assert failed.advice
        return failed


@pytest.fixture
def checked(world: World) -> Iterator[Callable[..., Checked]]:
    made: list[Checked] = []

    def make(transport: httpx.BaseTransport | None = None) -> Checked:
        made.append(Checked(world, transport))
        return made[-1]

    yield make
    for one in made:
        one.inside.finish()


def told(name: str) -> Conformance:
    return conformance()[name]


@pytest.fixture
def entered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Settings of a real vendor at the simulator's address, with some of them changed."""

    def enter(name: str, **changed: str) -> Settings:
        for field, value in {"URL": f"{SIMULATOR_URL}/{name}", **SECRETS[name], **changed}.items():
            monkeypatch.setenv(f"VITALS_{name.upper()}_{field}", value)
        return Settings(simulator_url="", vendor_pacing=False)

    return enter


@pytest.mark.parametrize("name", simulators())
def test_a_connector_that_is_well_has_no_problem(name: str, checked: Callable[..., Checked]) -> None:
    steps = checked().steps(name)
    assert [step for step in steps if step.problem is not None] == []
    assert [step.name for step in steps[:2]] == ["settings", "address"]


@pytest.mark.parametrize("name", SECRETS)
def test_entered_settings_are_what_is_checked(name: str, checked, entered) -> None:
    steps = checked().steps(name, entered(name))
    assert [step for step in steps if step.problem is not None] == []
    assert {"settings", "address", "clock", "credentials"} < {step.name for step in steps}
    asked = {step.name for step in steps} - {"settings", "address", "clock", "credentials", "rate limit"}
    assert asked, "no object was asked for"


def test_each_kind_of_object_that_is_read_is_asked_for(checked) -> None:
    checks = checked()
    names = {name: [step.name for step in checks.steps(name)] for name in SECRETS}
    assert {"Account", "Opportunity", "rate limit"} <= set(names["salesforce"])
    assert {"tickets", "organizations", "rate limit"} <= set(names["zendesk"])
    assert {"export"} <= set(names["mixpanel"])
    assert {"customers", "subscriptions", "invoices", "events"} <= set(names["stripe"])
    assert {"companies", "deals", "tickets", "rate limit"} <= set(names["hubspot"])
    assert {"conversations", "contacts", "companies", "rate limit"} <= set(names["intercom"])
    assert {"export"} <= set(names["amplitude"])


def test_where_hubspot_is_the_crm_its_owners_are_asked_for_too(checked) -> None:
    settings = Settings(simulator_url=SIMULATOR_URL, vendor_pacing=False, connectors="hubspot")
    assert "owners" in {step.name for step in checked().steps("hubspot", settings)}


def test_a_check_of_intercom_leaves_the_one_scroll_alone(checked) -> None:
    checks = checked()
    checks.steps("intercom")
    assert not [one for one in checks.inside.requests if "scroll" in one.url.path]


def test_an_hour_of_amplitude_without_events_is_as_good_as_one_with(checked) -> None:
    for text, status in (("no data", 404), ("The export is larger than 4GB", 400), ("gateway", 504)):
        checks = checked()
        checks.transport = Answering(checks.inside, "/api/2/export", status, text)
        assert [step for step in checks.steps("amplitude") if step.problem is not None] == []


@pytest.mark.parametrize("name", SECRETS)
def test_a_check_is_a_dozen_small_requests_at_most(name: str, checked) -> None:
    checks = checked()
    checks.steps(name)
    assert len(checks.inside.requests) <= 12


@pytest.mark.parametrize("name", SECRETS)
def test_missing_settings_are_named_and_nothing_is_sent(name: str, checked) -> None:
    checks = checked()
    failed = checks.failed(name, Settings(simulator_url=""))
    assert failed.name == "settings"
    assert f"VITALS_{name.upper()}_" in str(failed.problem)
    assert f"vitals connectors add {name}" in failed.advice
    assert not checks.inside.requests


@pytest.mark.parametrize(
    ("name", "field"),
    [
        *(("salesforce", "CLIENT_SECRET"), ("zendesk", "CLIENT_SECRET"), ("mixpanel", "SECRET"), ("stripe", "KEY")),
        *(("hubspot", "ACCESS_TOKEN"), ("intercom", "ACCESS_TOKEN"), ("amplitude", "SECRET_KEY")),
    ],
)
def test_a_wrong_secret_is_a_matter_of_credentials_and_is_not_repeated(name: str, field: str, checked, entered) -> None:
    failed = checked().failed(name, entered(name, **{field: "wrong-and-secret"}))
    assert failed.name == "credentials"
    assert f"VITALS_{name.upper()}_{field}" in failed.advice
    assert "wrong-and-secret" not in f"{failed.problem}{failed.advice}"


@pytest.mark.parametrize("name", PROBED)
def test_a_token_that_is_expired_is_renewed_once_and_then_told(name: str, checked) -> None:
    checks = checked()
    checks.simulation.faults.order(Fault(vendor=name, kind="expire_token", path="/", after=1))
    assert [step for step in checks.steps(name) if step.problem is not None] == []
    checks.simulation.faults.order(Fault(vendor=name, kind="expire_token", path="/", after=1, count=99))
    assert checks.failed(name).name == "credentials"


class Answering(httpx.BaseTransport):
    """Passes requests on, except that those whose path holds `part` get a fixed answer."""

    def __init__(self, inside: httpx.BaseTransport, part: str, status: int, text: str) -> None:
        self._inside, self._part, self._answer = inside, part, (status, text)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self._part in f"{request.url}":
            return httpx.Response(self._answer[0], text=self._answer[1], request=request)
        return self._inside.handle_request(request)


@pytest.mark.parametrize(
    ("name", "part", "object_name", "grant"),
    [
        ("salesforce", "FROM+Opportunity", "Opportunity", "read access to Opportunity"),
        ("zendesk", "/organizations.json", "organizations", "scope `read`"),
        ("mixpanel", "/export", "export", "access to the project"),
        ("stripe", "/v1/subscriptions", "subscriptions", "read permission on subscriptions"),
        ("hubspot", "/crm/objects/2026-09/deals", "deals", "scope `crm.objects.deals.read`"),
        ("intercom", "/contacts/search", "contacts", "read and list users"),
        ("amplitude", "/api/2/export", "export", "access to the project"),
    ],
)
def test_a_missing_permission_names_the_object_and_what_to_grant(
    name: str, part: str, object_name: str, grant: str, checked
) -> None:
    checks = checked()
    checks.transport = Answering(checks.inside, part, 403, '{"error": "insufficient permissions"}')
    steps = checks.steps(name)
    (failed,) = [step for step in steps if step.problem is not None]
    assert failed.name == object_name
    assert "403" in str(failed.problem)
    assert "insufficient permissions" in str(failed.problem)
    assert grant in failed.advice
    assert "credentials" in {step.name for step in steps if step.problem is None}


class NoNetwork(httpx.BaseTransport):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Name or service not known", request=request)


@pytest.mark.parametrize("name", PROBED)
def test_no_network_is_told_as_such(name: str, checked) -> None:
    failed = checked(NoNetwork()).failed(name)
    assert failed.name == "address"
    assert "Name or service not known" in str(failed.problem)
    assert "network" in failed.advice


@pytest.mark.parametrize("name", SECRETS)
def test_an_address_that_is_not_the_vendors_is_named(name: str, checked, entered) -> None:
    checks = checked()
    if name != "amplitude":  # its 404 says that an hour has no events
        failed = checks.failed(name, entered(name, URL=f"{SIMULATOR_URL}/nobody"))
        assert failed.name == "address"
        assert f"VITALS_{name.upper()}_URL" in failed.advice
    checks.transport = httpx.HTTPTransport()
    failed = checks.failed(name, entered(name, URL="ftp://example.com"))
    assert (failed.name, "not an http address" in str(failed.problem)) == ("address", True)
    checks.transport = Answering(checks.inside, "/nobody", 200, "<html>Welcome</html>")
    failed = checks.failed(name, entered(name, URL=f"{SIMULATOR_URL}/nobody"))
    assert f"VITALS_{name.upper()}_URL" in failed.advice


def test_a_clock_that_is_wrong_is_told_and_the_rest_is_checked_all_the_same(checked) -> None:
    checks = checked()
    checks.clock.advance(timedelta(minutes=11))
    steps = checks.steps("zendesk")
    (failed,) = [step for step in steps if step.problem is not None]
    assert failed.name == "clock"
    assert "660 s" in str(failed.problem)
    assert {"credentials", "tickets"} <= {step.name for step in steps}


def test_a_used_up_rate_limit_is_told_with_the_time_to_wait(checked) -> None:
    checks = checked()
    path = told("zendesk").data_path
    checks.simulation.faults.order(Fault(vendor="zendesk", kind="rate_limit", path=path, count=9, retry_after=93.0))
    failed = checks.failed("zendesk")
    assert "93 s" in failed.advice


def test_what_only_receives_has_nothing_to_ask(checked) -> None:
    (step,) = checked().steps("collect")
    assert step.problem is None
