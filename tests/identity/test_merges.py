"""Two accounts that are merged in the CRM, from the simulators to whose the events of other systems are."""

from datetime import UTC, datetime

import pytest

from connectors.hubspot.simulated_ids import company_id
from connectors.identities import IdentityIndex
from connectors.simulation import generated
from connectors.simulation.injection import Injection
from connectors.simulation.support_records import organization_id
from connectors.simulation.world import Account, World
from tests.connectors.conftest import Stage
from tests.connectors.simulated import SIMULATOR_URL, Followed
from vitals.events import account_id
from vitals.settings import Settings

IDENTITY_SOURCES = {"salesforce": "salesforce.accounts", "hubspot": "hubspot.companies"}


@pytest.fixture(scope="module")
def world() -> World:
    return generated.generate(seed=5, accounts=6)


def own_id(crm: str, account: Account) -> str:
    """The account's id where this vendor is the CRM."""
    named = {
        "salesforce": f"crm:account:{account.crm_id}",
        "hubspot": f"hubspot:company:{company_id(account.external_id)}",
    }
    return str(account_id(named[crm]))


@pytest.mark.parametrize("crm", IDENTITY_SOURCES)
def test_what_happens_after_a_merge_is_the_survivors_until_it_is_taken_back(crm: str, world: World) -> None:
    stage, index = Stage(world), IdentityIndex(has_identity_source=True)
    stage.settings = Settings(simulator_url=SIMULATOR_URL, vendor_pacing=False, connectors=f"{crm},zendesk")
    accounts = Followed(stage.streams(crm)[IDENTITY_SOURCES[crm]], index=index)
    tickets = Followed(stage.streams("zendesk")["zendesk.tickets"], index=index)
    loser, survivor = world.accounts[1], world.accounts[3]
    name, clock = f"zendesk:organization:{organization_id(loser.index)}", stage.simulation.clock

    def later(seconds: float) -> datetime:
        stage.advance_to(clock.now() + seconds)
        return datetime.fromtimestamp(clock.now(), UTC)

    def opened() -> str:
        """The account of a ticket that the loser opens now."""
        stage.simulation.inject(Injection("ticket_opened", account=loser.crm_id))
        later(900)
        accounts.catch_up()
        tickets.catch_up()
        return str(tickets.events[-1].account_id)

    try:
        accounts.catch_up()
        tickets.catch_up()
        assert opened() == own_id(crm, loser)
        before = later(60)
        stage.simulation.inject(Injection("account_changed", account=loser.crm_id, merged_into=survivor.crm_id))
        later(60)
        assert opened() == own_id(crm, survivor)
        assert str(index.resolve(name, before)) == own_id(crm, loser), "an event's account never changes"
        ended = [event for event in accounts.events if event.kind == "crm.account_deleted"]
        assert [str(event.account_id) for event in ended] == [own_id(crm, loser)]
        later(60)
        stage.simulation.inject(Injection("account_changed", account=loser.crm_id, deleted=False))
        later(60)
        assert opened() == own_id(crm, loser)
        assert not [record for record in tickets.set_aside if record.account_ref == name]
    finally:
        stage.transport.finish()
