"""What vendors show of contracts, upgrades and satisfaction, and that a live connector sees each change."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from connectors.simulation.billing_ledger import BillingLedger
from connectors.simulation.calendar import DAY, epoch, iso_day
from connectors.simulation.crm_records import account_row, rows
from connectors.simulation.generated import generate
from connectors.simulation.injection import Injection
from connectors.simulation.stage import Simulation
from connectors.simulation.world import ACTIVITY_KINDS, NEVER, SURVEY_KINDS, World, no_activities, seat_price_cents
from tests.simulation.conftest import STRIPE, StageAt, client_of, zendesk_token


@pytest.fixture(scope="module")
def company() -> World:
    return generate(seed=3, accounts=120)


def test_an_account_shows_its_contract_and_a_renewal_changes_it(company: World) -> None:
    account = next(one for one in company.accounts if any(change.contract for change in one.changes))
    change = next(change for change in account.changes if change.contract)
    before, after = account_row(account, change.at - 1), account_row(account, change.at)
    assert before is not None
    assert after is not None
    assert account.contract is not None
    assert change.contract is not None
    assert before["Contract_End__c"] == iso_day(account.contract.end)
    assert after["Contract_Start__c"] == iso_day(change.contract.start)
    assert (after["Seats__c"], after["ARR__c"]) == (change.contract.seats, change.contract.arr_cents / 100)
    # A replication by time of modification brings it.
    assert after["SystemModstamp"] > before["SystemModstamp"]
    assert after["Website"] == f"https://www.{account.domain}"
    assert after["NumberOfEmployees"] >= account.contract_seats * 0.7


def test_a_renewal_opens_before_its_notice_and_closes_as_the_account_decides(company: World) -> None:
    seen = {"Closed Won": 0, "Closed Lost": 0}
    for one in company.opportunities:
        if one.kind != "Renewal":
            continue
        open_row = next(
            row
            for row in rows(company, "Opportunity", one.created_at, deleted=False)
            if row["Id"] == one.opportunity_id
        )
        assert (open_row["IsClosed"], open_row["IsWon"], open_row["Type"]) == (False, False, "Renewal")
        assert open_row["CloseDate"] == iso_day(one.expected_close)
        if len(one.stages) == 1 or sum(seen.values()) > 30:
            continue
        closed_at, stage = one.stages[-1]
        assert one.created_at < closed_at < one.expected_close
        row = next(
            row for row in rows(company, "Opportunity", closed_at, deleted=False) if row["Id"] == one.opportunity_id
        )
        assert (row["StageName"], row["IsClosed"], row["IsWon"]) == (stage, True, stage == "Closed Won")
        assert row["CloseDate"] == iso_day(closed_at)
        seen[stage] += 1
    assert all(seen.values())


def test_an_upgrade_changes_the_price_and_is_an_event(company: World) -> None:
    upgraded = [one for one in company.subscriptions if len(one.plan_changes) > 1]
    assert upgraded
    ledger = BillingLedger(company)
    for one in upgraded:
        at, plan = one.plan_changes[1]
        was = one.plan_changes[0][1]
        mutation = next(
            found
            for found in ledger.events.objects
            if found.object_id == one.subscription_id and found.created_at == at
        )
        event = ledger.event(mutation, "version")
        item = event["data"]["object"]["items"]["data"][0]
        assert event["type"] == "customer.subscription.updated"
        assert item["price"]["unit_amount"] == seat_price_cents(plan)
        former = event["data"]["previous_attributes"]["items"]["data"][0]
        assert former["price"]["unit_amount"] == seat_price_cents(was) != seat_price_cents(plan)
        assert former["quantity"] != item["quantity"]


def test_prices_are_those_of_the_plans(client: TestClient) -> None:
    listed = client.get("/stripe/v1/prices", headers=STRIPE).json()["data"]
    assert sorted(one["unit_amount"] for one in listed) == [6_000, 10_000, 10_000, 15_000]
    assert len({one["id"] for one in listed}) == 4
    everything = client.get("/stripe/v1/subscriptions?limit=100&status=all", headers=STRIPE).json()["data"]
    by_price = [
        client.get(f"/stripe/v1/subscriptions?limit=100&status=all&price={one['id']}", headers=STRIPE).json()["data"]
        for one in listed
    ]
    assert by_price[0] == []
    assert sorted(one["id"] for found in by_price for one in found) == sorted(one["id"] for one in everything)


def tickets(client: TestClient, cursor: str | None = None) -> Iterator[tuple[dict[str, Any], str]]:
    """Every ticket of an export, each with the cursor after its page."""
    session, path = zendesk_token(client), "/zendesk/api/v2/incremental/tickets/cursor.json"
    while True:
        params = {"start_time": "0"} if cursor is None else {"cursor": cursor}
        page = client.get(path, params=params, headers=session).json()
        cursor = page["after_cursor"]
        for one in page["tickets"]:
            yield one, cursor
        if page["end_of_stream"]:
            return


def test_a_rating_is_a_change_of_its_ticket(world: World, stage_at: StageAt) -> None:
    csat = world.surveys.kind == SURVEY_KINDS.index("csat")
    place = int((csat & (world.surveys.answered_at > world.history_end)).argmax())
    at, ticket_id = int(world.surveys.answered_at[place]), int(world.surveys.ticket_id[place])
    simulation = stage_at(world, at + 59)
    client = client_of(simulation)
    exported = list(tickets(client))
    before, cursor = {one["id"]: one for one, _ in exported}, exported[-1][1]
    # Zendesk holds back what changed in the last minute, so the ticket is not there at all.
    assert ticket_id not in before
    simulation.clock.change(advance_to=at + 60)
    after = {one["id"]: one for one, _ in tickets(client, cursor)}
    wanted = "good" if int(world.surveys.score[place]) >= 4 else "bad"
    assert after[ticket_id]["satisfaction_rating"]["score"] == wanted
    assert after[ticket_id]["generated_timestamp"] == at
    assert after[ticket_id]["status"] == "solved"
    rated = [one for one in before.values() if one["satisfaction_rating"]["score"] != "unoffered"]
    answered = {int(one) for one in world.surveys.ticket_id[csat & (world.surveys.answered_at <= at - 1)]}
    assert {one["id"] for one in rated} == answered - {ticket_id}


def test_a_deleted_account_is_not_renewed(company: World, stage_at: StageAt) -> None:
    account = next(
        one
        for one in company.accounts
        if [change for change in one.changes if change.contract and change.at > company.history_end + DAY]
    )
    simulation: Simulation = stage_at(company, company.history_end)
    simulation.inject(Injection(kind="account_changed", account=account.crm_id, deleted=True))
    deleted = simulation.world.accounts[account.index]
    row = account_row(deleted, company.history_end + 14 * DAY)
    assert row is not None
    assert row["IsDeleted"] is True
    assert row["SystemModstamp"] == "2026-11-01T00:00:00.000+0000"
    assert account_row(deleted, company.history_end + 60 * DAY) is None


def test_what_managers_do_is_shown_as_it_happens(company: World) -> None:
    """Mails, calls and tasks as tasks, meetings in the calendar; what does not take place is no activity."""
    done, now = company.activities, company.history_end
    kinds = np.array(ACTIVITY_KINDS)[done.kind]
    began, meeting = done.created_at <= now, kinds == "meeting"
    tasks = rows(company, "Task", now, deleted=True)
    assert len(tasks) == (began & ~meeting).sum()
    closed = [row for row in tasks if row["IsClosed"]]
    assert len(closed) == (began & ~meeting & (done.done_at <= now)).sum()
    assert {row["TaskSubtype"] for row in tasks} == {"Email", "Call", "Task"}
    assert sorted(epoch(row["CompletedDateTime"]) for row in closed) == sorted(
        done.done_at[~meeting & (done.done_at <= now)].tolist()
    )
    held = [row for row in rows(company, "Event", now, deleted=False) if epoch(row["StartDateTime"]) <= now]
    took_place = meeting & (done.due_at <= now) & (done.done_at < NEVER)
    assert sorted(epoch(row["StartDateTime"]) for row in held) == sorted(done.due_at[took_place].tolist())
    # What was called off lies in the Recycle Bin for a while.
    off_at = int(done.due_at[meeting & (done.done_at == NEVER)][0]) - 3_600
    for at, there in ((off_at - 1, False), (off_at, True), (off_at + 15 * DAY - 1, True), (off_at + 15 * DAY, False)):
        gone = [row for row in rows(company, "Event", at, deleted=True) if row["IsDeleted"]]
        assert (off_at in {epoch(row["SystemModstamp"]) for row in gone}) == there


def test_a_world_that_tells_no_activities_has_a_made_up_rule(company: World) -> None:
    silent = replace(company, activities=no_activities())
    tasks = rows(silent, "Task", silent.history_end, deleted=True)
    assert {row["Subject"] for row in tasks} == {"Check-in call", "E-mail: how is it going?", "Visit"}
    assert rows(silent, "Event", silent.history_end, deleted=True)
