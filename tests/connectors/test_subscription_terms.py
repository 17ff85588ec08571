"""What Stripe's subscriptions are worth a year, told at first and followed, is what the world says at that time."""

from collections.abc import Callable
from decimal import Decimal

from connectors.simulation.billing_records import seats_at
from connectors.simulation.calendar import DAY
from connectors.simulation.world import World, seat_price_cents
from tests.connectors.conftest import Stage
from tests.connectors.simulated import Followed
from vitals.events import Event


def newest_values(followed: Followed) -> dict[str, Decimal]:
    newest: dict[str, Event] = {}
    for event in followed.events:
        if event.kind == "billing.contract_set":
            held = newest.get(event.properties["contract"])
            if held is None or event.event_time >= held.event_time:
                newest[event.properties["contract"]] = event
    return {name: event.value for name, event in newest.items() if event.value is not None}


def worth(world: World, at: int) -> dict[str, Decimal]:
    """By subscription: seats, price and twelve months; nothing for one that has ended."""
    return {
        one.subscription_id: Decimal(0)
        if one.canceled_at is not None and one.canceled_at <= at
        else Decimal(seats_at(one, at) * seat_price_cents(one.plan_at(at)) * 12) / 100
        for one in world.subscriptions
        if one.created_at <= at
    }


def test_terms_are_those_of_the_world_at_first_and_while_followed(world: World, stage_of: Callable[..., Stage]) -> None:
    stage = stage_of(world)
    followed = Followed(stage.streams("stripe")["stripe.billing"]).catch_up()
    at = int(stage.simulation.clock.now()) - 3
    at_first = newest_values(followed)
    assert at_first == worth(stage.simulation.world, at)
    assert 0 < len([value for value in at_first.values() if value]) <= len(at_first)
    for _ in range(6):
        stage.advance_to(stage.simulation.clock.now() + 11 * DAY + 5)
        followed.catch_up()
    later = newest_values(followed)
    assert later == worth(stage.simulation.world, int(stage.simulation.clock.now()) - 3)
    changed = [name for name, value in later.items() if at_first.get(name, value) != value]
    assert changed, "nothing changed, so following is not tested"
