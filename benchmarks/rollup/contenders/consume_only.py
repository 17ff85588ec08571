"""The floor: librdkafka's consume alone, with the worker's options."""

from collections.abc import Mapping
from types import MappingProxyType

from benchmarks.rollup.contender import Field, project_command, project_environment, run_process
from benchmarks.rollup.measured import Measured

NAME, ORDER, REPEATED = "consume only", 0, True
NOTHING_MORE: Mapping[str, object] = MappingProxyType({})


def run(
    field: Field, decode: bool = False, name: str = NAME, options: Mapping[str, object] = NOTHING_MORE
) -> list[Measured]:
    """One run over the whole log."""
    command = project_command("benchmarks.rollup.jobs.consume")
    arguments = field.arguments() | {"decode": decode, "options": dict(options)}
    return run_process(field, name, command, arguments, project_environment())
