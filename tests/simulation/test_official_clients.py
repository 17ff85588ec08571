"""The vendors' own or best-known client libraries read the simulators as they would read the vendors.

What a simulator gets wrong in the same way as the connector beside it does not show anywhere else.
"""

import csv
import io
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import requests
import stripe
import uvicorn
from mixpanel_utils import MixpanelUtils
from requests.adapters import BaseAdapter
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import SalesforceExpiredSession, SalesforceMalformedRequest
from zenpy import Zenpy

from connectors.simulation.calendar import DAY, iso_day
from connectors.simulation.injection import Injection
from connectors.simulation.server import create_app
from connectors.simulation.stage import Simulation
from connectors.simulation.vendors import declared
from connectors.simulation.world import World
from tests.connectors.simulated import InProcess
from tests.simulation.conftest import client_of, salesforce_token, zendesk_token

SIMULATOR = "http://simulator.test"


class ToSimulator(BaseAdapter):
    """Carries what the library `requests` sends to any host to a simulator's mount point, in process."""

    def __init__(self, transport: InProcess, mount: str) -> None:
        super().__init__()
        self._transport = transport
        self._mount = mount

    def send(self, request: requests.PreparedRequest, **_options: Any) -> requests.Response:
        assert request.url is not None
        url = httpx.URL(request.url)
        if url.host != httpx.URL(SIMULATOR).host:
            url = httpx.URL(f"{SIMULATOR}{self._mount}{url.raw_path.decode()}")
        body = request.body if isinstance(request.body, bytes) else (request.body or "").encode()
        headers = {name: value for name, value in request.headers.items() if value is not None}
        answer = self._transport.handle_request(
            httpx.Request(request.method or "GET", url, headers=headers, content=body)
        )
        response = requests.Response()
        response.status_code, response.reason, response.request = answer.status_code, answer.reason_phrase, request
        response.headers.update(answer.headers)
        response.url, response.encoding = request.url, "utf-8"
        response.raw = io.BytesIO(answer.read())
        return response

    def close(self) -> None:
        """Nothing is held."""


Connect = Callable[[str], requests.Session]


@pytest.fixture
def connect(simulation: Simulation) -> Iterator[Connect]:
    """Sessions of `requests` whose every host is a vendor's simulator."""
    transport = InProcess(create_app(simulation))

    def session(vendor: str) -> requests.Session:
        made = requests.Session()
        for prefix in ("https://", "http://"):
            made.mount(prefix, ToSimulator(transport, f"/{vendor}"))
        return made

    yield session
    transport.finish()


@pytest.fixture
def salesforce(connect: Connect, simulation: Simulation) -> Salesforce:
    """A session with the simulated organization."""
    token = salesforce_token(client_of(simulation))["Authorization"].removeprefix("Bearer ")
    host = "https://northwind.my.salesforce.test"
    return Salesforce(instance_url=host, session_id=token, version="67.0", session=connect("salesforce"))


