"""Stripe: history and feed tell the same, failures are told once, a feed left too long begins again from the lists."""

from collections.abc import Callable

import httpx
import pytest

from connectors.http import VendorHttp, Wire
from connectors.simulation.billing_records import customer_id
from connectors.simulation.calendar import DAY
from connectors.simulation.faults import Fault
from connectors.simulation.injection import Injection
from connectors.simulation.world import World
from connectors.stripe.client import StripeClient
from tests.connectors.conftest import Stage
from tests.connectors.simulated import Followed, by_id, count
from vitals.errors import FatalError
from vitals.events import account_id

StageOf = Callable[..., Stage]
STREAM = "stripe.billing"


def follow(stage: Stage) -> Followed:
    return Followed(stage.streams("stripe")[STREAM]).catch_up()


def test_an_idle_cycle_asks_for_events_only_and_promises_more(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world, world.history_end + DAY * 12)
    followed = follow(stage)
    asked = len(stage.transport.requests)
    stage.advance_to(stage.simulation.clock.now() + 30)
    followed.catch_up()
    since = [request.url.path for request in stage.transport.requests[asked:]]
    assert since.count("/stripe/v1/events") == 1
    assert not [path for path in since if path.count("/") > 3], "an idle feed reads no object again"
    before, after = followed.promises[-2:]
    assert before is not None
    assert after is not None
    assert (after - before).total_seconds() == 30


def test_every_failed_attempt_is_told_once_at_its_own_time(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    followed, end = follow(stage), world.history_end + 50 * DAY
    start = int(stage.simulation.clock.now())
    while stage.simulation.clock.now() < end:
        stage.advance_to(min(end, stage.simulation.clock.now() + 6 * 3_600))
        followed.catch_up()
    expected = sorted(
        (invoice.invoice_id, at)
        for invoice in world.invoices
        for at, succeeded in invoice.attempts
        if not succeeded and start < at <= end
    )
    assert expected, "the world has failures"
    live = [
        one for one in followed.mapped if one.kind == "billing.payment_failed" and "event_time_of" not in one.properties
    ]
    assert sorted((one.source_id, int(one.event_time.timestamp())) for one in live) == expected
    assert len(by_id(followed.events)) == len(followed.events)


def test_history_tells_the_failures_of_unpaid_invoices_and_the_feed_does_not_repeat_them(
    world: World, stage_of: StageOf
) -> None:
    failing = next(one for one in world.invoices if not one.attempts[0][1] and one.created_at > world.history_start)
    failed_at = failing.attempts[0][0]
    stage = stage_of(world, failed_at + 60)  # the feed's overlap still holds the failure
    followed = follow(stage)
    told = [event for event in followed.events if event.kind == "billing.payment_failed"]
    ours = [event for event in told if event.properties["subscription"] == failing.subscription_id]
    assert [event.properties["attempt"] for event in ours] == ["1"]
    assert followed.state[f"failed/{failing.invoice_id}"] == 1


def test_a_feed_left_for_more_than_thirty_days_begins_again_without_repeating_history(
    world: World, stage_of: StageOf
) -> None:
    stage = stage_of(world)
    followed = follow(stage)
    history, promise = len(followed.events), followed.promises[-1]
    stage.advance_to(world.history_end + 40 * DAY)
    followed.catch_up()
    at_once = follow(stage_of(world, world.history_end + 40 * DAY))
    paid = {
        identifier for identifier, event in by_id(at_once.events).items() if event["kind"] == "billing.invoice_paid"
    }
    assert paid <= set(by_id(followed.events))
    assert promise is not None
    old = [event for event in followed.events[history:] if (promise - event.event_time).total_seconds() > 3_600]
    assert not old, "sealed days are not told again"
    assert len(by_id(followed.events)) == len(followed.events)
    assert followed.promises[-1] == at_once.promises[-1]
    assert None not in followed.promises[followed.promises.index(promise) :]


def test_an_invoice_paid_now_is_one_event_with_its_seats(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    followed = follow(stage)
    stage.advance_to(stage.simulation.clock.now() + 3_600)
    followed.catch_up()
    told = len(followed.events)
    account = world.accounts[1]
    _, ids = stage.simulation.inject(Injection("invoice_paid", account=account.crm_id, seats=12))
    stage.advance_to(stage.simulation.clock.now() + 60)
    followed.catch_up()
    paid = [event for event in followed.events[told:] if event.kind == "billing.invoice_paid"]
    mapped = [one for one in followed.mapped if one.source_id == ids["invoice"]]
    assert len(paid) == len(mapped) == 1
    assert paid[0].properties["seats"] == "12"
    assert mapped[0].account_ref == f"stripe:customer:{customer_id(account)}"
    assert paid[0].account_id == account_id(f"crm:account:{account.crm_id}")
    assert paid[0].properties["subscription"] == ids["subscription"]


def test_a_locked_object_and_a_rate_are_waited_for(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    stage.simulation.faults.order(Fault(vendor="stripe", kind="lock_timeout", path="/v1/invoices", count=2))
    stage.simulation.faults.order(Fault(vendor="stripe", kind="rate_limit", path="/v1/customers"))
    assert count(follow(stage).events)["billing.invoice_paid"] > 0
    assert len(stage.waits) == 3


def answering(*bodies: tuple[int, object]) -> StripeClient:
    answers = iter(bodies)

    def answer(_request: httpx.Request) -> httpx.Response:
        status, body = next(answers)
        return httpx.Response(status, json=body)

    wire = Wire(transport=httpx.MockTransport(answer), sleep=lambda _seconds: None)
    return StripeClient(VendorHttp("stripe", wire=wire), "http://stripe.test")


def page(*ids: str, more: bool = False) -> tuple[int, object]:
    return 200, {"object": "list", "data": [{"id": one} for one in ids], "has_more": more}


def test_lines_beyond_the_first_ten_are_read_too() -> None:
    client = answering(page("il_1", "il_2", more=True), page("il_3"))
    whole = client.whole({"id": "in_1", "lines": {"data": [{"id": "il_1"}], "has_more": True}})
    assert [one["id"] for one in whole["lines"]["data"]] == ["il_1", "il_2", "il_3"]
    assert whole["lines"]["has_more"] is False


def test_a_missing_permission_is_not_swallowed() -> None:
    body = {"error": {"type": "invalid_request_error", "code": "more_permissions_required"}}
    with pytest.raises(FatalError, match="more_permissions_required"):
        answering((403, body)).get("invoices", "in_1")


def test_an_object_that_is_gone_leaves_the_events_own_copy() -> None:
    assert answering((404, {"error": {"code": "resource_missing"}})).get("customers", "cus_1") is None
