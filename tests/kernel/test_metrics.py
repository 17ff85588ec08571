"""The rollup compiles every metric of the catalogue; what a metric must be is checked in tests/metrics."""

from metrics.catalogue import catalogue, metrics_of
from schemas.topics import EVENTS_TOPICS
from streams.rollup.compiled import compiled


def test_every_metric_is_compiled_exactly_once_a_grain() -> None:
    compiled_metrics = [
        (grain.grain, metric) for topic in EVENTS_TOPICS for grain in compiled(topic).grains for metric in grain.metrics
    ]
    expected = [(grain, metric.name) for metric in catalogue() for grain in metric.grains]
    assert sorted(compiled_metrics) == sorted(expected)
    assert sum(len(metrics_of(topic)) for topic in EVENTS_TOPICS) == len(catalogue())
