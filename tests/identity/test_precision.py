"""How well accounts are found where a tenth of the links is missing or wrong, against the world's truth."""

from dataclasses import dataclass, field

import pytest

from connectors.identities import IdentityIndex
from connectors.simulation import generated
from connectors.simulation.billing_records import customer_id
from connectors.simulation.calendar import DAY
from connectors.simulation.links import Damage, damaged
from connectors.simulation.other_names import FIELDS, hubspot_company_id, intercom_company_id
from connectors.simulation.support_records import organization_id
from connectors.simulation.world import Account, World
from tests.connectors.conftest import Stage
from tests.connectors.simulated import Followed
from vitals.events import account_id

ACCOUNTS = 150
STREAMS = (
    "salesforce.accounts",
    "zendesk.tickets",
    "stripe.billing",
    "intercom.conversations",
    "hubspot.companies",
    "hubspot.deals",
    "hubspot.tickets",
)
IDENTITY_SOURCE = STREAMS[0]
NAMES = ("zendesk:organization", "stripe:customer", "hubspot:company", "intercom:company")
LINK_FIELDS = ",".join(f"{field}={name}" for field, name in zip(FIELDS, NAMES, strict=True))


def names_of(account: Account) -> tuple[str, ...]:
    """What each of the other systems calls the account."""
    ids = (
        organization_id(account.index),
        customer_id(account),
        hubspot_company_id(account.external_id),
        intercom_company_id(account.external_id),
    )
    return tuple(f"{name}:{own_id}" for name, own_id in zip(NAMES, ids, strict=True))


@dataclass
class Found:
    """Events of the other systems: resolved rightly, wrongly, and not at all."""

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
    """The account of each name that the other systems use."""
    return {
        name: account_id(f"crm:account:{account.crm_id}") for account in world.accounts for name in names_of(account)
    }


def measured(followed: dict[str, Followed], names: dict[str, str], index: IdentityIndex) -> dict[str, Found]:
    """What became of each stream's events so far, those driven again among them."""
    measures = {}
    for stream, one in followed.items():
        found = measures[stream] = Found()
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
    return measures


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
    monkeypatch.setenv("VITALS_SALESFORCE_LINK_FIELDS", LINK_FIELDS)
    world, damage = world_and_damage
    names = truth(world)
    stage, index = Stage(world), IdentityIndex(has_identity_source=True)
    followed = {name: Followed(stage.streams(name.partition(".")[0])[name], index=index) for name in STREAMS}
    others = {name: one for name, one in followed.items() if name != IDENTITY_SOURCE}
    try:
        for one in followed.values():  # the identity source first: the others' verdicts wait for it
            one.catch_up()
        before = measured(others, names, index)
        unlinked = {name for place in damage.unlinked_until for name in names_of(world.accounts[place])}
        for name, one in others.items():
            assert before[name].waiting == unlinked & {event.account_ref for event in one.mapped}, name
            assert before[name].waiting, f"the damage does not reach {name}"
            assert before[name].wrong == 0
            assert before[name].recall > 0.9
        set_aside = [record for one in followed.values() for record in one.set_aside]
        waited = sum(found.waits for found in before.values())
        # What claims decided by now may have come before them.
        assert len(set_aside) >= waited > 0

        stage.advance_to(world.history_end + 11 * DAY)
        for _ in range(2):  # the identity source has told everything when the second round begins
            for one in followed.values():
                one.catch_up()
        after = measured(others, names, index)
        for name, found in after.items():
            assert found.precision >= 0.999
            assert found.recall >= 0.98
            assert (found.wrong, found.waits) == (0, 0), name
            assert found.right > before[name].right + before[name].waits
        assert all(index.resolve(record.account_ref, record.event_time) for record in set_aside)
    finally:
        stage.transport.finish()
