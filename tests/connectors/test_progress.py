"""How far a first load is, as each stream tells it between pages: it only grows, and ends at the whole."""

from collections.abc import Callable

import pytest

from connectors.simulation.vendors import simulators
from connectors.simulation.world import World
from tests.connectors.conftest import Stage
from tests.connectors.simulated import Followed

pytestmark = pytest.mark.usefixtures("small_pages")

UNITS = {
    "salesforce.accounts": "records",
    "salesforce.opportunities": "records",
    "zendesk.tickets": "days",
    "mixpanel.export": "days",
    "stripe.billing": "lists",
    "hubspot.companies": "records",
    "hubspot.deals": "records",
    "hubspot.tickets": "records",
    "intercom.conversations": "days",
    "amplitude.export": "days",
}
"""What the vendors' APIs let these streams tell."""


@pytest.mark.parametrize("name", simulators())
def test_progress_grows_to_the_whole(name: str, world: World, stage_of: Callable[..., Stage]) -> None:
    stage = stage_of(world)
    for stream_name, stream in stage.streams(name).items():
        followed, told = Followed(stream), []
        while followed.page():
            assert followed.promises[-1] is None, "a first load promises nothing before its end"
            before = len(stage.transport.requests)
            progress = stream.progress(dict(followed.state))
            assert len(stage.transport.requests) - before <= 2, "progress is cheap"
            if progress is not None:
                told.append(progress)
        assert {progress.unit for progress in told} <= {UNITS.get(stream_name, progress.unit) for progress in told}
        assert [progress.done for progress in told] == sorted(progress.done for progress in told)
        for progress in told:
            assert progress.done >= 0
            assert progress.total is None or progress.done <= progress.total
        if stream_name in UNITS:
            assert len(told) >= 2
            assert told[-1].total
            assert told[-1].done / told[-1].total > 0.6
            assert told[0].done / (told[0].total or 1.0) < 0.5
