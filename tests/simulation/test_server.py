"""What all simulated vendors share: source time, faults, controls, injected items, and the command."""

from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from connectors.simulation.calendar import epoch
from connectors.simulation.cli import simulate
from connectors.simulation.clock import SourceClock
from connectors.simulation.faults import Fault
from connectors.simulation.stage import Simulation
from connectors.simulation.vendors import simulators
from connectors.simulation.world import World
from tests.connectors.simulated import conformance
from tests.simulation.conftest import STRIPE, Wall, client_of, salesforce_token, zendesk_token
from vitals.errors import UserError

ANY_PATH = {name: f"/{name}{told.any_path}" for name, told in conformance().items()}


def ask(client: TestClient, vendor: str) -> Any:
    headers = {"stripe": STRIPE, "zendesk": zendesk_token(client)}.get(vendor, {}) if vendor != "salesforce" else {}
    return client.get(ANY_PATH[vendor], headers=headers)


@pytest.mark.parametrize("vendor", simulators())
def test_the_date_of_every_answer_is_source_time(client: TestClient, simulation: Simulation, vendor: str) -> None:
    simulation.clock.change(advance_to=epoch("2026-11-05T06:07:08"))
    for answer in (client.get(ANY_PATH[vendor]), client.get(f"/{vendor}/nothing")):
        assert answer.headers.get_list("date") == ["Thu, 05 Nov 2026 06:07:08 GMT"]
        assert parsedate_to_datetime(answer.headers["date"]).timestamp() == simulation.clock.now()


@pytest.mark.parametrize("vendor", simulators())
def test_ordered_server_errors_end_after_their_count(client: TestClient, vendor: str) -> None:
    usual = client.get(ANY_PATH[vendor]).status_code
    client.post("/_sim/faults", json={"vendor": vendor, "kind": "server_error", "count": 2, "status": 502, "after": 1})
    assert [client.get(ANY_PATH[vendor]).status_code for _ in range(4)] == [usual, 502, 502, usual]
    assert client.get("/_sim/faults").json() == {"items": []}


def test_an_ordered_406_has_an_empty_body_and_a_503_is_html(client: TestClient, simulation: Simulation) -> None:
    simulation.faults.order(Fault("salesforce", "server_error", status=406))
    answer = client.get(ANY_PATH["salesforce"])
    assert (answer.status_code, answer.content) == (406, b"")
    simulation.faults.order(Fault("salesforce", "server_error", retry_after=3))
    answer = client.get(ANY_PATH["salesforce"])
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["retry-after"] == "3"


@pytest.mark.parametrize("vendor", simulators())
def test_an_ordered_throttle_is_the_vendors_own(client: TestClient, vendor: str) -> None:
    client.post("/_sim/faults", json={"vendor": vendor, "kind": "rate_limit", "retry_after": 7})
    answer = client.get(ANY_PATH[vendor])
    assert answer.status_code == conformance()[vendor].throttle_status
    if vendor in ("salesforce", "mixpanel", "amplitude", "stripe"):  # they do not tell when to come back
        assert "retry-after" not in answer.headers
    if vendor == "zendesk":
        assert answer.headers["retry-after"] == "7"


def test_a_throttle_without_a_hint(client: TestClient, simulation: Simulation) -> None:
    simulation.faults.order(Fault("zendesk", "rate_limit"))
    assert "retry-after" not in client.get(ANY_PATH["zendesk"]).headers


@pytest.mark.parametrize("kind", ["truncate", "corrupt"])
def test_a_damaged_body_under_200(client: TestClient, simulation: Simulation, kind: str) -> None:
    whole = ask(client, "stripe")
    simulation.faults.order(Fault("stripe", kind, path="/v1/customers"))
    damaged = ask(client, "stripe")
    assert damaged.status_code == 200
    assert damaged.content != whole.content
    with pytest.raises(ValueError):
        damaged.json()
    assert ask(client, "stripe").content == whole.content


def test_a_connection_that_drops(client: TestClient, simulation: Simulation) -> None:
    simulation.faults.order(Fault("stripe", "drop"))
    with pytest.raises(ConnectionAbortedError):
        ask(client, "stripe")
    assert ask(client, "stripe").status_code == 200


def test_tokens_expire_in_the_middle_of_a_walk(client: TestClient, simulation: Simulation) -> None:
    session = salesforce_token(client)
    simulation.faults.order(Fault("salesforce", "expire_token"))
    limits = "/salesforce/services/data/v67.0/limits"
    renewed = salesforce_token(client)  # asking for a token does not use the order up
    assert client.get(limits, headers=session).json()[0]["errorCode"] == "INVALID_SESSION_ID"
    assert client.get(limits, headers=renewed).status_code == 401
    assert client.get(limits, headers=salesforce_token(client)).status_code == 200


def test_salesforces_concurrency_limit(client: TestClient, simulation: Simulation) -> None:
    simulation.faults.order(Fault("salesforce", "concurrent"))
    answer = client.get("/salesforce/services/data/v67.0/limits", headers=salesforce_token(client))
    assert answer.status_code == 403
    assert answer.json()[0]["message"].startswith("ConcurrentRequests")


