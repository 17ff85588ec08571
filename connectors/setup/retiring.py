"""Ends a stream's hold on the watermarks of its topics. What it brought stays; a later run takes it up again."""

from connectors.catalogue import connector_modules, registrations_of
from connectors.conditions import read_conditions
from connectors.fates import COUNTS, PageOutcome
from connectors.writer import StreamWriter
from vitals.avro import AvroSerde, Registry
from vitals.clock import WallClock
from vitals.errors import UserError
from vitals.settings import Settings


def retire(name: str, settings: Settings) -> list[str]:
    """Retires every stream of a connector that has been run, and returns their names.

    Raises:
        UserError: one of them is running, or Kafka does not answer.
        RetriableError: a transaction was aborted.
    """
    serde, clock = AvroSerde(Registry(settings.registry_url)), WallClock()
    conditions = read_conditions(settings, serde)
    simulated = settings.model_copy(update={"simulator_url": "http://127.0.0.1"})
    registered = registrations_of(connector_modules()[name], simulated)
    running = [stream for _, stream, _ in registered if stream in conditions and conditions[stream].alive(clock.now())]
    if running:
        raise UserError(f"{', '.join(running)} is running: start `vitals connect` without it first, then retire it.")
    for source, stream, topics in registered:
        writer = StreamWriter(settings, serde, clock, source, stream, topics)
        writer.open()
        writer.commit(PageOutcome((), None), writer.state.get(COUNTS, {}), retired=True)
    return [stream for _, stream, _ in registered]
