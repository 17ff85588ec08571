"""Every metric over a generated log against plain Python that shares nothing with its expression."""

from functools import cache
from typing import Any

import pyarrow as pa
import pytest

from metrics.authoring.evaluation import evaluate, event_table
from metrics.catalogue import catalogue
from metrics.contract import Metric
from tests.metrics.oracle import ORACLES
from tests.parity.logs import Shape, first_of_each, generated


@cache
def log(topic: str) -> tuple[list[dict[str, Any]], pa.Table]:
    """The events of a topic that count, as dictionaries and as the table that metrics read."""
    events = list(first_of_each(generated(topic, Shape(6000, accounts=8))))
    return events, event_table(events)


@pytest.mark.parametrize("metric", catalogue(), ids=lambda metric: metric.name)
def test_a_metric_agrees_with_its_oracle(metric: Metric) -> None:
    assert metric.name in ORACLES, f"Write {metric.name}'s oracle in tests/metrics/oracle.py."
    oracle = ORACLES[metric.name]
    assert metric.merge == oracle.merge
    events, table = log(metric.topic)
    for grain in metric.grains:
        found = {(each.account_id, each.window_start): each.value for each in evaluate(metric, grain, table)}
        expected = oracle.windows(events, grain)
        assert found == expected
        assert len(expected) > 8, "the generated log has nothing for this metric"


def test_no_oracle_outlives_its_metric() -> None:
    assert set(ORACLES) == {metric.name for metric in catalogue()}
