"""The catalogue as people read it: a listing for the terminal, JSON, and the table in docs/metrics.md."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.table import Table

from metrics.contract import Metric
from vitals.marked_page import write_table

BEGIN = "<!-- Made by `vitals metrics reference --write docs/metrics.md`. -->\n"


def described(metric: Metric) -> dict[str, Any]:
    """A metric as JSON."""
    return {
        "name": metric.name,
        "merge": metric.merge,
        "grains": list(metric.grains),
        "unit": metric.unit,
        "owner": metric.owner,
        "description": metric.description,
        "topic": metric.topic,
    }


def listing(metrics: Iterable[Metric]) -> Table:
    """A table for the terminal."""
    table = Table(box=None, pad_edge=False)
    for column in ("name", "kind", "grains"):
        table.add_column(column, no_wrap=True)
    for column in ("unit", "owner", "description"):
        table.add_column(column)
    for metric in metrics:
        table.add_row(metric.name, metric.merge, " ".join(metric.grains), metric.unit, metric.owner, metric.description)
    return table


def reference(metrics: Iterable[Metric]) -> str:
    """A table in Markdown.

    >>> from metrics.product_events import METRIC
    >>> print(reference([METRIC]).splitlines()[2])
    | `product.events` | count | minute, hour, day | events | product | Product events, duplicates left out. |
    """
    rows = ["| metric | kind | grains | unit | owner | meaning |", "| --- | --- | --- | --- | --- | --- |"]
    rows += [
        f"| `{metric.name}` | {metric.merge} | {', '.join(metric.grains)} | {metric.unit} | {metric.owner} | "
        f"{metric.description} |"
        for metric in metrics
    ]
    return "\n".join(rows) + "\n"


def write_reference(path: Path, metrics: Iterable[Metric]) -> None:
    """Renews the table of a page.

    Raises:
        UserError: the page cannot be read or has no place for the table.
    """
    write_table(path, BEGIN, reference(metrics))
