"""HubSpot's companies: beside Salesforce they claim its accounts, without it they are the accounts."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.catalogue import identity_source_enabled
from connectors.contract import Link, Mapped, Profile, RawObject
from connectors.hubspot.accounts import domain_of, links_of, primary_company
from connectors.hubspot.mapping import Meaning
from connectors.hubspot.simulated_objects import company_id, domain_for
from connectors.simulation.injection import Injection
from connectors.simulation.world import World
from tests.connectors.conftest import Stage
from tests.connectors.simulated import SIMULATOR_URL, Followed
from vitals.settings import Settings

StageOf = Callable[..., Stage]
CREATED, CHANGED, MERGED = "2024-03-02T08:15:00.000Z", "2026-11-20T10:04:11.512Z", "2026-11-21T00:00:00Z"
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
    followed = {name: Followed(one).catch_up() for name, one in stage.streams("hubspot").items()}
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
            (f"domain:{domain_for(account)}", "domain"),
        )
    }


def test_a_company_that_is_linked_later_gives_its_account_to_the_next_events(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITALS_HUBSPOT_CRM_ID_PROPERTY", "sf_id")
    stage = stage_of(world)
    followed = Followed(stage.streams("hubspot")["hubspot.tickets"]).catch_up()
    assert not followed.events, "no company is linked by that property"
    monkeypatch.delenv("VITALS_HUBSPOT_CRM_ID_PROPERTY")
    followed.restart(stage.streams("hubspot")["hubspot.tickets"])
    stage.advance_to(world.history_end + 100)
    stage.simulation.inject(Injection("ticket_opened", account=world.accounts[0].crm_id))
    stage.advance_to(world.history_end + 200)
    followed.catch_up()
    assert [event.kind for event in followed.events][-1] == "support.ticket_opened"


def test_a_merge_where_hubspot_is_the_crm_ends_one_account_and_points_it_to_the_other() -> None:
    meaning = Meaning(identity_source=True, crm_id_property="crm_account_id")
    state: dict[str, Any] = {}
    for raw in (
        company("555", CHANGED, name="Old Harbor", domain="oldharbor.example"),
        company("777", CHANGED, name="Harbor", domain="harbor.example"),
    ):
        state |= meaning.company(raw, state).state
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
    assert {link for link in mapped.links if link.identity == "hubspot:company:555"} == {
        Link("hubspot:company:555", "domain:oldharbor.example", "domain", at, withdrawn=True),
        Link("hubspot:company:555", "domain:harbor.example", "domain", at),
        Link("hubspot:company:555", "hubspot:company:777", "crm_link", at),
    }
    again = meaning.company(winner, {**state, **mapped.state})
    assert not [link for link in again.links if link.withdrawn]
    assert not [profile for profile in again.profiles if profile.deleted]
    assert [event.kind for event in again.events] == ["crm.account_created", "crm.account_updated"]


def test_a_winner_that_is_merged_itself_takes_all_along_and_ends_only_itself() -> None:
    meaning = Meaning(identity_source=True, crm_id_property="crm_account_id")
    state: dict[str, Any] = {}
    for raw in (
        company("777", CHANGED, name="Harbor", hs_merged_object_ids="555"),
        company("999", CHANGED, name="Ports"),
    ):
        state |= meaning.company(raw, state).state
    mapped = meaning.company(company("999", MERGED, name="Ports", hs_merged_object_ids="555;777"), state)
    assert [event.source_id for event in mapped.events if event.kind == "crm.account_deleted"] == ["777"]
    aliases = {(link.identity, link.account_ref) for link in mapped.links if link.evidence == "crm_link"}
    assert aliases == {(f"hubspot:company:{one}", "hubspot:company:999") for one in ("555", "777")}


def test_a_profile_needs_a_name_or_a_domain() -> None:
    meaning = Meaning(identity_source=True, crm_id_property="crm_account_id")
    (profile,) = meaning.company(company("1", CHANGED, domain="harbor.example"), {}).profiles
    assert isinstance(profile, Profile)
    assert profile.name == "harbor.example"


values = st.one_of(st.none(), st.sampled_from(["a", "b", "c"]))
claims = st.fixed_dictionaries({"crm_id": values, "domain": values})


@given(history=st.lists(claims, min_size=1, max_size=8))
def test_what_is_claimed_in_the_end_is_what_the_last_version_says(history: list[dict[str, str | None]]) -> None:
    standing: set[tuple[str, str]] = set()
    before: dict[str, str | None] = {}
    when = datetime(2026, 1, 1, tzinfo=UTC)
    for now in history:
        links = links_of("1", before, now, when)
        for link in links:
            claim = (link.account_ref, link.evidence)
            assert claim in standing or not link.withdrawn, "only what stands is withdrawn"
            standing = standing - {claim} if link.withdrawn else standing | {claim}
        # Whoever takes an object's links as all that it claims needs no withdrawals.
        assert {(link.account_ref, link.evidence) for link in links if not link.withdrawn} == standing
        before = now
    last = history[-1]
    expected = {(f"crm:account:{last['crm_id']}", "external_id")} if last["crm_id"] else set()
    assert standing == expected | ({(f"domain:{last['domain']}", "domain")} if last["domain"] else set())


@pytest.mark.parametrize(
    ("written", "domain"),
    [
        ("Harbor-Foods.Example", "harbor-foods.example"),
        (" http://www.harbor.example:8080/x?y ", "harbor.example"),
        ("xn--hrbor-gra.example", "xn--hrbor-gra.example"),
        ("harbor", None),
        ("-harbor.example", None),
        ("harbor..example", None),
        ("10.0.0.1", None),
        ("a" * 64 + ".example", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_domains(written: Any, domain: str | None) -> None:
    assert domain_of(written) == domain


labels = st.lists(st.sampled_from(["www", "harbor", "x-1", "example", "https://www", "-", ""]), max_size=5)


@given(st.one_of(st.text(), labels.map(".".join)))
def test_a_domain_in_its_plain_form_stays_as_it_is(text: str) -> None:
    domain = domain_of(text)
    assert domain is None or domain_of(domain) == domain


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


def test_a_company_in_another_stream_is_only_its_claims() -> None:
    meaning = Meaning(identity_source=False, crm_id_property="sf_id")
    mapped = meaning.link_only(company("9", CHANGED, sf_id=CRM), {})
    assert mapped == Mapped(state={"company/9": {"crm_id": CRM, "domain": None}})
