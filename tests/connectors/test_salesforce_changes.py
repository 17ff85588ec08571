"""Change Data Capture: changes are told ahead of the walk, once, and whatever the feed misses the walk brings."""

import time
from collections.abc import Callable, Iterator

import pytest

from connectors.salesforce.pubsub.simulated import PubSubSimulator
from connectors.simulation.faults import Fault
from connectors.simulation.injection import Injection
from connectors.simulation.world import World
from tests.connectors.conftest import Stage
from tests.connectors.simulated import Followed, by_id

ACCOUNTS = "salesforce.accounts"
PATIENCE_SECONDS = 60.0


class Captured:
    """A stage with a Pub/Sub server beside it, and the accounts' stream, caught up and subscribed."""

    def __init__(self, stage: Stage, server: PubSubSimulator) -> None:
        self.stage, self.server = stage, server
        self.followed = Followed(stage.streams("salesforce")[ACCOUNTS]).catch_up()
        self.subscribe()

    def subscribe(self, many: int = 1) -> None:
        """Fetches until the feed has subscribed that many times."""
        self.until(lambda: len(self.server.subscriptions) >= many)

    def until(self, done: Callable[[], bool]) -> None:
        """Fetches as the runner does, with source time standing still, so that no walk can bring anything."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not done():
            assert time.monotonic() < give_up, "it does not come"
            self.followed.page()
            time.sleep(0.02)

    def change(self, account: str, plan: str) -> None:
        """Changes an account, now."""
        self.stage.simulation.inject(Injection("account_changed", account=account, plan=plan))

    def plans(self, account: str) -> list[str | None]:
        """The plans that the account's profiles told, in order, each once."""
        told = [one.plan for one in self.followed.profiles if one.crm_id == account]
        return list(dict.fromkeys(told))


@pytest.fixture
def captured(world: World, stage_of: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch) -> Iterator[Captured]:
    stage = stage_of(world)
    stage.advance_to(world.history_end + 60)
    server = PubSubSimulator(stage.simulation)
    monkeypatch.setenv("VITALS_SALESFORCE_CHANGE_EVENTS", "true")
    monkeypatch.setenv("VITALS_SALESFORCE_PUBSUB_ADDRESS", server.address)
    monkeypatch.setattr("connectors.salesforce.pubsub.feed._FIRST_PAUSE_SECONDS", 0.05)
    one = Captured(stage, server)
    yield one
    one.followed.stream.close()
    server.stop()


def test_a_change_is_told_before_a_walk_can_show_it(captured: Captured, world: World) -> None:
    account = world.accounts[3]
    promised = captured.followed.promises[-1]
    captured.stage.advance_to(captured.stage.simulation.clock.now() + 3)
    captured.change(account.crm_id, "Changed")
    captured.until(lambda: captured.plans(account.crm_id)[-1] == "Changed")
    told = captured.followed.events[-1]
    assert (told.kind, int(told.event_time.timestamp())) == ("crm.account_updated", world.history_end + 63)
    moved = captured.followed.promises[-1]
    assert promised is not None
    assert moved is not None
    assert moved < told.event_time, "what the feed tells promises nothing"
    # The walk reads it again and tells nothing twice.
    captured.stage.advance_to(captured.stage.simulation.clock.now() + 60)
    many = len(captured.followed.events)
    captured.followed.catch_up()
    assert len(captured.followed.events) == many
    assert len(by_id(captured.followed.events)) == many


def test_a_gap_event_has_the_record_read(captured: Captured, world: World) -> None:
    captured.stage.simulation.faults.order(Fault(vendor="salesforce", kind="cdc_gap"))
    captured.stage.advance_to(captured.stage.simulation.clock.now() + 3)
    captured.change(world.accounts[4].crm_id, "After a gap")
    captured.until(lambda: captured.plans(world.accounts[4].crm_id)[-1] == "After a gap")


def test_a_restart_goes_on_behind_the_replay_id_that_was_committed(captured: Captured, world: World) -> None:
    captured.stage.advance_to(captured.stage.simulation.clock.now() + 2)
    captured.change(world.accounts[5].crm_id, "Before")
    captured.until(lambda: captured.plans(world.accounts[5].crm_id)[-1] == "Before")
    replay = captured.followed.state["replay"]
    captured.followed.stream.close()
    captured.stage.advance_to(captured.stage.simulation.clock.now() + 2)
    captured.change(world.accounts[6].crm_id, "While nobody listened")
    captured.followed.restart(captured.stage.streams("salesforce")[ACCOUNTS])
    captured.until(lambda: captured.plans(world.accounts[6].crm_id)[-1] == "While nobody listened")
    assert captured.server.subscriptions[-1].replay_id.hex() == replay
    assert len(by_id(captured.followed.events)) == len(captured.followed.events)


def test_an_expired_replay_id_is_given_up_and_the_walk_brings_what_lies_between(
    captured: Captured, world: World
) -> None:
    captured.stage.advance_to(captured.stage.simulation.clock.now() + 2)
    captured.change(world.accounts[5].crm_id, "Before")
    captured.until(lambda: "replay" in captured.followed.state)
    captured.followed.stream.close()
    captured.stage.simulation.faults.order(Fault(vendor="salesforce", kind="cdc_expired"))
    captured.change(world.accounts[6].crm_id, "In between")
    captured.stage.advance_to(captured.stage.simulation.clock.now() + 60)
    many = len(captured.server.subscriptions)
    captured.followed.restart(captured.stage.streams("salesforce")[ACCOUNTS])
    captured.subscribe(many + 2)
    assert captured.server.subscriptions[-1].replay_id == b""
    assert captured.plans(world.accounts[6].crm_id)[-1] == "In between"
    captured.stage.advance_to(captured.stage.simulation.clock.now() + 3)
    captured.change(world.accounts[7].crm_id, "And on")
    captured.until(lambda: captured.plans(world.accounts[7].crm_id)[-1] == "And on")


@pytest.mark.parametrize("broken", ["dropped", "session"])
def test_a_broken_subscription_is_taken_up_again(broken: str, captured: Captured, world: World) -> None:
    if broken == "dropped":
        captured.stage.simulation.faults.order(Fault(vendor="salesforce", kind="cdc_dropped"))
        captured.subscribe(2)
    else:
        captured.stage.simulation.tokens.expire("salesforce")
        captured.stage.simulation.faults.order(Fault(vendor="salesforce", kind="cdc_dropped"))
        captured.subscribe(2)
    captured.stage.advance_to(captured.stage.simulation.clock.now() + 3)
    captured.change(world.accounts[8].crm_id, "Again")
    captured.until(lambda: captured.plans(world.accounts[8].crm_id)[-1] == "Again")


def test_without_the_pub_sub_api_the_walks_go_on(captured: Captured, world: World) -> None:
    captured.server.stop()
    captured.change(world.accounts[9].crm_id, "Walked")
    captured.stage.advance_to(captured.stage.simulation.clock.now() + 60)
    captured.followed.page()
    captured.followed.catch_up()
    assert captured.plans(world.accounts[9].crm_id)[-1] == "Walked"
