"""The checks as docs/quality.md lists them."""

from collections.abc import Iterable
from pathlib import Path

from analytics.quality.declarations import Check, CrossSource, Declaration, Freshness
from vitals.marked_page import write_table

BEGIN = "<!-- Made by `vitals quality reference --write docs/quality.md`. -->\n"

_SAID_ELSEWHERE = frozenset(Declaration.model_fields) | {"kind", "topic", "kinds", "left", "right"}


def reference(declared: Iterable[Check]) -> str:
    """A table in Markdown."""
    rows = [
        "| check | kind | of | bounds | severity | gates | meaning |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    rows += [
        f"| `{check.name}` | {check.kind} | {_scope(check)} | {_bounds(check)} | {check.severity} | "
        f"{', '.join(f'`{metric}`' for metric in check.gates)} | {check.description} |"
        for check in declared
    ]
    return "\n".join(rows) + "\n"


def write_reference(path: Path, declared: Iterable[Check]) -> None:
    """Renews the table of a page.

    Raises:
        UserError: the page cannot be read or has no place for the table.
    """
    write_table(path, BEGIN, reference(declared))


def _scope(check: Check) -> str:
    if isinstance(check, Freshness):
        return "progress"
    if isinstance(check, CrossSource):
        return ", ".join(f"`{kind}`" for side in (check.left, check.right) for kind in side.kinds)
    return ", ".join(f"`{kind}`" for kind in check.kinds) or f"`{check.topic}`"


def _bounds(check: Check) -> str:
    told = check.model_dump(mode="json", exclude_none=True, exclude_unset=True)
    said = {name: value for name, value in told.items() if name not in _SAID_ELSEWHERE}
    return ", ".join(
        f"{name} {' '.join(map(str, value)) if isinstance(value, list) else value}" for name, value in said.items()
    )
