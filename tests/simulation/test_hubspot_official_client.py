"""HubSpot's own client library reads the simulator: what it parses is what HubSpot answers."""

import threading
from collections.abc import Iterator

import pytest
import uvicorn
from hubspot import HubSpot
from hubspot.crm.companies import BatchReadInputSimplePublicObjectId, SimplePublicObjectId
from hubspot.crm.deals import PublicObjectSearchRequest

from connectors.hubspot.simulated_ids import company_id, owner_id
from connectors.simulation.server import create_app
from connectors.simulation.stage import Simulation
from connectors.simulation.world import World


@pytest.fixture
def address(simulation: Simulation) -> Iterator[str]:
    """The simulation behind a real socket."""
    config = uvicorn.Config(create_app(simulation), port=0, log_level="warning", date_header=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/hubspot"
    server.should_exit = True
    thread.join(10)


def test_hubspots_own_client_reads_it(address: str, world: World) -> None:
    official = HubSpot(access_token="pat-na1-demo", host=address)
    companies = official.crm.companies.get_all(properties=["name", "crm_account_id"])
    by_id = {company_id(account.external_id): account for account in world.accounts}
    assert {int(one.id): one.properties["crm_account_id"] for one in companies} == {
        number: account.crm_id for number, account in by_id.items()
    }
    assert {one.created_at.timestamp() for one in companies} == {account.created_at for account in world.accounts}
    filters = [{"propertyName": "hs_is_closed_won", "operator": "EQ", "value": "true"}]
    found = official.crm.deals.search_api.do_search(
        PublicObjectSearchRequest(
            filter_groups=[{"filters": filters}],
            sorts=["-createdate"],
            properties=["amount"],
            limit=5,
            after="0",
        )
    )
    indexed = world.history_end - 15
    won = sum(one.stage_at(indexed)[1] == "Closed Won" for one in world.opportunities if one.created_at <= indexed)
    assert found.total == won + sum(one.first_activity_at <= indexed for one in world.accounts)
    assert (len(found.results), found.paging.next.after) == (5, "5")
    created = [one.created_at for one in found.results]
    assert created == sorted(created, reverse=True)
    batch = official.crm.companies.batch_api.read(
        BatchReadInputSimplePublicObjectId(
            inputs=[SimplePublicObjectId(id=companies[0].id)], properties=["domain"], properties_with_history=[]
        )
    )
    assert batch.results[0].properties["domain"] == by_id[int(companies[0].id)].domain
    owners = official.crm.owners.owners_api.get_page()
    assert {one.id for one in owners.results} == {owner_id(one) for one in world.owners}
