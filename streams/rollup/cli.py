"""`vitals rollup`."""

import click


@click.command("rollup")
def rollup() -> None:
    """Runs a rollup worker: events in, metric values out. Start as many as there are cores to give."""
    from streams.rollup.native import NativeDecoder
    from streams.rollup.worker import RollupWorker
    from vitals.avro import AvroSerde, Registry
    from vitals.clock import WallClock
    from vitals.process import start_process, tune_collector

    settings, health, stopping = start_process("rollup")
    tune_collector()
    registry = Registry(settings.registry_url)
    RollupWorker(settings, AvroSerde(registry), NativeDecoder(registry), WallClock(), stopping).run(health)


commands = [rollup]
