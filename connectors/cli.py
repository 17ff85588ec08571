"""`vitals connect`."""

import click


@click.command("connect")
@click.argument("names", nargs=-1)
def connect(names: tuple[str, ...]) -> None:
    """Runs connectors: NAMES, or all that VITALS_CONNECTORS enables. Ends cleanly on SIGTERM or Ctrl-C."""
    from connectors.process import run_connectors

    run_connectors(names)


commands = [connect]
