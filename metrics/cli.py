"""`vitals metrics`: the catalogue, a new metric, a definition on history.

The modules that do the work are imported by each command: this module is imported by every `vitals` process.
"""

from pathlib import Path
from typing import Any

import click

MERGE_KINDS = ("count", "sum", "min", "max", "distinct", "last")
GRAINS = ("minute", "hour", "day")


@click.group("metrics")
def group() -> None:
    """Shows what is measured, starts a new metric, tries a definition on history."""


@group.command("list")
@click.option("--domain", help="Only metrics of this domain, such as product.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_metrics(domain: str | None, as_json: bool) -> None:
    """Shows every metric."""
    import json

    from rich.console import Console

    from metrics.authoring.reference import described, listing
    from metrics.catalogue import catalogue
    from vitals.errors import UserError

    chosen = [metric for metric in catalogue() if domain in (None, metric.name.partition(".")[0])]
    if not chosen:
        domains = sorted({metric.name.partition(".")[0] for metric in catalogue()})
        raise UserError(f"There is no metric of the domain {domain}: choose one of {', '.join(domains)}.")
    if as_json:
        click.echo(json.dumps([described(metric) for metric in chosen], indent=1))
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 320  # a line a metric, for whatever reads it
    console.print(listing(chosen))


@group.command("new")
@click.argument("name")
@click.option("--merge", type=click.Choice(MERGE_KINDS), default="count", show_default=True, help="How values merge.")
@click.option("--kind", help="Kind of event that it reads; default: a typical one of the domain.")
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), help="Where the file goes; default: the catalogue."
)
def new(name: str, merge: Any, kind: str | None, folder: Path | None) -> None:
    """Writes a new metric NAME, such as product.reports_shared."""
    from metrics.authoring.scaffold import scaffold
    from metrics.catalogue import catalogue

    path = scaffold(name, merge, kind, folder or Path(__file__).parent, {metric.name for metric in catalogue()})
    elsewhere = f" --file {path}" if folder else ""
    click.echo(f"{path} is written, and its example runs. docs/metrics.md says what comes next; look at it with")
    click.echo(f"  vitals metrics preview {name} --from 2026-01-01{elsewhere}")


@group.command("preview")
@click.argument("name", required=False)
@click.option("--from", "start", required=True, metavar="TIME", help="First window: ISO date or time, UTC.")
@click.option("--to", "end", metavar="TIME", help="No window that starts here or later.")
@click.option("--grain", type=click.Choice(GRAINS), default="day", show_default=True, help="Length of a window.")
@click.option("--account", metavar="ID", help="Only this account.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Most windows printed.")
@click.option("--file", "path", type=click.Path(path_type=Path), help="Python file of a metric not in the catalogue.")
def preview(
    name: str | None, start: str, end: str | None, grain: Any, account: str | None, limit: int, path: Path | None
) -> None:
    """Runs metric NAME on history.

    The definition, or that of --file, reads all of its topic in Kafka: nothing is written, and the newest windows are
    printed.
    """
    from metrics.authoring.definitions import metric_in, metric_named
    from metrics.authoring.preview import Extent, instant, run_preview
    from vitals.errors import UserError
    from vitals.settings import load_settings

    if path is None and name is None:
        raise UserError("Say which metric: NAME, or --file with its definition.")
    metric = metric_named(name or "") if path is None else metric_in(path)
    if name is not None and metric.name != name:
        raise UserError(f"{path} defines {metric.name}, not {name}.")
    extent = Extent(grain, instant(start), None if end is None else instant(end), account, limit)
    run_preview(load_settings(), metric, extent)


@group.command("reference")
@click.option("--write", "page", type=click.Path(path_type=Path, dir_okay=False), help="Renew the table in this page.")
def print_reference(page: Path | None) -> None:
    """Prints the table of docs/metrics.md."""
    from metrics.authoring.reference import reference, write_reference
    from metrics.catalogue import catalogue

    if page is None:
        click.echo(reference(catalogue()), nl=False)
    else:
        write_reference(page, catalogue())


commands = [group]
