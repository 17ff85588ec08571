"""The rollup compiles every metric of the catalogue; what a metric must be is checked in tests/metrics."""

import ibis
import pytest

from metrics.catalogue import catalogue, metrics_of
from metrics.contract import Metric
from schemas.topics import EVENTS_TOPICS
from streams.rollup.compiled import compiled, property_names


def test_every_metric_is_compiled_exactly_once_a_grain() -> None:
    compiled_metrics = [
        (grain.grain, metric) for topic in EVENTS_TOPICS for grain in compiled(topic).grains for metric in grain.metrics
    ]
    expected = [(grain, metric.name) for metric in catalogue() for grain in metric.grains]
    assert sorted(compiled_metrics) == sorted(expected)
    assert sum(len(metrics_of(topic)) for topic in EVENTS_TOPICS) == len(catalogue())


def metric_where(where) -> Metric:
    return Metric("crm.some", "events.crm", "count", where, "deals", "crm", "Of a test.")


def test_the_properties_that_a_metric_looks_up_are_found() -> None:
    metric = metric_where(lambda events: (events.properties["a"] == "1") | events.properties["b"].isin(("2", "3")))
    assert property_names(metric) == {"a", "b"}
    assert property_names(metric_where(lambda events: events.kind == "a")) == set()


@pytest.mark.parametrize(
    "where",
    [
        lambda events: events.properties.contains("a"),
        lambda events: events.properties[events.kind] == "a",
        lambda events: (events.properties["a"] == "1") & (events.properties.length() > ibis.literal(3)),
    ],
    ids=["contains", "by-column", "whole"],
)
def test_properties_read_as_a_whole_are_refused(where) -> None:
    with pytest.raises(ValueError, match=r"crm\.some: properties are looked up by name only"):
        property_names(metric_where(where))
