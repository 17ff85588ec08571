"""Salesforce: tasks, meetings and the people they touch."""

from collections.abc import Callable
from datetime import datetime

import pytest

from connectors.simulation import crm_records
from connectors.simulation.crm_records import rows
from connectors.simulation.world import World
from tests.connectors.conftest import Stage
from tests.connectors.simulated import Followed, by_id
from vitals.events import Event, account_id

StageOf = Callable[..., Stage]


def test_each_done_task_is_one_activity_of_its_account(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    followed = Followed(stage.streams("salesforce")["salesforce.activities"]).catch_up()
    for _ in range(5):
        stage.advance_to(stage.simulation.clock.now() + 6 * 86_400)
        followed.catch_up()
    tasks = rows(world, "Task", int(stage.simulation.clock.now()) - 5, deleted=True)
    done = {(row["AccountId"], row["CompletedDateTime"]) for row in tasks if row["IsClosed"]}
    assert len(done) > 200
    logged = [one for one in followed.events if one.kind == "crm.activity_logged"]
    assert {account_id(f"crm:account:{crm_id}") for crm_id, _ in done} == {one.account_id for one in logged}
    assert len(logged) == len(by_id(logged)) == len(done)
    assert {one.properties["activity"] for one in logged} == {"call", "email", "task"}
    # Each touches the person whom it names, at the same time.
    met = {
        (account_id(f"crm:account:{row['AccountId']}"), datetime.fromisoformat(row["CompletedDateTime"]), row["WhoId"])
        for row in tasks
        if row["IsClosed"] and row["WhoId"]
    }
    touched = [one for one in followed.events if one.kind == "crm.stakeholder_touched"]
    assert {(one.account_id, one.event_time, one.user_id) for one in touched} == met
    assert 0 < len(touched) <= len(logged)
    assert len(logged) + len(touched) == len(by_id(followed.events))


def test_stakeholders_come_and_go_as_the_contacts_do(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    followed = Followed(stage.streams("salesforce")["salesforce.contacts"]).catch_up()
    for _ in range(6):
        stage.advance_to(stage.simulation.clock.now() + 15 * 86_400)
        followed.catch_up()
    until = stage.simulation.clock.now() - 5
    there = [one for one in world.contacts if one.joined_at <= until]
    newest: dict[str, Event] = {}
    for event in sorted(followed.events, key=lambda one: one.event_time):
        newest[str(event.user_id)] = event
    assert {person: (event.account_id, event.properties["role"]) for person, event in newest.items()} == {
        one.contact_id: (account_id(f"crm:account:{world.accounts[one.account].crm_id}"), one.role) for one in there
    }
    left = {one.contact_id for one in there if one.left_at <= until}
    assert left
    assert {person for person, event in newest.items() if event.properties["status"] == "left"} == left
    # No name, address or title leaves the raw objects.
    assert all(set(event.properties) == {"role", "status"} for event in followed.events)


def test_a_meeting_is_told_when_it_is_over_and_once(world: World, stage_of: StageOf) -> None:
    """The record does not change when the meeting ends."""
    stage = stage_of(world)
    followed = Followed(stage.streams("salesforce")["salesforce.meetings"]).catch_up()
    assert [entry for entry in followed.state if entry.startswith("due/")]
    for _ in range(20):
        stage.advance_to(stage.simulation.clock.now() + 2 * 86_400 + 77)
        told, promise = len(followed.events), followed.promises[-1]
        followed.catch_up()
        assert not [one for one in followed.events[told:] if promise and one.event_time < promise]
    until = stage.simulation.clock.now() - 5
    over = [
        row
        for row in rows(world, "Event", int(until), deleted=False)
        if datetime.fromisoformat(row["EndDateTime"]).timestamp() < until
    ]
    assert len(over) > 40
    logged = [one for one in followed.events if one.kind == "crm.activity_logged"]
    assert sorted(int(one.event_time.timestamp()) for one in logged) == sorted(
        int(datetime.fromisoformat(row["EndDateTime"]).timestamp()) for row in over
    )
    assert {(one.kind, one.properties["activity"]) for one in followed.events} == {
        ("crm.activity_logged", "meeting"),
        ("crm.stakeholder_touched", "meeting"),
    }
    due = [entry for entry in followed.state if entry.startswith("due/")]
    assert len(due) == len(rows(world, "Event", int(until), deleted=False)) - len(over)


def test_a_meeting_that_is_gone_before_its_time_is_forgotten(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stage_of(world)
    followed = Followed(stage.streams("salesforce")["salesforce.meetings"]).catch_up()
    told = len(followed.events)
    assert [entry for entry in followed.state if entry.startswith("due/")]
    monkeypatch.setattr(crm_records, "meeting_rows", lambda _world, _now, **_more: [])
    stage.advance_to(stage.simulation.clock.now() + 20 * 86_400)
    followed.catch_up()
    assert len(followed.events) == told
    assert not [entry for entry in followed.state if entry.startswith("due/")]
