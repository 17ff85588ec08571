"""`vitals sink …`: one subcommand a folder here; adding a sink adds its folder and nothing else."""

import importlib
import pkgutil

import click

import sinks


class SinkGroup(click.Group):
    """Finds the sinks: every package in this folder whose `process` module has `run()`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the sinks."""
        del ctx
        return sorted(info.name for info in pkgutil.iter_modules(sinks.__path__) if info.ispkg)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a sink; its help is the first line of its package's docstring."""
        if cmd_name not in self.list_commands(ctx):
            return None
        summary = (importlib.import_module(f"sinks.{cmd_name}").__doc__ or "").partition("\n")[0]

        def run() -> None:
            importlib.import_module(f"sinks.{cmd_name}.process").run()

        return click.Command(cmd_name, callback=run, help=f"{summary} Ends cleanly on SIGTERM or Ctrl-C.")


@click.group("sink", cls=SinkGroup)
def sink() -> None:
    """Writes what the streams publish into a store."""


commands = [sink]
