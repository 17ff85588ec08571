"""Rate limits over ten full windows and more of each vendor, with the documented limit and with half of it."""

import pytest

from connectors.simulation import generated
from tests.connectors.rate_limits import VENDORS, WORTH, run
from tests.long.conftest import Facts


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("vendor", VENDORS)
def test_a_limit_is_kept_after_the_first_refusal_and_used(vendor: str, scale: float, facts: Facts) -> None:
    course = run(generated.generate(seed=7, accounts=60), vendor, scale=scale, fills=10.0)
    allowed = "the limit" if scale == 1.0 else "half of the limit, which it had to learn"
    facts(f"{vendor}: first loads under {allowed}", course.figure())
    for window in course.windows:
        assert window.most_after_first_refusal() <= window.count
        assert len(window.refused) <= 1
    assert course.worth() <= WORTH
