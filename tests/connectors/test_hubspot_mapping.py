"""HubSpot's mapping takes whatever HubSpot sends: it means something, or it is a bad record, and nothing else."""

from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.catalogue import connector_modules
from connectors.contract import Page, RawObject
from connectors.fates import map_page
from connectors.fields import iso
from connectors.http import VendorHttp, Wire
from connectors.hubspot.client import HubSpotClient
from connectors.hubspot.mapping import Meaning
from tests.connectors.simulated import SIMULATOR_URL
from vitals.errors import BadRecordError, RetriableError
from vitals.settings import Settings

CREATED, CHANGED = "2024-03-02T08:15:00.000Z", "2026-11-20T10:04:11.512Z"
STREAMS = {one.name: one for one in connector_modules()["hubspot"].create(Settings(simulator_url=SIMULATOR_URL))}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**25), 10**25),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["true", "false", "", CREATED, CHANGED, "2026-11-20", "1795169051512", "12.50", "1e999999", "7;8"]),
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
PROPERTIES = (
    *("name", "domain", "crm_account_id", "salesforceaccountid", "hs_merged_object_ids", "hubspot_owner_id"),
    *("amount", "deal_currency_code", "closedate", "hs_is_closed", "hs_is_closed_won"),
    *("hs_v2_date_entered_current_stage", "closed_date", "hs_ticket_priority", "source_type", "segment"),
    *("arr", "arr_currency", "contract_end", "time_zone", "hs_parent_company_id"),
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "id": st.one_of(st.just("77"), anything),
        "createdAt": st.one_of(st.just(CREATED), anything),
        "updatedAt": st.one_of(st.just(CHANGED), anything),
        "archivedAt": st.one_of(st.just(CHANGED), anything),
        "archived": st.one_of(st.booleans(), anything),
        "properties": st.one_of(st.dictionaries(st.sampled_from(PROPERTIES), anything, max_size=8), anything),
        "something_new": anything,
    },
)


@settings(max_examples=300)
@given(
    body=st.one_of(bodies, anything),
    name=st.sampled_from(("company", "deal", "ticket")),
    identity_source=st.booleans(),
    state=st.sampled_from(({}, {"since": CHANGED, "archived_since": CREATED})),
)
def test_any_object_means_something_or_is_a_bad_record(
    body: Any, name: str, identity_source: bool, state: dict[str, Any]
) -> None:
    meaning = Meaning(identity_source=identity_source, crm_id_property="crm_account_id")
    raw = RawObject(name, "77", body)
    try:
        mapped = getattr(meaning, name)(raw, state)
    except BadRecordError:
        return
    assert mapped == getattr(meaning, name)(raw, state)
    for event in mapped.events:
        assert event.event_time.tzinfo is not None
        assert all(isinstance(value, str) for value in event.properties.values())


def deal(**properties: Any) -> RawObject:
    usual = {"hs_is_closed": "true", "hs_is_closed_won": "true", "closedate": CHANGED, "amount": "12.50"}
    body = {"id": "7", "createdAt": CREATED, "updatedAt": CHANGED, "properties": {**usual, **properties}}
    return RawObject("deal", "7", body)


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"amount": 12.5, "hs_is_closed": True, "hs_is_closed_won": True},
        {"closedate": 1795169051512},
        {"closedate": "1795169051512", "dealtype": "a_new_value", "a_new_property": {"x": 1}},
    ],
)
def test_text_numbers_and_booleans_mean_the_same(properties: dict[str, Any]) -> None:
    created, won = Meaning(identity_source=True, crm_id_property="x").deal(deal(**properties), {}).events
    assert (created.kind, won.kind) == ("crm.opportunity_created", "crm.opportunity_won")
    assert (won.value, iso(won.event_time)) == (Decimal("12.50"), "2026-11-20T10:04:11.512000Z")


def test_a_company_has_the_terms_that_its_properties_tell() -> None:
    properties = {
        "name": "Harbor Foods", "domain": "harbor-foods.example", "arr": "36000.00", "arr_currency": "EUR",
        "time_zone": "Europe/Lisbon", "contract_end": "2027-01-01", "hs_parent_company_id": "9001",
    }  # fmt: skip
    body = {"id": "77", "createdAt": CREATED, "updatedAt": CHANGED, "archived": False, "properties": properties}
    raw = RawObject("company", "77", body)
    meaning = Meaning(identity_source=True, crm_id_property="x")
    (found,) = meaning.company(raw, {}).profiles
    assert (found.arr, found.arr_currency, found.time_zone) == (Decimal("36000.00"), "EUR", "Europe/Lisbon")
    assert (found.domain, found.parent) == ("harbor-foods.example", "hubspot:company:9001")
    assert str(found.renewal_date) == "2027-01-01"
    raw.body["properties"] = {**properties, "time_zone": "somewhere", "domain": "gmail.com", "contract_end": ""}
    (found,) = meaning.company(raw, {}).profiles
    assert (found.time_zone, found.domain, found.renewal_date) == (None, None, None)


def test_a_bad_record_leaves_the_rest_of_its_page() -> None:
    page = Page([deal(amount="much"), deal()], {}, None, more=False)
    outcome, events, _ = map_page(STREAMS["hubspot.deals"], page, {})
    assert [one.record_name for one in outcome.set_aside] == ["DeadLetter"]
    assert len(events) == 2


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"results": {}},
        {"results": [{"from": {"id": "1"}, "to": ["7"]}]},
        {"results": [{"properties": {}}]},
        {"results": [7]},
        {"results": [{"id": "nobody"}]},
    ],
)
def test_an_answer_of_another_form_is_asked_for_again(body: Any) -> None:
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, json=body))
    client = HubSpotClient(
        VendorHttp("hubspot", wire=Wire(transport=transport, sleep=lambda _seconds: None)), "http://x.test", "2026-09"
    )
    with pytest.raises(RetriableError):
        client.page("deals", (), after=None, archived=False)
    with pytest.raises(RetriableError):
        client.read("deals", ["1"], ())
    with pytest.raises(RetriableError):
        client.companies_of("deals", ["1"])