def test_simple_salesforce_walks_every_page(
    salesforce: Salesforce, simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.salesforce.simulator._BATCH", 200)
    now = simulation.clock.now_seconds()
    counts = declared(simulation.world, now)["salesforce"]
    for name, many in (("Account", counts["accounts"]), ("Opportunity", counts["opportunities"])):
        assert salesforce.query_all(f"SELECT Id FROM {name}")["totalSize"] == many
    cases = list(salesforce.query_all_iter("SELECT Id, ClosedDate, Subject FROM Case ORDER BY Id"))
    assert len(cases) == len({one["Id"] for one in cases}) == counts["cases"] > 200
    assert salesforce.limits()["DailyApiRequests"]["Max"] > 0
    assert {field["name"] for field in salesforce.Case.describe()["fields"]} >= {"ClosedDate", "IsClosed"}


def test_simple_salesforce_sees_deleted_records_where_it_asks_for_them(
    salesforce: Salesforce, simulation: Simulation, world: World
) -> None:
    gone, survivor = world.accounts[3], world.accounts[5]
    simulation.clock.change(advance_to=world.history_end + 60)
    simulation.inject(Injection("account_changed", account=gone.crm_id, merged_into=survivor.crm_id))
    simulation.clock.change(advance_to=world.history_end + 120)
    soql = f"SELECT Id, IsDeleted, MasterRecordId FROM Account WHERE Id = '{gone.crm_id}'"
    assert salesforce.query_all(soql)["records"] == []
    [record] = salesforce.query_all(soql, include_deleted=True)["records"]
    assert (record["IsDeleted"], record["MasterRecordId"]) == (True, survivor.crm_id)


def test_simple_salesforce_runs_a_bulk_query(
    salesforce: Salesforce, simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simple_salesforce.bulk2.sleep", lambda _seconds: None)
    soql = "SELECT Id, Subject, IsClosed, ClosedDate FROM Case"
    pages = list(salesforce.bulk2.Case.query_all(soql, max_records=100))
    found = [row for page in pages for row in csv.DictReader(io.StringIO(page, newline=""))]
    by_rest = {one["Id"]: one for one in salesforce.query_all_iter(soql)}
    assert len(pages) == -(-len(by_rest) // 100) > 1
    assert {row["Id"]: row["Subject"] for row in found} == {one["Id"]: one["Subject"] for one in by_rest.values()}
    assert {row["Id"] for row in found if row["IsClosed"] == "true"} == {
        one["Id"] for one in by_rest.values() if one["IsClosed"]
    }
    assert any("\n" in row["Subject"] and '"' in row["Subject"] for row in found)


def test_simple_salesforce_understands_the_errors(salesforce: Salesforce, simulation: Simulation) -> None:
    with pytest.raises(SalesforceMalformedRequest, match="INVALID_FIELD"):
        salesforce.query("SELECT Nothing__c FROM Account")
    simulation.tokens.expire("salesforce")
    with pytest.raises(SalesforceExpiredSession):
        salesforce.query("SELECT Id FROM Account")


def test_zenpy_exports_tickets_and_organizations(connect: Connect, simulation: Simulation, world: World) -> None:
    token = zendesk_token(client_of(simulation))["Authorization"].removeprefix("Bearer ")
    zendesk = Zenpy(subdomain="northwind", oauth_token=token, session=connect("zendesk"), disable_cache=True)
    counts = declared(world, simulation.clock.now_seconds())["zendesk"]
    tickets = zendesk.tickets.incremental(start_time=0, per_page=100)
    ids = [ticket.id for ticket in tickets]
    assert len(ids) == len(set(ids)) == counts["tickets_exported"] > 300
    organizations = {one.id: one for one in zendesk.organizations.incremental(start_time=0)}
    assert len(organizations) == counts["organizations"]
    assert {one.external_id for one in organizations.values()} == {account.crm_id for account in world.accounts}


@pytest.fixture
def stripe_client(connect: Connect) -> stripe.StripeClient:
    """Stripe's own client."""
    return stripe.StripeClient("sk_test_demo", http_client=stripe.RequestsClient(session=connect("stripe")))


def test_stripe_pages_through_every_list(
    stripe_client: stripe.StripeClient, simulation: Simulation, world: World
) -> None:
    counts = declared(world, simulation.clock.now_seconds())["stripe"]
    customers = list(stripe_client.v1.customers.list({"limit": 7}).auto_paging_iter())
    assert len({one.id for one in customers}) == len(customers) == counts["customers"]
    subscriptions = list(stripe_client.v1.subscriptions.list({"status": "all", "limit": 11}).auto_paging_iter())
    assert len(subscriptions) == counts["subscriptions"]
    invoices = list(stripe_client.v1.invoices.list({"limit": 100}).auto_paging_iter())
    assert sum(one.amount_paid for one in invoices if one.status == "paid") == counts["paid_cents"]
    [first] = [one for one in invoices if one.id == invoices[0].id]
    assert stripe_client.v1.invoices.retrieve(first.id).to_dict() == first.to_dict()


def test_stripe_follows_the_events(stripe_client: stripe.StripeClient, simulation: Simulation) -> None:
    now = simulation.clock.now_seconds()
    events = list(
        stripe_client.v1.events.list(
            {"types": ["invoice.paid", "customer.subscription.deleted"], "created": {"gte": now - 20 * DAY}}
        ).auto_paging_iter()
    )
    assert events
    assert {one.type for one in events} <= {"invoice.paid", "customer.subscription.deleted"}
    assert min(one.created for one in events) >= now - 20 * DAY
    assert [one.created for one in events] == sorted((one.created for one in events), reverse=True)


def test_stripe_understands_the_errors(stripe_client: stripe.StripeClient, connect: Connect) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="No such customer"):
        stripe_client.v1.customers.retrieve("cus_nothing")
    stranger = stripe.StripeClient("sk_test_other", http_client=stripe.RequestsClient(session=connect("stripe")))
    with pytest.raises(stripe.AuthenticationError):
        stranger.v1.customers.list()


@pytest.fixture
def address(simulation: Simulation) -> Iterator[str]:
    """The simulators on a port: this library opens its own connections."""
    server = uvicorn.Server(uvicorn.Config(create_app(simulation), port=0, log_level="error", date_header=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    waiting = threading.Event()
    while not server.started:
        waiting.wait(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


def test_mixpanel_utils_exports_events(address: str, simulation: Simulation, world: World) -> None:
    mixpanel = MixpanelUtils(
        "mp-secret-demo", service_account_username="vitals-demo.service-account", project_id="3100001"
    )
    mixpanel.raw_api = f"{address}/mixpanel/api"
    first = world.history_end // DAY * DAY - 40 * DAY
    asked = {"from_date": iso_day(first), "to_date": iso_day(first + 2 * DAY)}
    events = mixpanel.query_export(asked, add_gzip_header=True)
    within = (world.events.event_time >= first) & (world.events.event_time < first + 3 * DAY)
    assert len({one["properties"]["$insert_id"] for one in events}) == int(within.sum()) > 0
    assert {one["event"] for one in events} == {"Feature Used"}
