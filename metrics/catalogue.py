"""The metrics that exist, found by walking this folder: one file, one metric."""

import hashlib
import importlib
import pkgutil
from functools import cache

import metrics
from metrics.contract import Metric

DEFINITION_VERSION = 3
"""First part of every value's revision: raised whenever the definition of any metric changes."""


@cache
def catalogue() -> tuple[Metric, ...]:
    """Every metric, by name.

    Raises:
        ValueError: two files define the same name.
    """
    found: dict[str, Metric] = {}
    for info in pkgutil.iter_modules(metrics.__path__, "metrics."):
        metric = getattr(importlib.import_module(info.name), "METRIC", None)
        if isinstance(metric, Metric):
            if metric.name in found:
                raise ValueError(f"Metric {metric.name} is defined twice.")
            found[metric.name] = metric
    return tuple(found[name] for name in sorted(found))


def metrics_of(topic: str) -> tuple[Metric, ...]:
    """The metrics that read one events topic."""
    return tuple(metric for metric in catalogue() if metric.topic == topic)


@cache
def fingerprint() -> str:
    """Tells catalogues apart: state that was kept under one is of no use under another."""
    told = [DEFINITION_VERSION, *((each.name, each.topic, each.merge, each.grains) for each in catalogue())]
    return hashlib.sha256(repr(told).encode()).hexdigest()
