"""Who an identity is: precedence, conflicts, domains, chains, merges, whatever the order in which claims come."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.identity.claims import PRECEDENCE, Alias, Claim
from connectors.identity.resolution import Decision, Identities
from vitals.events import account_id

AT = datetime(2026, 3, 1, tzinfo=UTC)
LATER = AT + timedelta(days=10)
ORG = "zendesk:organization:1"
A, B, C = (f"crm:account:{letter}" for letter in "abc")
ACME = "domain:acme.example"


def claim(identity: str, account_ref: str, evidence: str, stream: str = "zendesk.tickets") -> Claim:
    return Claim(identity, account_ref, evidence, stream.partition(".")[0], stream, AT)


def knowing(*claims: Claim, accounts: Iterable[str] = (A, B), aliases: Iterable[Alias] = ()) -> Identities:
    identities = Identities(has_identity_source=True)
    for identity in accounts:
        identities.define(identity, account_id(identity))
    for one in claims:
        identities.claim(one)
    for alias in aliases:
        identities.alias(alias)
    return identities


def merged(identity: str, surviving: str, valid_from: datetime = LATER) -> Alias:
    return Alias(identity, surviving, "salesforce", valid_from)


@pytest.mark.parametrize(("stronger", "weaker"), list(pairwise(PRECEDENCE)))
def test_stronger_evidence_decides(stronger: str, weaker: str) -> None:
    identities = knowing(claim(ORG, A, stronger), claim(ORG, B, weaker))
    decision = identities.decide(ORG)
    assert (decision.account, decision.evidence) == (account_id(A), stronger)


def test_what_an_identity_source_defined_needs_no_claim_and_heeds_none() -> None:
    identities = knowing(claim(A, B, "manual"))
    assert identities.decide(A) == Decision(account_id(A), "profile")


def test_claims_of_equal_strength_on_two_accounts_decide_nothing_and_no_weaker_one_does() -> None:
    identities = knowing(
        claim(ORG, A, "crm_link"), claim(ORG, B, "crm_link"), claim(ORG, A, "external_id"), accounts=(A, B)
    )
    decision = identities.decide(ORG)
    assert decision.account is None
    assert decision.rivals == {account_id(A), account_id(B)}


def test_a_claim_on_an_unknown_account_decides_nothing_and_a_weaker_one_may() -> None:
    unknown = claim(ORG, C, "external_id")
    assert knowing(unknown).resolve(ORG) is None
    assert knowing(unknown, claim(A, ACME, "domain"), claim(ORG, ACME, "domain")).resolve(ORG) == account_id(A)


def test_a_withdrawn_claim_counts_no_more() -> None:
    claims = claim(ORG, A, "external_id"), claim(ORG, B, "external_id")
    assert knowing(*claims, replace(claims[0], withdrawn=True)).resolve(ORG) == account_id(B)
    assert knowing(*claims, replace(claims[0], withdrawn=True), claims[0]).resolve(ORG) is None


def test_a_newer_claim_by_hand_replaces_the_older() -> None:
    by_hand = claim(ORG, A, "manual", "manual")
    assert knowing(by_hand, replace(by_hand, account_ref=B)).resolve(ORG) == account_id(B)


def test_a_domain_links_whichever_side_names_it_but_only_one_account() -> None:
    ours = claim(ORG, ACME, "domain")
    for theirs in (claim(A, ACME, "domain"), claim(ACME, A, "domain")):
        assert knowing(ours, theirs).resolve(ORG) == account_id(A)
        assert knowing(ours, theirs, claim(B, ACME, "domain")).resolve(ORG) is None
        assert knowing(ours, theirs, claim(C, ACME, "domain")).resolve(ORG) == account_id(A)
        assert knowing(ours, replace(theirs, withdrawn=True)).resolve(ORG) is None


def test_free_mail_never_links() -> None:
    shared = "domain:gmail.com"
    assert knowing(claim(ORG, shared, "domain"), claim(A, shared, "domain")).resolve(ORG) is None


def test_a_claim_on_another_systems_account_is_followed_and_a_circle_is_none() -> None:
    company = "hubspot:company:5"
    chain = claim(ORG, company, "external_id"), claim(company, A, "external_id", "hubspot.companies")
    assert knowing(*chain).resolve(ORG) == account_id(A)
    assert knowing(chain[0], claim(company, ORG, "external_id")).resolve(ORG) is None
    assert knowing(*chain, claim(company, ORG, "manual", "manual")).resolve(ORG) == account_id(A)


def test_a_merge_holds_from_its_time_on_and_in_chains() -> None:
    identities = knowing(
        claim(ORG, A, "external_id"), accounts=(A, B, C), aliases=(merged(A, B), merged(B, C, LATER + timedelta(1)))
    )
    for identity in (A, ORG):
        assert identities.resolve(identity, LATER - timedelta(microseconds=1)) == account_id(A)
        assert identities.resolve(identity, LATER) == account_id(B)
        assert identities.resolve(identity, LATER + timedelta(1)) == account_id(C)
    identities.alias(replace(merged(A, B), withdrawn=True))
    assert identities.resolve(ORG, LATER) == account_id(A)


def test_accounts_that_merge_into_each_other_end_somewhere() -> None:
    identities = knowing(aliases=(merged(A, B), merged(B, A)))
    assert identities.resolve(A, LATER) == account_id(B)


def test_a_conflict_ends_when_its_accounts_are_merged() -> None:
    claims = claim(ORG, ACME, "domain"), claim(A, ACME, "domain"), claim(B, ACME, "domain")
    assert knowing(*claims).resolve(ORG, AT) is None
    assert knowing(*claims, aliases=[merged(A, B)]).resolve(ORG, AT) == account_id(B)
    external = claim(ORG, A, "external_id"), claim(ORG, B, "external_id")
    assert knowing(*external, aliases=[merged(A, B)]).resolve(ORG, AT) == account_id(B)


def test_without_an_identity_source_every_account_of_a_crm_is_known() -> None:
    identities = Identities(has_identity_source=False)
    identities.claim(claim(ORG, A, "external_id"))
    assert identities.resolve(ORG) == account_id(A)
    assert identities.resolve("zendesk:organization:2") is None


def test_a_page_is_decided_as_if_it_were_committed_and_leaves_the_index_alone() -> None:
    index = knowing(claim(ORG, A, "external_id"))
    page = Identities(has_identity_source=True, base=index)
    page.define(C, account_id(C))
    page.claim(replace(claim(ORG, A, "external_id"), withdrawn=True))
    page.claim(claim(ORG, C, "external_id"))
    page.claim(claim(C, ACME, "domain"))
    assert page.resolve(ORG) == account_id(C)
    assert page.holders(ACME) == {C: account_id(C)}
    assert index.resolve(ORG) == account_id(A)
    assert index.holders(ACME) == {}


def test_a_verdict_by_claims_names_the_time_that_it_rests_on() -> None:
    assert knowing(claim(ORG, A, "external_id")).decide(ORG).as_of == AT
    assert knowing(claim(ORG, A, "manual", "manual")).decide(ORG).as_of is None


NAMES = (ORG, "stripe:customer:1", A, B, C)
claims_made = st.lists(
    st.builds(
        claim,
        st.sampled_from(NAMES),
        st.sampled_from((*NAMES, ACME, "domain:gmail.com")),
        st.sampled_from(PRECEDENCE),
        st.sampled_from(("zendesk.tickets", "stripe.billing")),
    ),
    max_size=8,
    unique_by=lambda one: one.key,
)
merges_made = st.lists(
    st.builds(merged, st.sampled_from((A, B, C)), st.sampled_from((A, B, C))), max_size=3, unique_by=lambda one: one.key
)


@given(claims_made, merges_made, st.sets(st.sampled_from((A, B, C))), st.randoms(use_true_random=False))
def test_the_order_of_claims_changes_no_decision(claims, merges, accounts, random) -> None:
    first = knowing(*claims, accounts=sorted(accounts), aliases=merges)
    random.shuffle(claims)
    random.shuffle(merges)
    second = knowing(*claims, accounts=sorted(accounts, reverse=True), aliases=merges)
    for name in NAMES:
        for time in (AT, LATER):
            assert first.resolve(name, time) == second.resolve(name, time)
            known = {account_id(account) for account in accounts} | {alias.surviving_id for alias in merges}
            assert first.resolve(name, time) in {None, *known}


@given(claims_made, st.integers(0, 8), st.sets(st.sampled_from((A, B, C))))
def test_a_page_decides_what_the_whole_decides(claims, cut, accounts) -> None:
    index = knowing(*claims[:cut], accounts=accounts)
    page = Identities(has_identity_source=True, base=index)
    for one in claims[cut:]:
        page.claim(one)
    whole = knowing(*claims, accounts=accounts)
    assert [page.decide(name).account for name in NAMES] == [whole.decide(name).account for name in NAMES]
