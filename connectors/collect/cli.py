"""`vitals collect`."""

import click


@click.command("collect")
def collect() -> None:
    """Receives events from applications over HTTP, in Segment's form, on VITALS_COLLECT_PORT."""
    from connectors.collect.process import run_collect

    run_collect()


commands = [collect]
