"""`vitals scoring`."""

import click


@click.command("scoring")
def scoring() -> None:
    """Runs a scoring worker: metric values in, health scores out. Start as many as there are cores to give."""
    import asyncio
    import os
    import sys

    from models.loader import read_model
    from streams.scoring.app import ScoringApp
    from streams.scoring.model_record import record_model
    from streams.scoring.publisher import Publisher
    from streams.scoring.worker import ScoringWorker
    from vitals.avro import AvroSerde, Registry
    from vitals.clock import WallClock
    from vitals.errors import FatalError
    from vitals.process import start_process

    settings, health, stopping = start_process("scoring")
    model = read_model(settings.health_model)
    record_model(settings, model, stopping)
    serde = AvroSerde(Registry(settings.registry_url))
    publisher = Publisher(settings, serde, WallClock(), stopping)
    worker = ScoringWorker(settings, model, serde, publisher, stopping)
    status = 0
    try:
        asyncio.new_event_loop().run_until_complete(ScoringApp(settings, worker, health, stopping).run())
    except FatalError as error:
        click.echo(f"vitals: {error}", err=True)
        status = 2
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of Kafka clients may still wait for a broker: what is not acknowledged is read again, so nothing is lost.
    os._exit(status)


commands = [scoring]
