"""The Stripe simulator against section 7 of the vendor specification."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from connectors.simulation.billing_records import customer_id
from connectors.simulation.calendar import DAY, epoch
from connectors.simulation.faults import Fault
from connectors.simulation.injection import Injection
from connectors.simulation.stage import Simulation
from connectors.simulation.vendors import declared
from connectors.simulation.world import World
from tests.simulation.conftest import STRIPE, StageAt, Wall, client_of


def get(client: TestClient, path: str, **params: Any) -> Any:
    return client.get(f"/stripe/v1/{path}", params=params, headers=STRIPE)


def walk(client: TestClient, path: str, **params: Any) -> list[dict[str, Any]]:
    """Every object of a list, newest first."""
    page = get(client, path, **params).json()
    found: list[dict[str, Any]] = page["data"]
    while page["has_more"]:
        page = get(client, path, **params, starting_after=found[-1]["id"]).json()
        found += page["data"]
    return found


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_a_list_gives_each_object_once_newest_first(client: TestClient, world: World, limit: int) -> None:
    customers = walk(client, "customers", limit=limit)
    assert len({one["id"] for one in customers}) == len(customers) == 40
    created = [one["created"] for one in customers]
    assert created == sorted(created, reverse=True)
    assert {one["metadata"]["crm_account_id"] for one in customers} == {account.crm_id for account in world.accounts}


def test_the_envelope_and_a_full_last_page(client: TestClient) -> None:
    page = get(client, "customers", limit=40).json()
    assert set(page) == {"object", "url", "has_more", "data"}
    assert (page["object"], page["url"], page["has_more"]) == ("list", "/v1/customers", False)
    assert len(get(client, "customers").json()["data"]) == 10


def test_ending_before_reads_forward(client: TestClient) -> None:
    customers = walk(client, "customers", limit=100)
    middle = customers[20]["id"]
    page = get(client, "customers", limit=5, ending_before=middle).json()
    assert page["data"] == customers[15:20]
    assert page["has_more"] is True
    assert get(client, "customers", limit=100, ending_before=middle).json()["data"] == customers[:20]


def test_bounds_on_creation(client: TestClient) -> None:
    customers = walk(client, "customers", limit=100)
    bound = customers[10]["created"]
    expected = {
        "gte": [one for one in customers if one["created"] >= bound],
        "gt": [one for one in customers if one["created"] > bound],
        "lte": [one for one in customers if one["created"] <= bound],
        "lt": [one for one in customers if one["created"] < bound],
    }
    for sign, kept in expected.items():
        assert walk(client, "customers", limit=100, **{f"created[{sign}]": bound}) == kept


def test_subscriptions_hide_canceled_ones_unless_asked(client: TestClient, world: World) -> None:
    now = world.history_end
    everything = walk(client, "subscriptions", limit=100, status="all")
    assert len(everything) == sum(one.created_at <= now for one in world.subscriptions)
    canceled = walk(client, "subscriptions", limit=100, status="canceled")
    assert canceled
    assert all(one["ended_at"] for one in canceled)
    shown = walk(client, "subscriptions", limit=100)
    assert len(shown) == len(everything) - len(canceled)
    assert {one["status"] for one in shown} <= {"active", "past_due"}


def test_a_subscription_has_its_periods_on_the_item(client: TestClient, world: World) -> None:
    one = get(client, "subscriptions", limit=1).json()["data"][0]
    item = one["items"]["data"][0]
    assert "current_period_end" not in one
    assert item["current_period_start"] == world.history_end
    assert item["current_period_end"] == epoch("2026-12-01")
    assert (item["price"]["unit_amount"], item["price"]["recurring"]["interval"]) == (10_000, "month")
    assert item["quantity"] > 0
    assert get(client, f"subscriptions/{one['id']}").json() == one


def test_an_invoice_names_its_subscription_in_parent_and_its_seats_in_a_line(client: TestClient, world: World) -> None:
    invoice = get(client, "invoices", limit=1, status="paid").json()["data"][0]
    subscription = invoice["parent"]["subscription_details"]["subscription"]
    line = invoice["lines"]["data"][0]
    assert "subscription" not in invoice
    unit = int(line["pricing"]["unit_amount_decimal"])
    assert unit in (6_000, 10_000, 15_000)
    assert line["quantity"] * unit == line["amount"] == invoice["total"] == invoice["amount_paid"]
    assert line["period"] == {"start": invoice["period_start"], "end": invoice["period_end"]}
    assert line["parent"]["subscription_item_details"]["subscription"] == subscription
    assert get(client, f"invoices/{invoice['id']}").json() == invoice
    assert get(client, f"invoices/{invoice['id']}/lines").json()["data"] == [line]
    assert invoice in walk(client, "invoices", limit=100, subscription=subscription)
    assert invoice in walk(client, "invoices", limit=100, customer=invoice["customer"])


def test_lists_add_up_to_the_summary(client: TestClient, world: World) -> None:
    counts = declared(world, world.history_end)["stripe"]
    invoices = walk(client, "invoices", limit=100)
    assert len(invoices) == counts["invoices"]
    paid = [one for one in invoices if one["status"] == "paid"]
    assert len(paid) == counts["paid_invoices"]
    assert sum(one["amount_paid"] for one in paid) == counts["paid_cents"]
    assert len(walk(client, "subscriptions", limit=100, status="all")) == counts["subscriptions"]


def test_an_invoice_goes_from_draft_to_open_to_paid(git_world: World, stage_at: StageAt) -> None:
    invoice = git_world.invoices[-1]
    simulation = stage_at(git_world, invoice.created_at - 1)
    client = client_of(simulation)
    assert get(client, f"invoices/{invoice.invoice_id}").status_code == 404
    states = []
    for second in (0, 2, 5):
        simulation.clock.change(advance_to=invoice.created_at + second)
        states.append(get(client, f"invoices/{invoice.invoice_id}").json()["status"])
    assert states == ["draft", "open", "paid"]
    kinds = [
        one["type"] for one in walk(client, "events", limit=100) if one["data"]["object"]["id"] == invoice.invoice_id
    ]
    assert sorted(kinds) == ["invoice.created", "invoice.finalized", "invoice.paid", "invoice.payment_succeeded"]
    assert kinds[-1] == "invoice.created"


def test_events_reach_back_thirty_days(client: TestClient, simulation: Simulation, world: World) -> None:
    events = walk(client, "events", limit=100)
    now = world.history_end
    assert events
    assert all(now - 30 * DAY <= one["created"] <= now for one in events)
    oldest = events[-1]
    assert get(client, f"events/{oldest['id']}").json() == oldest
    simulation.clock.change(advance_to=oldest["created"] + 30 * DAY + 1)
    assert get(client, f"events/{oldest['id']}").status_code == 404
    refused = get(client, "events", ending_before=oldest["id"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "resource_missing")


def test_events_replay_to_the_present_state(world: World, stage_at: StageAt) -> None:
    simulation = stage_at(world, world.history_end)
    client = client_of(simulation)
    before = {one["id"]: one for one in walk(client, "subscriptions", limit=100, status="all")}
    since = simulation.clock.now_seconds()
    simulation.clock.change(advance_to=since + 29 * DAY)
    types = [f"customer.subscription.{what}" for what in ("created", "updated", "deleted")]
    changes = walk(client, "events", **{"limit": 100, "created[gt]": since, "types[]": types})
    assert {one["type"] for one in changes} <= set(types)
    for event in reversed(changes):
        before[event["data"]["object"]["id"]] = event["data"]["object"]
    after = {one["id"]: one for one in walk(client, "subscriptions", limit=100, status="all")}
    assert {name: (one["status"], one["items"]["data"][0]["quantity"]) for name, one in before.items()} == {
        name: (one["status"], one["items"]["data"][0]["quantity"]) for name, one in after.items()
    }


def test_event_filters(client: TestClient) -> None:
    everything = walk(client, "events", limit=100)
    wildcard = walk(client, "events", limit=100, type="invoice.*")
    assert wildcard == [one for one in everything if one["type"].startswith("invoice.")]
    two = walk(client, "events", **{"limit": 100, "types[]": ["invoice.paid", "customer.created"]})
    assert two == [one for one in everything if one["type"] in ("invoice.paid", "customer.created")]
    assert get(client, "events", **{"types[]": [f"type.{number}" for number in range(21)]}).status_code == 400
    assert get(client, "events", **{"type": "a", "types[]": ["b"]}).status_code == 400


def test_a_failed_payment_and_its_payment(client: TestClient, simulation: Simulation, world: World) -> None:
    account = next(one for one in world.accounts if world.seats.users[one.index, -3] > 0)
    at, ids = simulation.inject(Injection(kind="payment_failed", account=account.external_id))
    assert get(client, f"invoices/{ids['invoice']}").json()["status"] == "open"
    assert get(client, f"subscriptions/{ids['subscription']}").json()["status"] == "past_due"
    assert get(client, f"customers/{ids['customer']}").json()["delinquent"] is True
    kinds = [one["type"] for one in walk(client, "events", **{"limit": 100, "created[gte]": at})]
    assert {"invoice.payment_failed", "customer.subscription.updated"} <= set(kinds)
    simulation.clock.change(advance_to=at + 60)
    simulation.inject(Injection(kind="invoice_paid", invoice=ids["invoice"]))
    invoice = get(client, f"invoices/{ids['invoice']}").json()
    assert (invoice["status"], invoice["attempt_count"]) == ("paid", 2)
    assert invoice["status_transitions"]["paid_at"] == at + 60
    assert get(client, f"subscriptions/{ids['subscription']}").json()["status"] == "active"
    newest = walk(client, "events", **{"limit": 100, "created[gte]": at + 60})
    updated = next(one for one in newest if one["type"] == "customer.subscription.updated")
    assert updated["data"]["previous_attributes"]["status"] == "past_due"


def test_a_seat_change_and_a_cancellation(client: TestClient, simulation: Simulation, world: World) -> None:
    account = next(one for one in world.accounts if world.seats.users[one.index, -3] > 0)
    at, ids = simulation.inject(Injection(kind="seat_change", account=account.crm_id, seats=77))
    one = get(client, f"subscriptions/{ids['subscription']}").json()
    assert one["items"]["data"][0]["quantity"] == 77
    simulation.clock.change(advance_to=at + 5)
    simulation.inject(Injection(kind="seat_change", account=account.crm_id, seats=0))
    one = get(client, f"subscriptions/{ids['subscription']}").json()
    assert (one["status"], one["canceled_at"], one["ended_at"]) == ("canceled", at + 5, at + 5)
    simulation.clock.change(advance_to=at + 10)
    _, new = simulation.inject(Injection(kind="seat_change", account=account.crm_id, seats=3))
    assert new["subscription"] != ids["subscription"]
    mine = {ids["subscription"], new["subscription"]}
    events = walk(client, "events", **{"limit": 100, "created[gte]": at + 5})
    kinds = [one["type"] for one in events if one["data"]["object"]["id"] in mine]
    assert kinds == ["customer.subscription.created", "customer.subscription.deleted"]


@pytest.mark.parametrize(
    ("path", "params", "status", "code"),
    [
        ("customers", {"limit": 0}, 400, "parameter_invalid_integer"),
        ("customers", {"limit": 101}, 400, "parameter_invalid_integer"),
        ("customers", {"limit": "x"}, 400, "parameter_invalid_integer"),
        ("customers", {"colour": "red"}, 400, "parameter_unknown"),
        ("customers", {"starting_after": "cus_x"}, 400, "resource_missing"),
        ("customers/cus_x", {}, 404, "resource_missing"),
        ("subscriptions/sub_x", {}, 404, "resource_missing"),
        ("invoices/in_x", {}, 404, "resource_missing"),
        ("events/evt_x", {}, 404, "resource_missing"),
    ],
)
def test_errors(client: TestClient, path: str, params: dict[str, Any], status: int, code: str) -> None:
    answer = get(client, path, **params)
    body = answer.json()["error"]
    assert (answer.status_code, body["type"], body["code"]) == (status, "invalid_request_error", code)


def test_keys(client: TestClient) -> None:
    assert client.get("/stripe/v1/customers").status_code == 401
    refused = client.get("/stripe/v1/customers", headers={"Authorization": "Bearer sk_test_x"})
    assert refused.json()["error"]["message"].startswith("Invalid API Key provided")
    assert client.get("/stripe/v1/customers", auth=("sk_test_demo", "")).status_code == 200


def test_headers_of_every_answer(client: TestClient) -> None:
    answer = client.get("/stripe/v1/customers", headers={**STRIPE, "Stripe-Version": "2026-01-28.clover"})
    assert answer.headers["stripe-version"] == "2026-01-28.clover"
    assert answer.headers["request-id"].startswith("req_")
    assert get(client, "customers/x").headers["request-id"] != answer.headers["request-id"]


def test_twenty_five_a_second(client: TestClient, simulation: Simulation, wall: Wall) -> None:
    simulation.rate_limits = True
    statuses = [get(client, "customers", limit=1).status_code for _ in range(26)]
    assert statuses == [200] * 25 + [429]
    refused = get(client, "customers")
    assert refused.headers["stripe-rate-limited-reason"] == "endpoint-rate"
    assert refused.json()["error"]["code"] == "rate_limit"
    assert "retry-after" not in refused.headers
    assert get(client, "invoices").headers["stripe-rate-limited-reason"] == "global-rate"
    wall.seconds += 1
    assert get(client, "customers").status_code == 200


def test_a_lock_has_no_reason_header(client: TestClient, simulation: Simulation) -> None:
    simulation.faults.order(Fault("stripe", "lock_timeout"))
    refused = get(client, "customers")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "lock_timeout")
    assert "stripe-rate-limited-reason" not in refused.headers


def test_the_customer_of_an_account_is_stable(client: TestClient, world: World) -> None:
    account = world.accounts[0]
    one = get(client, f"customers/{customer_id(account)}").json()
    assert (one["name"], one["created"]) == (account.name, account.first_activity_at)
