"""`vitals rollup`."""

from typing import Any

import click

from streams.rollup.flink.options import flink_options, require_no_flink_options


@click.command("rollup")
@click.option(
    "--engine", type=click.Choice(["worker", "flink"]), default="worker", help="What computes; default worker."
)
@flink_options
def rollup(engine: str, **asked: Any) -> None:
    """Runs a rollup worker: events in, metric values out. Start as many as there are cores to give.

    `--engine flink` runs the same metrics as one Flink job instead, into a topic of its own: see docs/flink.md.
    """
    if engine == "flink":
        from streams.rollup.flink.process import FlinkRun, run

        return run(FlinkRun(**asked))
    require_no_flink_options()
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
