"""What every metric must be: asked of each that is discovered, and of what `vitals metrics new` writes."""

import doctest
import re
from pathlib import Path
from types import ModuleType
from typing import get_args

from metrics.contract import Metric
from metrics.windows import Dialect, window_values
from schemas.topics import EVENTS_TOPICS, events_topic

DOCS = Path(__file__).resolve().parents[2] / "docs"
DOCUMENTED = "".join(
    page.read_text() for page in (DOCS / "connectors.md", DOCS / "collect.md", *(DOCS / "connectors").glob("*.md"))
)
DOMAINS = "|".join(topic.partition(".")[2] for topic in EVENTS_TOPICS)


def check_metric(module: ModuleType) -> None:
    """A metric's file keeps the contract.

    Raises:
        AssertionError: it does not.
    """
    metric = module.METRIC
    assert isinstance(metric, Metric)
    domain, _, what = metric.name.partition(".")
    assert Path(module.__file__ or "").name == f"{domain}_{what}.py"
    assert metric.topic in EVENTS_TOPICS
    assert metric.topic == f"events.{domain}"
    assert metric.unit
    assert metric.owner
    assert metric.description.endswith(".")
    assert metric.grains[-1] == "day"
    check_sql(metric)
    check_example(module)


def check_sql(metric: Metric) -> None:
    """It compiles for every engine and names kinds that a connector's page lists."""
    for grain in metric.grains:
        for dialect in get_args(Dialect):
            assert window_values(metric, grain, dialect).startswith(("SELECT", "\nSELECT"))
    kinds = re.findall(rf"'((?:{DOMAINS})\.\w+)'", window_values(metric, "day", "duckdb"))
    assert kinds
    for kind in kinds:
        assert events_topic(kind) == metric.topic
        assert f"`{kind}`" in DOCUMENTED


def check_example(module: ModuleType) -> None:
    """Its docstring shows window values, and they are true."""
    examples = doctest.DocTestParser().get_examples(module.__doc__ or "")
    assert any("values(METRIC" in each.source and "acme" in each.want for each in examples), "no runnable example"
    outcome = doctest.testmod(module)
    assert outcome.attempted >= len(examples)
    assert outcome.failed == 0
