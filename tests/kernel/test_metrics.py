"""Every discovered metric is complete, compiles, and reads a topic that exists."""

import pytest

from metrics.catalogue import catalogue, metrics_of
from metrics.contract import Metric
from schemas.topics import EVENTS_TOPICS
from streams.rollup.compiled import compiled


@pytest.mark.parametrize("metric", catalogue(), ids=lambda metric: metric.name)
def test_a_metric_is_described_and_reads_the_topic_of_its_domain(metric: Metric) -> None:
    assert metric.topic in EVENTS_TOPICS
    assert metric.topic == f"events.{metric.name.partition('.')[0]}"
    assert metric.description
    assert metric.unit
    assert metric.owner


def test_every_metric_is_compiled_exactly_once_a_grain() -> None:
    compiled_metrics = [
        (grain.grain, metric) for topic in EVENTS_TOPICS for grain in compiled(topic).grains for metric in grain.metrics
    ]
    expected = [(grain, metric.name) for metric in catalogue() for grain in metric.grains]
    assert sorted(compiled_metrics) == sorted(expected)
    assert sum(len(metrics_of(topic)) for topic in EVENTS_TOPICS) == len(catalogue())


def test_a_count_has_no_measure() -> None:
    with pytest.raises(ValueError, match="a count has no measure"):
        Metric("x.y", "events.crm", "sum", lambda events: events.kind == "a", "u", "o", "d")
