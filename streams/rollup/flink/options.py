"""The options of `vitals rollup --engine flink` on the command line; light, because every command imports it."""

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.core import ParameterSource

Command = TypeVar("Command", bound=Callable[..., Any])

FLINK_OPTIONS = {
    "until_end": click.option(
        "--until-end", is_flag=True, help="Flink: end once the present end of the log is reached."
    ),
    "parallelism": click.option(
        "--parallelism", type=click.IntRange(1), default=1, help="Flink: parallel tasks of each operator; default 1."
    ),
    "checkpoints": click.option(
        "--checkpoints", metavar="DIR|URI", help="Flink: where checkpoints go; default: the state folder."
    ),
    "at_least_once": click.option(
        "--at-least-once", is_flag=True, help="Flink: publish values at once, not with each checkpoint."
    ),
    "state_ttl_hours": click.option(
        "--state-ttl-hours",
        type=click.IntRange(1),
        help="Flink: forget event ids and windows untouched for so long; default: never.",
    ),
    "conf": click.option(
        "--conf", multiple=True, metavar="NAME=VALUE", help="Flink: any of its own settings; may be repeated."
    ),
    "jobmanager": click.option(
        "--jobmanager", metavar="HOST:PORT", help="Flink: submit to the cluster with this REST address, and end."
    ),
    "plan_only": click.option("--plan-only", is_flag=True, help="Flink: print the plan as JSON, and end."),
}


def flink_options(command: Command) -> Command:
    """Adds the options, which arrive as keyword arguments."""
    for option in reversed(FLINK_OPTIONS.values()):
        command = option(command)
    return command


def require_no_flink_options() -> None:
    """Raises click.UsageError where the running command was given one of the options but not `--engine flink`."""
    context = click.get_current_context()
    for name in FLINK_OPTIONS:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name.replace('_', '-')} goes with --engine flink only.")
