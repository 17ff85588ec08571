"""The ten real years through the simulators: every count of the file is found again."""

import time
from pathlib import Path

import pytest

from connectors.simulation import git_usage
from connectors.simulation.world import FeatureEvents
from tests.connectors.conftest import Stage
from tests.connectors.simulated import Followed, by_id, count

HALF_A_YEAR = 183 * 86_400


@pytest.mark.parametrize("live", [False, True], ids=["first load", "half of it followed"])
def test_every_count_of_the_file_is_found_again(data_dir: Path, live: bool) -> None:
    """With `live`, the first load ends half a year early and the rest is followed in steps of ten days."""
    world = git_usage.load(data_dir)
    end = int(world.events.event_time.max()) + 40 * 86_400
    stage = Stage(world, end - HALF_A_YEAR if live else end)
    followed: dict[str, Followed] = {}
    for connector in ("salesforce", "zendesk", "mixpanel", "stripe"):
        for name, stream in stage.streams(connector).items():
            started = time.perf_counter()
            followed[name] = Followed(stream).catch_up()
            seconds = time.perf_counter() - started
            print(f"{name}: {len(followed[name].objects)} objects, {followed[name].pages} pages, {seconds:.1f} s")
    for at in range(end - HALF_A_YEAR, end + 1, 10 * 86_400 + 4_321) if live else ():
        stage.advance_to(at)
        for one in followed.values():
            one.catch_up()
    stage.advance_to(end + 120)
    for one in followed.values():
        one.catch_up()
    stage.transport.finish()
    for one in followed.values():
        assert len(by_id(one.events)) == len(one.events)
        assert not [record for record in one.set_aside if record.record_name == "DeadLetter"]

    accounts, product = followed["salesforce.accounts"], followed["mixpanel.export"]
    tickets, billing = followed["zendesk.tickets"], followed["stripe.billing"]
    assert count(accounts.events) == {"crm.account_created": 244}
    assert len({profile.identity for profile in accounts.profiles}) == 244
    assert count(product.events) == {"product.feature_used": 50_312}
    assert count(product.set_aside) == {"product.feature_used": 735}
    assert count(tickets.events) == {"support.ticket_opened": 36_911, "support.ticket_solved": 36_911}
    assert sum(event.properties.get("quality") == "opened_after_solved" for event in tickets.events) == 98
    assert count(billing.events)["billing.invoice_paid"] == len(world.invoices)
    assert sum(event.value or 0 for event in billing.events if event.kind == "billing.invoice_paid") * 100 == sum(
        invoice.amount_cents for invoice in world.invoices
    )
    assert sum(event.value or 0 for event in product.events) == _lines_changed(world.events, len(world.accounts))


def _lines_changed(events: FeatureEvents, accounts: int) -> int:
    return int(events.lines_changed[events.company < accounts].sum())
