"""Shapes of logs that Hypothesis draws: empty and large, one account and many, all duplicates, all disorder."""

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from schemas.topics import EVENTS_TOPICS
from tests.parity.logs import Shape

SHAPES = st.builds(
    Shape,
    events=st.sampled_from([0, 1, 60, 400, 1500]),
    accounts=st.sampled_from([1, 12, 300]),
    days=st.sampled_from([1, 40]),
    duplicates=st.sampled_from([0.0, 0.05, 0.6]),
    disorder=st.sampled_from([0.0, 0.03, 1.0]),
    seed=st.integers(0, 1000),
)

APPENDED = st.fixed_dictionaries({topic: st.lists(SHAPES, min_size=2, max_size=4) for topic in EVENTS_TOPICS})
"""What is appended to each events topic before an engine reads all of it again."""

of_an_engine = settings(max_examples=3, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
"""An engine takes a minute to answer: a few examples, and none of the hundreds that would make a failing one small."""