@pytest.mark.parametrize(
    "order",
    [
        {"vendor": "oracle", "kind": "slow"},
        {"vendor": "stripe", "kind": "terminated_early"},
        {"vendor": "stripe", "kind": "slow", "count": 0},
        {"vendor": "stripe", "kind": "server_error", "status": 200},
        {"vendor": "stripe", "kind": "slow", "colour": "red"},
        {"vendor": "stripe"},
        {"vendor": "stripe", "kind": "slow", "count": "many"},
        [],
    ],
)
def test_orders_that_cannot_be(client: TestClient, order: Any) -> None:
    answer = client.post("/_sim/faults", json=order)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_orders_can_be_withdrawn(client: TestClient) -> None:
    client.post("/_sim/faults", json={"vendor": "stripe", "kind": "slow", "seconds": 60})
    assert len(client.get("/_sim/faults").json()["items"]) == 1
    assert client.delete("/_sim/faults").status_code == 204
    assert client.get("/_sim/faults").json()["items"] == []


def test_the_clock_is_told_and_changed(client: TestClient, wall: Wall) -> None:
    told = client.get("/_sim/clock").json()
    assert {"source_time", "speed", "history_end", "world"} <= set(told)
    assert told["source_time"] == told["history_end"] == "2026-11-01T00:00:00Z"
    changed = client.post(
        "/_sim/clock", json={"paused": False, "speed": 3600, "advance_to": "2026-11-02T00:00:00Z"}
    ).json()
    assert (changed["source_time"], changed["speed"], changed["paused"]) == ("2026-11-02T00:00:00Z", 3600, False)
    wall.seconds += 2
    assert client.get("/_sim/clock").json()["source_time"] == "2026-11-02T02:00:00Z"
    for wrong in ({"advance_to": "2020-01-01"}, {"advance_to": "soon"}, {"speed": "fast"}, {"tempo": 1}):
        assert client.post("/_sim/clock", json=wrong).status_code == 400


def test_items_arrive_as_the_clock_passes_them(client: TestClient, simulation: Simulation, world: World) -> None:
    before = client.get("/_sim/summary").json()
    simulation.clock.change(advance_to=world.history_end + 3 * 86_400)
    after = client.get("/_sim/summary").json()
    assert after["mixpanel"]["events"] > before["mixpanel"]["events"]
    assert after["zendesk"]["tickets"] > before["zendesk"]["tickets"]
    assert after["stripe"]["paid_invoices"] > before["stripe"]["paid_invoices"]


def test_injected_items_and_rotated_tokens_survive_a_restart(world: World, wall: Wall, tmp_path: Path) -> None:
    def start() -> Simulation:
        clock = SourceClock(world.history_end, speed=60, wall=wall, path=tmp_path / "clock.json")
        return Simulation(world, clock=clock, state=tmp_path, wall=wall)

    first = start()
    client = client_of(first)
    name = world.accounts[0].name
    made = [
        client.post("/_sim/inject", json=item).json()
        for item in (
            {"kind": "payment_failed", "account": name},
            {"kind": "ticket_opened", "account": name, "priority": "urgent"},
            {"kind": "feature_used", "account": "nobody we know"},
        )
    ]
    assert (
        client.post("/_sim/inject", json={"kind": "ticket_solved", "ticket": made[1]["ids"]["ticket"]}).status_code
        == 201
    )
    rotated = first.tokens.rotate("zendesk", "zd-refresh-")
    counts = client.get("/_sim/summary").json()
    wall.seconds += 100
    second = start()
    again = client_of(second)
    assert second.tokens.refresh_token("zendesk", "first") == rotated
    assert second.clock.now() >= first.clock.now() - 60 * 100
    for vendor, kind in (("zendesk", "tickets"), ("mixpanel", "events_of_unknown"), ("stripe", "failed_payments")):
        assert again.get("/_sim/summary").json()[vendor][kind] >= counts[vendor][kind]
    invoice = made[0]["ids"]["invoice"]
    assert again.get(f"/stripe/v1/invoices/{invoice}", headers=STRIPE).json()["status"] == "open"


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"kind": "merger"},
        {"kind": "payment_failed", "account": "nobody"},
        {"kind": "seat_change", "account": "", "seats": "two"},
        {"kind": "ticket_solved", "ticket": 5},
        {"kind": "invoice_paid", "invoice": "in_x"},
        {"kind": "feature_used", "at": 5},
    ],
)
def test_items_that_cannot_be_injected(client: TestClient, item: dict[str, Any]) -> None:
    answer = client.post("/_sim/inject", json=item)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--vendors", "oracle"], "oracle"),
        (["--speed", "-1"], "--speed"),
        (["--world", "--start", "soon"], "--start"),
        (["--world", "--data", "."], "not both"),
        (["--data", "/nonexistent"], "does not exist"),
        (["--data", ".", "--accounts", "9"], "add --world"),
    ],
)
def test_the_command_names_what_is_wrong(arguments: list[str], said: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(simulate, [*arguments, "--state", str(tmp_path)])
    assert isinstance(result.exception, UserError)
    assert said in str(result.exception)
