"""Intercom: which account a conversation is for, and the one scroll through companies that a whole workspace shares."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import RawObject
from connectors.http import VendorHttp, Wire
from connectors.identity.claims import CLAIMS, statements
from connectors.intercom.accounts import account_of
from connectors.intercom.client import IntercomClient
from connectors.intercom.mapping import COMPANY, map_object
from connectors.intercom.simulated_records import company_id
from connectors.intercom.stream import ConversationStream
from connectors.simulation.faults import Fault
from connectors.simulation.world import NEVER, World
from connectors.stream_state import merge_updates
from tests.connectors.conftest import Stage
from tests.connectors.simulated import Followed, by_id, count
from tests.connectors.test_intercom_cycles import HOUR, START, STREAM, with_tickets

StageOf = Callable[..., Stage]
ACME, OTHER = "0015e00000AaBbCAAV", "0015e00000AaBbDAAV"


def scrolls(stage: Stage) -> int:
    return sum(request.url.path.endswith("/companies/scroll") for request in stage.transport.requests)


@pytest.fixture
def loaded(world: World, stage_of: StageOf) -> dict[str, Any]:
    followed = Followed(stage_of(world).streams("intercom")[STREAM]).catch_up()
    return by_id(followed.events)


@pytest.mark.parametrize("kind", ["scroll_exists", "scroll_expired", "scroll_broken"])
@pytest.mark.parametrize("count_of", [1, 9])
@pytest.mark.usefixtures("small_pages")
def test_a_scroll_that_fails_costs_nothing_but_requests(
    world: World, stage_of: StageOf, loaded: dict[str, Any], kind: str, count_of: int
) -> None:
    """Be it once or for as long as anybody tries: every company that matters is then asked for by itself."""
    stage = stage_of(world)
    stage.simulation.faults.order(Fault("intercom", kind, path="/companies/scroll", count=count_of))
    followed = Followed(stage.streams("intercom")[STREAM]).catch_up()
    assert by_id(followed.events) == loaded
    assert not followed.set_aside
    assert scrolls(stage) <= 25


def test_a_scroll_is_due_again_after_an_hour_or_soon_when_it_was_taken(world: World, stage_of: StageOf) -> None:
    stage = stage_of(with_tickets(world, [(START - HOUR, 60)]), START)
    followed = Followed(stage.streams("intercom")[STREAM]).catch_up()
    asked = scrolls(stage)

    def at(seconds: int) -> int:
        stage.advance_to(START + seconds)
        followed.catch_up()  # learns the time
        followed.catch_up()
        return scrolls(stage) - asked

    assert at(HOUR - 60) == 0
    stage.simulation.faults.order(Fault("intercom", "scroll_exists", path="/companies/scroll"))
    assert at(HOUR + 60) == 1
    assert at(HOUR + 90) == 1
    assert at(HOUR + 150) == 3, "one page with the companies, one without"
    assert at(2 * HOUR + 60) == 3
    assert at(2 * HOUR + 240) == 5


def test_a_first_load_promises_nothing_before_it_has_read_the_companies_or_tried_often(
    world: World, stage_of: StageOf
) -> None:
    for held in (1, 99):
        stage = stage_of(with_tickets(world, [(START - HOUR, 60)]), START)
        stage.simulation.faults.order(Fault("intercom", "scroll_exists", path="/companies/scroll", count=held))
        followed = Followed(stage.streams("intercom")[STREAM]).catch_up()
        companies = {one.source_id for one in followed.objects if one.object_type == COMPANY}
        if held == 1:
            assert companies == {company_id(account.external_id) for account in world.accounts}
        assert followed.promises[-1] is not None
        assert scrolls(stage) <= 10


def test_a_scroll_that_expires_between_two_processes_begins_again(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.intercom.simulator.SCROLL_PAGE", 15)
    stage = stage_of(with_tickets(world, [(START - HOUR, 60)]), START)
    wall = [0.0]
    stage.simulation.wall = lambda: wall[0]
    followed = Followed(stage.streams("intercom")[STREAM])
    followed.page()
    first = followed.state["walk"]["scroll"]
    wall[0] += 61.0
    followed.restart(stage.streams("intercom")[STREAM])
    followed.catch_up()
    assert first
    companies = {one.source_id for one in followed.objects if one.object_type == COMPANY}
    assert companies == {company_id(account.external_id) for account in world.accounts}
    assert count(followed.events)["support.ticket_opened"] == 1


@pytest.mark.parametrize("kind", ["truncate", "corrupt", "drop", None])
def test_a_part_of_the_scroll_that_nobody_saw_is_read_in_a_scroll_of_its_own(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch, kind: str | None
) -> None:
    """The vendor keeps the place: what was answered once, to whomever, is not answered again."""
    monkeypatch.setattr("connectors.intercom.simulator.SCROLL_PAGE", 15)
    stage = stage_of(with_tickets(world, [(START - HOUR, 60)]), START)
    followed = Followed(stage.streams("intercom")[STREAM])
    followed.page()
    if kind is None:
        # A process that was killed between the answer and its commit.
        stream = followed.stream
        stream.fetch(followed.state)
        followed.restart(stage.streams("intercom")[STREAM])
    else:
        stage.simulation.faults.order(Fault("intercom", kind, path="/companies/scroll"))
    followed.catch_up()
    companies = [one.source_id for one in followed.objects if one.object_type == COMPANY]
    assert sorted(companies) == sorted(company_id(account.external_id) for account in world.accounts)


def test_a_company_and_a_contact_younger_than_the_last_look_are_asked_for(world: World, stage_of: StageOf) -> None:
    young = replace(world.accounts[0], created_at=START + 50, changes=())
    changed = with_tickets(replace(world, accounts=(young, *world.accounts[1:])), [(START + 60, NEVER)])
    stage = stage_of(changed, START)
    followed = Followed(stage.streams("intercom")[STREAM]).catch_up()
    stage.advance_to(START + 100)
    # Contacts are searched a few minutes behind.
    stage.simulation.faults.order(Fault("intercom", "search_lag", path="/contacts/search", seconds=300))
    followed.catch_up()
    assert [event.kind for event in followed.events] == ["support.ticket_opened"]
    assert not followed.set_aside
    asked = [request.url.path for request in stage.transport.requests]
    assert sum("/contacts/" in path and "search" not in path for path in asked) == 1
    assert f"/intercom/companies/{company_id(young.external_id)}" in asked
    # The overlap brings the conversation again and again; nobody is asked for a second time.
    for _ in range(3):
        stage.advance_to(stage.simulation.clock.now() + 1)
        followed.catch_up()
    assert sum("/contacts/" in request.url.path for request in stage.transport.requests) - 1 == sum(
        request.url.path.endswith("/contacts/search") for request in stage.transport.requests
    )


def test_a_company_that_the_scroll_no_longer_shows_is_gone_only_if_it_is(world: World, stage_of: StageOf) -> None:
    """Companies without users do not appear in lists; a deleted one does not answer either."""
    stage = stage_of(with_tickets(world, [(START - HOUR, 60)]), START)
    followed = Followed(stage.streams("intercom")[STREAM]).catch_up()
    gone, empty = world.accounts[3], world.accounts[4]
    entries = [f"company/{company_id(account.external_id)}" for account in (gone, empty)]
    assert all(entry in followed.state for entry in entries)
    client = followed.stream._client  # type: ignore[attr-defined]
    companies, company = client.companies, client.company

    def without_both(scroll: str | None) -> Any:
        page = companies(scroll)
        hidden = {company_id(gone.external_id), company_id(empty.external_id)}
        return replace(page, companies=[one for one in page.companies if one["id"] not in hidden])

    client.companies = without_both
    client.company = lambda identifier: None if identifier == company_id(gone.external_id) else company(identifier)
    stage.advance_to(START + 2 * HOUR)
    followed.catch_up()
    followed.catch_up()
    assert [entry in followed.state for entry in entries] == [False, True]
    told = next(one for one in followed.objects if one.body.get("deleted"))
    withdrawn = {claim.account_ref for claim in followed.claims if claim.withdrawn}
    assert withdrawn == {f"crm:account:{gone.crm_id}", f"domain:{gone.domain}"}
    assert {claim.identity for claim in followed.claims if claim.withdrawn} == {f"intercom:company:{told.source_id}"}


def test_every_company_of_a_contact_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list inside a contact ends after ten."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        page = int(request.url.params.get("page", "1"))
        if request.url.path.endswith("/companies"):
            following = f"https://intercom.test/contacts/c/companies?page={page + 1}" if page < 3 else None
            rows = [{"type": "company", "id": f"{page}-{number}"} for number in range(2)]
            body: dict[str, Any] = {"type": "list", "data": rows, "pages": {"page": page, "next": following}}
        else:
            companies = {"data": [{"id": "1-0"}], "has_more": True, "url": "/contacts/c/companies"}
            body = {"type": "contact", "id": "c", "updated_at": 5, "companies": companies}
        return httpx.Response(200, json=body, headers={"Date": "Mon, 23 Nov 2026 12:00:00 GMT"})

    wire = Wire(transport=httpx.MockTransport(answer))
    contact = IntercomClient(VendorHttp("intercom", wire=wire), "https://intercom.test").contact("c")
    assert contact is not None
    assert [one["id"] for one in contact["companies"]["data"]] == ["1-0", "1-1", "2-0", "2-1", "3-0", "3-1"]
    assert len(asked) == 4


def test_a_company_claims_its_account_by_id_and_by_domain() -> None:
    body = {"id": "c1", "company_id": f"crm-{ACME}", "website": "http://www.acme.example/", "updated_at": 1_700_000_000}
    mapped = map_object(RawObject(COMPANY, "c1", body), {})
    assert {(link.identity, link.account_ref, link.evidence, link.withdrawn) for link in mapped.links} == {
        ("intercom:company:c1", f"crm:account:{ACME}", "external_id", False),
        ("intercom:company:c1", "domain:acme.example", "domain", False),
    }
    assert {link.valid_from.timestamp() for link in mapped.links} == {1_700_000_000}
    other_crm = map_object(RawObject(COMPANY, "c1", {**body, "company_id": "9876543210"}), {})
    assert other_crm.links[0].account_ref == "crm:account:9876543210"


versions = st.lists(
    st.tuples(
        st.sampled_from([None, f"crm-{ACME}", OTHER, "own-7"]), st.sampled_from([None, "acme.example", "gmail.com"])
    ),
    max_size=8,
)


@given(history=versions)
def test_what_is_claimed_is_what_the_company_says_last(history: list[tuple[str | None, str | None]]) -> None:
    state: dict[str, Any] = {}
    for number, (own_id, website) in enumerate(history):
        body = {"id": "c1", "company_id": own_id, "website": website, "updated_at": 1_700_000_000 + number}
        mapped = map_object(RawObject(COMPANY, "c1", body), state)
        merge_updates(state, {**mapped.state, **statements("intercom", STREAM, mapped, state).state})
    claimed = {(why, other) for _, other, why, _ in state.get(f"{CLAIMS}intercom:company:c1", ())}
    own_id, website = history[-1] if history else (None, None)
    named = {None: None, f"crm-{ACME}": ACME, OTHER: OTHER, "own-7": "own-7"}[own_id]
    expected = {("external_id", f"crm:account:{named}")} if named else set()
    assert claimed == expected | ({("domain", "domain:acme.example")} if website == "acme.example" else set())


@given(
    companies=st.lists(st.sampled_from("abcdef"), unique=True, max_size=6),
    crm_ids=st.lists(st.sampled_from([None, ACME, OTHER]), min_size=6, max_size=6),
    order=st.randoms(use_true_random=False),
)
def test_an_account_does_not_depend_on_the_order_of_companies(
    companies: list[str], crm_ids: list[str | None], order: Any
) -> None:
    state: dict[str, Any] = {f"company/{name}": {"own_id": crm_ids["abcdef".index(name)]} for name in companies}
    conversation = {"source": {"author": {"type": "user", "id": "u"}}}
    shuffled = list(companies)
    order.shuffle(shuffled)
    found = {
        account_of(conversation, {**state, "contact/u": {"companies": listed}}) for listed in (companies, shuffled)
    }
    assert len(found) == 1
    holding = [name for name in sorted(companies) if state[f"company/{name}"]["own_id"]]
    known = {state[f"company/{name}"]["own_id"] for name in holding}
    sure = holding if len(known) == 1 else companies if len(companies) == 1 else []
    assert found.pop() == (f"intercom:company:{sure[0]}" if sure else "intercom:contact:u")


def test_a_stream_needs_no_scroll_to_say_what_it_knows() -> None:
    """A workspace of an account that nobody may read stops with the reason."""
    refused = httpx.MockTransport(lambda _request: httpx.Response(403, json={"errors": [{"code": "forbidden"}]}))
    stream = ConversationStream(IntercomClient(VendorHttp("intercom", wire=Wire(transport=refused)), "http://x.test"))
    with pytest.raises(Exception, match="forbidden"):
        stream.fetch({})
