"""Creates the raw topics of the deployment's sources and registers their streams: from here on each of them holds the
watermark of its topics until it has spoken."""

from collections.abc import Iterable

from connectors.catalogue import connector_modules, registrations_of
from connectors.writer import progress_record
from schemas.bootstrap import prepare_topics
from schemas.topics import TOPICS, raw_topic
from vitals.avro import AvroSerde, Registry
from vitals.clock import Clock, WallClock
from vitals.errors import RetriableError
from vitals.kafka import producer
from vitals.settings import Settings

ORDER = 30
TITLE = "raw topics and registered streams"


def bootstrap(settings: Settings) -> None:
    """Registers every stream of the enabled connectors, the HTTP collect endpoint among them.

    Raises:
        UserError: an enabled connector lacks settings.
        RetriableError: the brokers did not take the records.
    """
    modules = connector_modules()
    registered: list[tuple[str, str, tuple[str, ...]]] = []
    for name in settings.enabled_connectors:
        if name in modules:
            registered.extend(registrations_of(modules[name], settings))
    prepare_topics(settings, {source: raw_topic(source) for source, _, _ in registered}.values())
    register(settings, AvroSerde(Registry(settings.registry_url)), WallClock(), registered)


def register(
    settings: Settings, serde: AvroSerde, clock: Clock, streams: Iterable[tuple[str, str, tuple[str, ...]]]
) -> None:
    """Writes a progress record without `complete_through` to every partition of each (source, stream, topics).

    A stream that has spoken already is not set back by it.

    Raises:
        RetriableError: the brokers did not take the records.
    """
    client = producer(settings)
    for source, stream, topics in streams:
        record = progress_record(source, stream, None, clock.now())
        for topic in topics:
            encoded = serde.encode(topic, "Progress", record)
            for partition in range(TOPICS[topic].partitions):
                client.produce(topic, encoded, f"progress|{stream}".encode(), partition)
    if client.flush(30) > 0:
        raise RetriableError("Kafka did not take the registration of the streams within 30 s.")
