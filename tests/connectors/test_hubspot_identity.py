"""HubSpot's companies: beside Salesforce they claim its accounts, without it they are the accounts."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connectors.catalogue import identity_source_enabled
from connectors.contract import Merge, Profile, RawObject
from connectors.hubspot.accounts import primary_company
from connectors.hubspot.mapping import Meaning
from connectors.hubspot.simulated_ids import company_id
from connectors.identities import IdentityIndex
from connectors.identity.claims import CLAIMS, statements
from connectors.simulation.world import World
from connectors.stream_state import merge_updates
from tests.connectors.conftest import Stage
from tests.connectors.simulated import SIMULATOR_URL, Followed, followed_together
from vitals.events import account_id
from vitals.settings import Settings

StageOf = Callable[..., Stage]
CREATED, CHANGED, MERGED = "2024-03-02T08:15:00.000Z", "2026-11-20T10:04:11.512Z", "2026-11-21T00:00:00Z"
LATER, LATEST = "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"
CRM = "0015e00000AaBbCAAV"


def company(company_id: str, at: str, **properties: str | None) -> RawObject:
    body = {"id": company_id, "createdAt": CREATED, "updatedAt": at, "archived": False, "properties": properties}
    return RawObject("company", company_id, body)


def alone(stage: Stage) -> Stage:
    """The stage of an installation without Salesforce."""
    stage.settings = Settings(simulator_url=SIMULATOR_URL, vendor_pacing=False, connectors="hubspot,mixpanel")
    return stage


def test_who_is_the_identity_source(world: World, stage_of: StageOf) -> None:
    beside = stage_of(world).streams("hubspot")
    assert not any(stream.identity_source for stream in beside.values())
    without = alone(stage_of(world)).streams("hubspot")
    assert {name for name, stream in without.items() if stream.identity_source} == {"hubspot.companies"}
    assert not identity_source_enabled(Settings(simulator_url="", connectors="zendesk"))
    assert identity_source_enabled(Settings(simulator_url="", connectors="zendesk,hubspot"))


def test_without_salesforce_companies_define_the_accounts(world: World, stage_of: StageOf) -> None:
    stage = alone(stage_of(world))
    index = IdentityIndex(has_identity_source=True)
    followed = followed_together(stage.streams("hubspot"), index)
    for one in followed.values():
        one.catch_up()
    newest = {profile.crm_id: profile for profile in followed["hubspot.companies"].profiles}
    assert newest.keys() == {str(company_id(account.external_id)) for account in world.accounts}
    for account in world.accounts:
        profile = newest[str(company_id(account.external_id))]
        assert profile.identity == f"hubspot:company:{profile.crm_id}"
        assert (profile.name, profile.segment, profile.region) == (account.name, account.segment, account.region)
        owners = [account.owner, *(one.owner for one in account.changes if one.owner and one.at <= world.history_end)]
        assert profile.owner == owners[-1].name
    for one in followed.values():
        references = {event.account_ref for event in one.mapped}
        assert references <= {profile.identity for profile in newest.values()}
        assert not one.set_aside
    # What others call the account by an id of the CRM means the company: its own id, or one of Salesforce's.
    for account in world.accounts:
        company = company_id(account.external_id)
        own = account_id(f"hubspot:company:{company}")
        assert {index.resolve(f"crm:account:{one}") for one in (company, account.crm_id)} == {own}
    # Deals and tickets name the company; nothing else about it is read.
    assert not [raw for raw in followed["hubspot.deals"].objects if raw.object_type == "company"]
    owner_calls = [one for one in stage.transport.requests if one.url.path.endswith("/owners/2026-09")]
    assert len(owner_calls) == 2, "once for those that work, once for those that left"


def test_beside_salesforce_companies_only_claim(world: World, stage_of: StageOf) -> None:
    streams = stage_of(world).streams("hubspot")
    followed = Followed(streams["hubspot.companies"]).catch_up()
    assert not followed.profiles
    claimed = {
        (link.identity, link.account_ref, link.evidence)
        for raw in followed.objects
        for link in followed.stream.map(raw, {}).links
    }
    assert claimed == {
        (f"hubspot:company:{company_id(account.external_id)}", target, evidence)
        for account in world.accounts
        for target, evidence in (
            (f"crm:account:{account.crm_id}", "external_id"),
            (f"domain:{account.domain}", "domain"),
        )
    }


def test_beside_salesforce_an_event_names_its_company_and_the_companys_claims_decide(
    world: World, stage_of: StageOf
) -> None:
    followed = followed_together(stage_of(world).streams("hubspot"))
    tickets = followed["hubspot.tickets"].catch_up()
    assert not tickets.events, "no claim has come yet"
    waiting = [(record.account_ref, record.event_time) for record in tickets.set_aside]
    assert {name for name, _ in waiting} <= {
        f"hubspot:company:{company_id(account.external_id)}" for account in world.accounts
    }
    followed["hubspot.companies"].catch_up()
    expected = {
        f"hubspot:company:{company_id(one.external_id)}": account_id(f"crm:account:{one.crm_id}")
        for one in world.accounts
    }
    assert all(tickets.index.resolve(name, at) == expected[str(name)] for name, at in waiting)
    assert not [raw for raw in tickets.objects if raw.object_type != "ticket"], "nothing is read for links alone"


CLAIMING = company("555", CHANGED, name="Old Harbor", domain="oldharbor.example", crm_account_id=CRM)
WINNING = company("777", CHANGED, name="Harbor", domain="harbor.example")


def told(meaning: Meaning, *raws: RawObject) -> dict[str, Any]:
    """The stream's state after these companies."""
    state: dict[str, Any] = {}
    for raw in raws:
        mapped = meaning.company(raw, state)
        said = statements("hubspot", "hubspot.companies", mapped, state)
        merge_updates(state, {**mapped.state, **said.state})
    return state


