"""Every vendor's limit, and half of it: after a first refusal no window holds too much, and little time is lost."""

import pytest

from connectors.simulation.world import World
from tests.connectors.rate_limits import VENDORS, WORTH, run
from tests.connectors.simulated import conformance

WITHOUT_A_LIMIT = {"amplitude"}


def test_every_vendor_with_a_limit_is_here() -> None:
    assert set(VENDORS) == set(conformance()) - WITHOUT_A_LIMIT


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("vendor", VENDORS)
def test_a_first_load_keeps_the_limit_and_uses_it(world: World, vendor: str, scale: float) -> None:
    """With half of the documented limit, which the connector has to learn."""
    course = run(world, vendor, scale=scale, fills=3.0)
    for window in course.windows:
        assert window.most_after_first_refusal() <= window.count
        assert len(window.refused) <= 1, "one refusal teaches the limit"
    assert scale < 1.0 or not any(window.refused for window in course.windows)
    assert course.worth() <= WORTH


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_polls_that_search_keep_hubspots_limit_of_searches(world: World, scale: float) -> None:
    course = run(world, "hubspot", scale=scale, fills=20.0, polls=True)
    (searches,) = (window for window in course.windows if window.seconds == 1.0)
    assert searches.ideal_seconds() > 0
    assert searches.most_after_first_refusal() <= searches.count
    assert len(searches.refused) <= 1
    assert course.worth() <= WORTH
