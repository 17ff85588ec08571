"""What a stream publishes of its claims: each change once, nothing unchanged, nothing lost."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import Link, Mapped, Merge, Profile
from connectors.identity.claims import Alias, Claim, Statements, statements
from connectors.stream_state import merge_updates

START = datetime(2026, 3, 1, tzinfo=UTC)
ORG = "zendesk:organization:1"
ACCOUNT = "crm:account:a"


def link(account_ref: str, evidence: str, minute: int = 0, identity: str = ORG, *, withdrawn: bool = False) -> Link:
    return Link(identity, account_ref, evidence, START + timedelta(minutes=minute), withdrawn)


def profile(minute: int = 0, identity: str = ACCOUNT) -> Profile:
    return Profile(identity, identity, "Name", START, START + timedelta(minutes=minute))


def say(state: dict[str, Any], mapped: Mapped) -> Statements:
    said = statements("zendesk", "zendesk.tickets", mapped, state)
    merge_updates(state, said.state)
    return said


POSSIBLE = (("crm:account:a", "external_id"), ("crm:account:b", "external_id"), ("domain:x.example", "domain"))
stated = st.lists(st.sampled_from(POSSIBLE), unique=True)


@given(st.lists(stated, max_size=8))
def test_the_topic_holds_what_was_said_last_and_nothing_is_said_twice(told: list[list[tuple[str, str]]]) -> None:
    state: dict[str, Any] = {}
    topic: dict[str, Claim] = {}
    for minute, links in enumerate(told):
        mapped = Mapped(links=[link(ref, why, minute) for ref, why in links], claimants=[ORG])
        said = say(state, mapped)
        before = {(one.account_ref, one.evidence) for one in topic.values() if not one.withdrawn}
        topic |= {one.key: one for one in said.claims}
        assert {(one.account_ref, one.evidence) for one in topic.values() if not one.withdrawn} == set(links)
        assert len(said.claims) == len(before ^ set(links))
        assert not say(state, mapped).claims


def test_an_object_that_says_nothing_of_its_name_leaves_its_claims_alone() -> None:
    state: dict[str, Any] = {}
    say(state, Mapped(links=[link("crm:account:a", "external_id")]))
    assert not say(state, Mapped()).claims
    assert [one.withdrawn for one in say(state, Mapped(claimants=[ORG])).claims] == [True]
    assert not state


def test_a_withdrawal_alone_takes_back_just_that() -> None:
    state: dict[str, Any] = {}
    say(state, Mapped(links=[link("crm:account:a", "external_id"), link("domain:x.example", "domain")]))
    said = say(state, Mapped(links=[link("crm:account:a", "external_id", 5, withdrawn=True)]))
    assert [(one.account_ref, one.withdrawn, one.valid_from) for one in said.claims] == [
        ("crm:account:a", True, START + timedelta(minutes=5))
    ]
    assert [known[1] for known in state[f"claims/{ORG}"]] == ["domain:x.example"]


def test_two_accounts_that_name_the_same_customer_both_claim_it() -> None:
    state: dict[str, Any] = {}
    claims = []
    for account in ("crm:account:a", "crm:account:b"):
        named = link(account, "crm_link", identity="stripe:customer:1")
        claims += say(state, Mapped(profiles=[profile(identity=account)], links=[named])).claims
    assert len({one.key for one in claims}) == 2
    assert not any(one.withdrawn for one in claims)
    # The first account's field is emptied.
    said = say(state, Mapped(profiles=[profile(9)])).claims
    assert [(one.account_ref, one.withdrawn) for one in said] == [("crm:account:a", True)]
    assert said[0].valid_from == START + timedelta(minutes=9)


def test_a_merge_is_said_once_keeps_its_time_and_is_taken_back_by_a_restored_profile() -> None:
    state: dict[str, Any] = {}

    def told(minute: int, surviving: str | None) -> list[Alias]:
        at = START + timedelta(minutes=minute)
        merges = [Merge(ACCOUNT, surviving, at)] if surviving else []
        return list(say(state, Mapped(profiles=[profile(minute)], merges=merges)).aliases)

    assert told(0, None) == []
    assert told(1, "crm:account:b") == [Alias(ACCOUNT, "crm:account:b", "zendesk", START + timedelta(minutes=1))]
    assert told(2, "crm:account:b") == []
    (taken_back,) = told(3, None)
    assert taken_back.withdrawn
    assert taken_back.valid_from == START + timedelta(minutes=1)
    assert told(4, None) == []


def test_records_hold_everything() -> None:
    claim = Claim(ORG, ACCOUNT, "manual", "manual", "manual", START, by="ana", claimed_at=START)
    assert Claim.of(claim.record(START)) == claim
    alias = Alias(ACCOUNT, "crm:account:b", "salesforce", START, withdrawn=True)
    assert Alias.of(alias.record(START)) == alias
