"""The `vitals` command. Commands are discovered: every `cli` module below a top-level package lists its `commands`."""

import sys

import click

from vitals import bootstrap
from vitals.discovery import modules_named
from vitals.errors import FatalError, RetriableError, UserError
from vitals.settings import Settings, load_settings


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="vitals")
def root() -> None:
    """Vitals: streaming customer success. Start with `vitals up`; see what runs with `vitals status`."""


@click.command("settings")
def show_settings() -> None:
    """Prints every setting with its environment variable, value and meaning."""
    settings = load_settings()
    for name, field in Settings.model_fields.items():
        click.echo(f"VITALS_{name.upper()}={getattr(settings, name)}\n    {field.description}")


def main() -> None:
    """Entry point: a user's mistake is one sentence and exit status 2, never a stack trace."""
    root.add_command(show_settings)
    root.add_command(bootstrap.command)
    for module in modules_named("cli"):
        for command in getattr(module, "commands", []):
            root.add_command(command)
    try:
        root(standalone_mode=False)
    except (UserError, FatalError) as error:
        click.echo(f"vitals: {error}", err=True)
        sys.exit(2)
    except RetriableError as error:
        # A passing fault that outlived its retries: whoever supervises this process starts it again.
        click.echo(f"vitals: {error}", err=True)
        sys.exit(75)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("vitals: interrupted", err=True)
        sys.exit(130)
    except click.exceptions.Exit as exit_request:
        sys.exit(exit_request.exit_code)


if __name__ == "__main__":
    main()
