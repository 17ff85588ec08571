"""`vitals bootstrap`: everything that must exist before the first process runs. Repeating it changes nothing.

Steps are discovered: a module called `bootstrap` below a top-level package has `ORDER` (lower runs first), `TITLE` and
`bootstrap(settings)`.
"""

from types import ModuleType

import click
import structlog

from vitals.discovery import modules_named
from vitals.settings import Settings, load_settings
from vitals.telemetry import configure_logging

log = structlog.get_logger()


def steps() -> list[ModuleType]:
    """The discovered steps, in the order in which they run."""
    return sorted(
        (module for module in modules_named("bootstrap") if hasattr(module, "ORDER")),
        key=lambda module: (module.ORDER, module.__name__),
    )


def run(settings: Settings) -> None:
    """Runs every step.

    Raises:
        UserError, FatalError: as the steps say.
    """
    for step in steps():
        log.info("bootstrap", step=step.__name__, title=step.TITLE)
        step.bootstrap(settings)


@click.command("bootstrap")
def command() -> None:
    """Prepares an installation: topics, schemas, tables, registered streams, the first user. Safe to repeat."""
    settings = load_settings()
    configure_logging(settings)
    run(settings)
    click.echo("Ready: topics, schemas, tables, streams and the first user exist.")