def claimed(state: dict[str, Any]) -> set[tuple[str, str, str]]:
    """What the stream claims now: (identity, target, evidence)."""
    return {
        (one, other, why) for entry in state if entry.startswith(CLAIMS) for one, other, why, _since in state[entry]
    }


def test_a_merge_where_hubspot_is_the_crm_ends_one_account_and_its_events_go_on_as_the_others() -> None:
    meaning = Meaning(identity_source=True, crm_id_property="crm_account_id")
    state = told(meaning, CLAIMING, WINNING)
    winner = company("777", MERGED, name="Harbor", domain="harbor.example", hs_merged_object_ids="555")
    mapped = meaning.company(winner, state)
    gone = [profile for profile in mapped.profiles if profile.deleted]
    assert [(one.identity, one.name) for one in gone] == [("hubspot:company:555", "Old Harbor")]
    assert [(one.kind, one.account_ref, one.source_id) for one in mapped.events] == [
        ("crm.account_created", "hubspot:company:777", "777"),
        ("crm.account_updated", "hubspot:company:777", "777"),
        ("crm.account_deleted", "hubspot:company:555", "555"),
    ]
    at = gone[0].valid_from
    just_after = at + timedelta(microseconds=1)
    assert list(mapped.merges) == [Merge("hubspot:company:555", "hubspot:company:777", just_after)]
    after = told(meaning, CLAIMING, WINNING, winner)
    assert claimed(after) == {
        ("crm:account:777", "hubspot:company:777", "crm_link"),
        ("hubspot:company:777", "domain:harbor.example", "domain"),
        # Others go on naming it; its domain is free.
        ("crm:account:555", "hubspot:company:555", "crm_link"),
        (f"crm:account:{CRM}", "hubspot:company:555", "crm_link"),
    }
    again = meaning.company(winner, after)
    assert not again.merges
    assert not [profile for profile in again.profiles if profile.deleted]
    said = statements("hubspot", "hubspot.companies", again, after)
    assert (said.claims, list(said.aliases)) == ([], []), "nothing new is said"


def test_a_merged_company_that_comes_back_is_its_own_account_and_can_be_merged_again() -> None:
    meaning = Meaning(identity_source=True, crm_id_property="crm_account_id")
    winner = company("777", MERGED, name="Harbor", hs_merged_object_ids="555")
    state = told(meaning, CLAIMING, WINNING, winner)
    back = company("555", LATER, name="Old Harbor", domain="oldharbor.example")
    said = statements("hubspot", "hubspot.companies", meaning.company(back, state), state)
    assert [(alias.identity, alias.withdrawn) for alias in said.aliases] == [("hubspot:company:555", True)]
    state = told(meaning, CLAIMING, WINNING, winner, back)
    assert meaning.company(company("777", LATEST, name="Harbor", hs_merged_object_ids="555"), state).merges


def test_a_company_that_was_merged_before_it_was_seen_names_the_winner() -> None:
    meaning = Meaning(identity_source=True, crm_id_property="crm_account_id")
    winner = company("777", MERGED, name="Harbor", hs_merged_object_ids="555")
    assert claimed(told(meaning, winner)) == {
        ("crm:account:777", "hubspot:company:777", "crm_link"),
        ("hubspot:company:555", "hubspot:company:777", "crm_link"),
        ("crm:account:555", "hubspot:company:777", "crm_link"),
    }


def test_beside_salesforce_a_merged_company_keeps_its_account_and_one_without_means_the_winner() -> None:
    meaning = Meaning(identity_source=False, crm_id_property="crm_account_id")
    unlinked = company("557", CHANGED)
    winner = company("777", MERGED, domain="harbor.example", hs_merged_object_ids="555;556;557")
    mapped = meaning.company(winner, told(meaning, CLAIMING, WINNING, unlinked))
    assert (mapped.profiles, mapped.merges) == ((), ())
    assert [event.source_id for event in mapped.events if event.kind == "crm.account_deleted"] == ["555"]
    state = told(meaning, CLAIMING, WINNING, unlinked, winner)
    assert claimed(state) == {
        ("hubspot:company:777", "domain:harbor.example", "domain"),
        ("hubspot:company:555", f"crm:account:{CRM}", "external_id"),
        ("hubspot:company:555", "domain:oldharbor.example", "domain"),
        ("hubspot:company:556", "hubspot:company:777", "external_id"),
        ("hubspot:company:557", "hubspot:company:777", "external_id"),
    }
    assert claimed(told(meaning, CLAIMING, WINNING, unlinked, winner, winner)) == claimed(state)


