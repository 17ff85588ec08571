"""Every discovered metric keeps the contract, and the catalogue as a whole has what it should."""

import importlib
import types
from typing import get_args

import pytest

from metrics.catalogue import catalogue, metrics_of
from metrics.cli import GRAINS as GRAIN_CHOICES
from metrics.cli import MERGE_KINDS
from metrics.contract import GRAINS, MergeKind, Metric
from schemas.topics import EVENTS_TOPICS
from tests.metrics.contract import check_example, check_metric


@pytest.mark.parametrize("metric", catalogue(), ids=lambda metric: metric.name)
def test_a_metric_keeps_the_contract(metric: Metric) -> None:
    check_metric(importlib.import_module(f"metrics.{metric.name.replace('.', '_')}"))


def test_a_metric_without_an_example_is_refused() -> None:
    with pytest.raises(AssertionError, match="no runnable example"):
        check_example(types.ModuleType("silent", "A metric of which nothing is shown.\n\n>>> 1 + 1\n2\n"))


def test_every_merge_kind_is_used_and_every_topic_measured() -> None:
    assert len(catalogue()) >= 25
    assert {metric.merge for metric in catalogue()} == set(get_args(MergeKind))
    assert sum(len(metrics_of(topic)) for topic in EVENTS_TOPICS) == len(catalogue())
    assert all(len(metrics_of(topic)) >= 5 for topic in EVENTS_TOPICS)


def test_grains_finer_than_a_day_stay_few() -> None:
    """Each multiplies the rows that ten years of history load."""
    kept = [grain for metric in catalogue() for grain in metric.grains]
    assert kept.count("minute") <= 3
    assert kept.count("hour") <= 6


def test_the_command_line_offers_what_the_contract_knows() -> None:
    assert get_args(MergeKind) == MERGE_KINDS
    assert GRAINS == GRAIN_CHOICES


def test_a_count_has_no_measure() -> None:
    with pytest.raises(ValueError, match="a count has no measure"):
        Metric("x.y", "events.crm", "sum", lambda events: events.kind == "a", "u", "o", "d")


def test_grains_are_named_once_finest_first() -> None:
    for grains in ((), ("day", "hour"), ("day", "day")):
        with pytest.raises(ValueError, match="finest first"):
            Metric("x.y", "events.crm", "count", lambda events: events.kind == "a", "u", "o", "d", grains=grains)
