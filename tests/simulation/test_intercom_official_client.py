"""Intercom's own client library reads the simulator as it reads Intercom."""

from collections.abc import Callable

import pytest
from intercom import (
    Conversation,
    Intercom,
    MultipleFilterSearchRequest,
    SingleFilterSearchRequest,
    StartingAfterPaging,
)
from intercom.core.api_error import ApiError
from intercom.core.request_options import RequestOptions
from intercom.errors import NotFoundError, UnauthorizedError
from starlette.testclient import TestClient

from connectors.intercom import credentials
from connectors.intercom.simulator import INDEX_SECONDS, TIMEZONE
from connectors.simulation.faults import Fault
from connectors.simulation.stage import Simulation
from connectors.simulation.world import World

SINCE_EVER = SingleFilterSearchRequest(field="updated_at", operator=">", value=0)


@pytest.fixture
def official(client: TestClient) -> Callable[..., Intercom]:
    """The official client against the test's stage."""
    return lambda token=credentials.ACCESS_TOKEN: Intercom(
        token=token, base_url="http://simulator.test/intercom", httpx_client=client
    )


def test_it_identifies_the_workspace(official: Callable[..., Intercom]) -> None:
    admin = official().admins.identify()
    assert admin is not None
    assert admin.app is not None
    assert admin.app.timezone == TIMEZONE


def test_it_pages_through_every_conversation(official: Callable[..., Intercom], world: World) -> None:
    query = MultipleFilterSearchRequest(operator="AND", value=[SINCE_EVER])
    found, pagination = list[Conversation](), StartingAfterPaging(per_page=50)
    while True:
        # The library's own pager asks for the first page for ever: it does not put the next place into the body.
        page = official().conversations.search(query=query, pagination=pagination)
        found += page.items or ()
        if not page.has_next:
            break
        assert page.response.pages is not None
        assert page.response.pages.next is not None
        pagination = page.response.pages.next
    assert len(found) == page.response.total_count
    as_of = world.history_end - INDEX_SECONDS
    assert len(found) == int((world.tickets.opened_at <= as_of).sum())
    closed = [one for one in found if one.state == "closed"]
    assert len(closed) == int(((world.tickets.opened_at <= as_of) & (world.tickets.solved_at <= as_of)).sum())
    assert all(one.statistics is not None and one.statistics.last_close_at for one in closed)
    stars = [one.conversation_rating.rating for one in found if one.conversation_rating is not None]
    assert {1, 5} <= set(stars) <= {1, 2, 3, 4, 5}
    one = official().conversations.find(conversation_id=closed[0].id)
    assert one.source is not None
    assert one.source.author is not None
    assert one.contacts is not None
    assert one.contacts.contacts is not None
    assert one.source.author.id == one.contacts.contacts[0].id


def test_it_follows_a_contact_to_its_company(official: Callable[..., Intercom], world: World) -> None:
    client = official()
    page = client.contacts.search(query=SINCE_EVER, pagination=StartingAfterPaging(per_page=150))
    assert page.items is not None
    assert len(page.items) == len({one.id for one in page.items}) > 100
    first = page.items[0]
    assert first.companies is not None
    assert first.companies.data is not None
    company = client.companies.find(company_id=first.companies.data[0].id)
    assert company.company_id.removeprefix("crm-") in {account.crm_id for account in world.accounts}
    attached = client.companies.list_attached_contacts(company_id=company.id).data
    assert first.id in {one.id for one in attached or ()}


def test_it_scrolls_through_the_companies(official: Callable[..., Intercom], world: World) -> None:
    companies = [one for page in official().companies.scroll().iter_pages() for one in page.items or ()]
    assert len(companies) == len({one.id for one in companies}) == len(world.accounts)


def test_it_raises_intercoms_errors(official: Callable[..., Intercom], simulation: Simulation) -> None:
    with pytest.raises(UnauthorizedError) as unauthorized:
        official("somebody-elses").companies.find(company_id="none")
    assert unauthorized.value.body.errors[0].code == "unauthorized"
    with pytest.raises(NotFoundError):
        official().companies.find(company_id="none")
    simulation.faults.order(Fault("intercom", "rate_limit"))
    with pytest.raises(ApiError) as throttled:
        official().companies.find(company_id="none", request_options=RequestOptions(max_retries=0))
    assert throttled.value.status_code == 429
    assert (throttled.value.headers or {})["x-ratelimit-limit"] == "1666"
