"""`vitals quality`: the checks, what they found, and the worker. Heavy imports are inside the commands."""

from pathlib import Path
from typing import Any

import click


@click.group("quality")
def group() -> None:
    """Shows the data quality checks and what they found; runs the worker."""


@group.command("run")
def run() -> None:
    """Runs the quality worker: events in, results of the declared checks out, and gates where one fails. One is
    enough."""
    from metrics.catalogue import catalogue
    from schemas.checks.catalogue import checks, require_known_gates
    from streams.quality.worker import QualityWorker
    from streams.rollup.native import NativeDecoder
    from vitals.avro import AvroSerde, Registry
    from vitals.clock import WallClock
    from vitals.process import start_process, tune_collector

    require_known_gates(checks(), {metric.name for metric in catalogue()})
    settings, health, stopping = start_process("quality")
    tune_collector()
    registry = Registry(settings.registry_url)
    QualityWorker(settings, checks(), AvroSerde(registry), NativeDecoder(registry), WallClock(), stopping).run(health)


@group.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_checks(as_json: bool) -> None:
    """Shows every check."""
    import json

    from rich.table import Table

    from schemas.checks.catalogue import checks

    if as_json:
        click.echo(json.dumps([check.model_dump(mode="json", exclude_defaults=True) for check in checks()], indent=1))
        return
    table = Table(box=None, header_style="bold")
    for heading in ("check", "kind", "window", "severity", "gates", "meaning"):
        table.add_column(heading, overflow="fold")
    for check in checks():
        table.add_row(check.name, check.kind, check.window, check.severity, ", ".join(check.gates), check.description)
    _print(table)


@group.command("results")
@click.option("--check", "name", help="Only results of this check.")
@click.option("--source", help="Only those of this source; for freshness the stream.")
@click.option("--from", "start", metavar="TIME", help="No window that starts earlier: ISO date or time, UTC.")
@click.option("--to", "end", metavar="TIME", help="No window that starts here or later.")
@click.option("--failed", is_flag=True, help="Only failures.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="Most results, newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def results(as_json: bool, **asked: Any) -> None:
    """Shows what the checks found, newest windows first."""
    import json

    from rich.table import Table

    from streams.quality.stored_results import Asked, read_results
    from vitals.settings import load_settings

    found = read_results(load_settings(), Asked.of(**asked))
    if as_json:
        click.echo(json.dumps(found, indent=1, default=lambda instant: instant.isoformat()))
        return
    table = Table(box=None, header_style="bold")
    for heading in ("window", "check", "source", "verdict", "observed", "allowed", "records", "flagged"):
        table.add_column(heading, overflow="fold")
    for each in found:
        lower, upper = (_number(each[bound]) for bound in ("lower_bound", "upper_bound"))
        table.add_row(
            f"{each['window_start']:%Y-%m-%d %H:%M}",
            each["check_name"],
            each["source"],
            each["verdict"] if each["final"] else f"{each['verdict']} (open)",
            _number(each["observed"]),
            f"{lower or '-∞'} … {upper or '∞'}" if lower or upper else "",
            str(each["records"]),
            str(each["flagged"]),
        )
    _print(table)


@group.command("schema")
def schema() -> None:
    """Prints the JSON schema of a check's declaration, for editors."""
    import json

    from analytics.quality.declarations import declaration_schema

    click.echo(json.dumps(declaration_schema(), indent=1))


@group.command("reference")
@click.option(
    "--write", "page", type=click.Path(path_type=Path, dir_okay=False), help="Renew the table in this page instead."
)
def print_reference(page: Path | None) -> None:
    """Prints the table of docs/quality.md."""
    from schemas.checks.catalogue import checks
    from streams.quality.reference import reference, write_reference

    if page is None:
        click.echo(reference(checks()))
    else:
        write_reference(page, checks())


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _print(table: Any) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 320  # a line an entry, for whatever reads it
    console.print(table)


commands = [group]
