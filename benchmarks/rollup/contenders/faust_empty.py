"""Faust's own floor: an agent that does nothing with the messages."""

import uuid

from confluent_kafka.admin import NewTopic

from benchmarks.rollup.broker import admin_of, create, remove
from benchmarks.rollup.contender import Field, project_command, project_environment, run_process
from benchmarks.rollup.measured import Measured

NAME, ORDER, REPEATED = "Faust, empty agent", 10, False
EVENTS = 60_000
CHANGELOG = "benchmark-faust-rows-changelog"
"""As Faust names it after the application and its table."""


def run(field: Field, name: str = NAME, events: int = EVENTS, **more: object) -> list[Measured]:
    """One run over a prefix."""
    prefix = field.prefix(events)
    admin, partitions = admin_of(field.settings), field.log.shape.partitions
    remove(admin, [CHANGELOG])
    create(admin, [NewTopic(CHANGELOG, partitions, 1, config={"cleanup.policy": "compact"})])
    arguments = prefix.arguments() | {"partitions": partitions, "table": False, "run": uuid.uuid4().hex} | more
    command = project_command("benchmarks.rollup.jobs.faust_agent")
    return run_process(field, name, command, arguments, project_environment())
