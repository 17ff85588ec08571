"""How well accounts are found where a tenth of the links is missing or wrong, against the world's truth."""

from dataclasses import dataclass, field

import pytest

from connectors.identities import IdentityIndex
from connectors.simulation import generated
from connectors.simulation.billing_records import customer_id
from connectors.simulation.calendar import DAY
from connectors.simulation.links import Damage, damaged
from connectors.simulation.support_records import organization_id
from connectors.simulation.world import World
from tests.connectors.conftest import Stage
from tests.connectors.simulated import Followed
from vitals.events import account_id

ACCOUNTS = 150
STREAMS = (("salesforce", "salesforce.accounts"), ("zendesk", "zendesk.tickets"), ("stripe", "stripe.billing"))
FIELDS = "Zendesk_Organization_Id__c=zendesk:organization,Stripe_Customer_Id__c=stripe:customer"


@dataclass
class Found:
    """Events of the support and billing systems: resolved rightly, wrongly, and not at all."""

    right: int = 0
    wrong: int = 0
    waiting: set[str] = field(default_factory=set)
    waits: int = 0

    @property
    def precision(self) -> float:
        return self.right / (self.right + self.wrong)

    @property
    def recall(self) -> float:
        return self.right / (self.right + self.wrong + self.waits)


def truth(world: World) -> dict[str, str]:
    """The account of each name that the support and billing systems use."""
    names = {}
    for account in world.accounts:
        identity = account_id(f"crm:account:{account.crm_id}")
        names[f"zendesk:organization:{organization_id(account.index)}"] = identity
        names[f"stripe:customer:{customer_id(account)}"] = identity
    return names


def measured(followed: dict[str, Followed], names: dict[str, str], index: IdentityIndex) -> Found:
    """What became of the events so far, those driven again among them."""
    found = Found()
    for one in (followed["zendesk"], followed["stripe"]):
        published = {event.event_id: event.account_id for event in one.events}
        for mapped_id, event in one.mapped_by_id().items():
            assert event.account_ref is not None
            account = published.get(mapped_id) or index.resolve(event.account_ref, event.event_time)
            if account is None:
                found.waits += 1
                found.waiting.add(event.account_ref)
            elif account == names[event.account_ref]:
                found.right += 1
            else:
                found.wrong += 1
    return found


@pytest.fixture(scope="module")
def world_and_damage() -> tuple[World, Damage]:
    world = generated.generate(seed=11, accounts=ACCOUNTS)
    return damaged(world, seed=3, linked_at=world.history_end + 10 * DAY)


def test_a_tenth_of_the_links_is_damaged_in_every_way(world_and_damage: tuple[World, Damage]) -> None:
    _, damage = world_and_damage
    assert damage.accounts == ACCOUNTS // 10
    assert min(map(len, (damage.domain_only, damage.unlinked_until, damage.wrong_domain, damage.wrong_id))) > 0


def test_accounts_are_found_and_the_quarantine_empties_once_links_arrive(
    world_and_damage: tuple[World, Damage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITALS_SALESFORCE_LINK_FIELDS", FIELDS)
    world, damage = world_and_damage
    names = truth(world)
    stage, index = Stage(world), IdentityIndex(has_identity_source=True)
    followed = {source: Followed(stage.streams(source)[name], index=index) for source, name in STREAMS}
    try:
        for one in followed.values():  # the identity source first: the others' verdicts wait for it
            one.catch_up()
        before = measured(followed, names, index)
        unlinked = {world.accounts[index] for index in damage.unlinked_until}
        assert before.waiting == {
            name
            for account in unlinked
            for name in (
                f"zendesk:organization:{organization_id(account.index)}", f"stripe:customer:{customer_id(account)}",
            )
            if any(event.account_ref == name for one in followed.values() for event in one.mapped)
        }  # fmt: skip
        assert before.wrong == 0
        assert before.recall > 0.9
        set_aside = [record for one in followed.values() for record in one.set_aside]
        assert len(set_aside) == before.waits > 0

        stage.advance_to(world.history_end + 11 * DAY)
        for one in followed.values():
            one.catch_up()
        after = measured(followed, names, index)
        assert after.precision >= 0.999
        assert after.recall >= 0.98
        assert all(index.resolve(record.account_ref, record.event_time) for record in set_aside)
        assert (after.wrong, after.waits) == (0, 0)
        assert after.right > before.right + before.waits
    finally:
        stage.transport.finish()