def test_a_winner_that_is_merged_itself_ends_only_itself_and_the_chain_holds() -> None:
    meaning = Meaning(identity_source=True, crm_id_property="crm_account_id")
    raws = (
        CLAIMING,
        company("777", MERGED, name="Harbor", hs_merged_object_ids="555"),
        company("999", CHANGED, name="Ports"),
    )
    winner = company("999", LATER, name="Ports", hs_merged_object_ids="555;777")
    mapped = meaning.company(winner, told(meaning, *raws))
    assert [event.source_id for event in mapped.events if event.kind == "crm.account_deleted"] == ["777"]
    assert [(one.identity, one.surviving) for one in mapped.merges] == [("hubspot:company:777", "hubspot:company:999")]
    index = IdentityIndex(has_identity_source=True)
    state: dict[str, Any] = {}
    for raw in (*raws, winner):
        mapped = meaning.company(raw, state)
        said = statements("hubspot", "hubspot.companies", mapped, state)
        merge_updates(state, {**mapped.state, **said.state})
        for profile in mapped.profiles:
            index.identities.define(profile.identity, account_id(profile.identity))
        for claim in said.claims:
            index.identities.claim(claim)
        for alias in said.aliases:
            index.identities.alias(alias)
    names = [f"{kind}{number}" for kind in ("hubspot:company:", "crm:account:") for number in (555, 777, 999)]
    end, before = datetime(2027, 1, 1, tzinfo=UTC), datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert {index.resolve(name, end) for name in names} == {account_id("hubspot:company:999")}
    assert index.resolve("hubspot:company:555", before) == account_id("hubspot:company:555")


def test_an_older_version_that_a_search_shows_later_claims_nothing() -> None:
    meaning = Meaning(identity_source=True, crm_id_property="crm_account_id")
    newer = company("777", LATER, name="Harbor", domain="new.example")
    state = told(meaning, WINNING, newer)
    mapped = meaning.company(WINNING, state)
    assert [event.kind for event in mapped.events] == ["crm.account_created", "crm.account_updated"]
    assert (mapped.profiles, mapped.links, mapped.claimants, dict(mapped.state)) == ((), (), (), {})


def test_a_profile_needs_a_name_or_a_domain() -> None:
    meaning = Meaning(identity_source=True, crm_id_property="crm_account_id")
    (profile,) = meaning.company(company("1", CHANGED, domain="harbor.example"), {}).profiles
    assert isinstance(profile, Profile)
    assert profile.name == "harbor.example"


texts = st.sampled_from([None, "", "harbor.example", "https://www.port.example/x", "gmail.com", "no domain"])
versions = st.lists(st.tuples(st.sampled_from([None, CRM, "none of ours"]), texts), min_size=1, max_size=8)


@given(history=versions, identity_source=st.booleans())
def test_what_is_claimed_in_the_end_is_what_the_last_version_says(
    history: list[tuple[str | None, str | None]], identity_source: bool
) -> None:
    meaning = Meaning(identity_source=identity_source, crm_id_property="crm_account_id")
    raws = [
        company("1", f"2026-11-20T10:{minute:02}:00Z", name="Harbor", crm_account_id=crm_id, domain=domain)
        for minute, (crm_id, domain) in enumerate(history)
    ]
    last = claimed(told(meaning, *raws))
    assert last == claimed(told(meaning, raws[-1]))
    targets = {target for _, target, _ in last}
    assert "domain:gmail.com" not in targets
    assert (f"crm:account:{CRM}" in targets | {name for name, _, _ in last}) == (history[-1][0] == CRM)


def associated(*ids: int, primary: int | None = None) -> dict[str, Any]:
    results = [
        {
            "toObjectId": one,
            "associationTypes": [
                {"category": "HUBSPOT_DEFINED", "typeId": 5 if one == primary else 341, "label": None}
            ],
        }
        for one in ids
    ]
    return {"associations": {"companies": {"results": results}}}


@given(ids=st.lists(st.integers(1, 10**12), min_size=1, max_size=5, unique=True), place=st.integers(0, 4))
def test_the_primary_company_counts_whatever_the_order(ids: list[int], place: int) -> None:
    primary = ids[place % len(ids)]
    for order in (ids, ids[::-1]):
        assert primary_company(associated(*order, primary=primary)) == str(primary)
        assert primary_company(associated(*order)) == str(min(ids))
