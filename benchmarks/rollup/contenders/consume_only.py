"""The floor: librdkafka's consume alone, with the worker's options and batch size."""

from benchmarks.rollup.contender import Field, project_command, project_environment, run_process
from benchmarks.rollup.measured import Measured

NAME, ORDER, REPEATED = "consume only", 0, True


def run(field: Field, decode: bool = False, name: str = NAME) -> list[Measured]:
    """One run over the whole log."""
    command = project_command("benchmarks.rollup.jobs.consume")
    return run_process(field, name, command, field.arguments() | {"decode": decode}, project_environment())
