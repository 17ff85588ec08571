"""`vitals rollup`."""

import click


@click.command("rollup")
def rollup() -> None:
    """Runs a rollup worker: events in, metric values out. Start as many as there are cores to give."""
    from streams.rollup.worker import RollupWorker
    from vitals.avro import AvroSerde, Registry
    from vitals.clock import WallClock
    from vitals.process import start_process

    settings, health, stopping = start_process("rollup")
    serde = AvroSerde(Registry(settings.registry_url))
    RollupWorker(settings, serde, WallClock(), stopping).run(health)


commands = [rollup]
