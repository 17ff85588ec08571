"""Creates the topics and registers the schemas, with compatibility enforced."""

from collections.abc import Iterable

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from schemas.topics import TOPICS, Topic
from vitals.avro import Registry
from vitals.errors import FatalError, UserError
from vitals.kafka import connection
from vitals.settings import Settings

ORDER = 10
TITLE = "topics and schemas"

TIMEOUT_SECONDS = 30.0


def bootstrap(settings: Settings, replication_factor: int = -1) -> None:
    """Creates what is missing and registers the newest schema of every record.

    `replication_factor` -1 takes the brokers' default.

    Raises:
        UserError: the brokers cannot be reached.
        FatalError: a topic exists with another number of partitions, or the registry refuses a schema.
    """
    prepare_topics(settings, [topic for topic in TOPICS.values() if not topic.on_demand], replication_factor)


def prepare_topics(settings: Settings, topics: Iterable[Topic], replication_factor: int = -1) -> None:
    """Creates those of the topics that are missing and registers the newest schema of each of their records.

    Raises as `bootstrap` does.
    """
    topics = tuple(topics)
    create_topics(settings, topics, replication_factor)
    registry = Registry(settings.registry_url)
    for topic in topics:
        for record_name in topic.records:
            registry.require_compatibility(topic.name, record_name)
            registry.register(topic.name, record_name)


def create_topics(settings: Settings, topics: Iterable[Topic], replication_factor: int = -1) -> None:
    """Creates those of the topics that do not exist yet.

    Raises:
        UserError: the brokers cannot be reached.
        FatalError: a topic exists with another number of partitions, which would misplace every key.
    """
    admin = AdminClient(connection(settings))
    try:
        existing = admin.list_topics(timeout=TIMEOUT_SECONDS).topics
    except KafkaException as error:
        raise UserError(f"Kafka does not answer at {settings.kafka_bootstrap}: is it running?") from error
    topics = tuple(topics)
    for topic in topics:
        found = existing.get(topic.name)
        if found is not None and len(found.partitions) != topic.partitions:
            raise FatalError(
                f"Topic {topic.name} has {len(found.partitions)} partitions where {topic.partitions} are declared: "
                "partition counts never change in place. Replay into topics of another name instead."
            )
    missing = [
        NewTopic(topic.name, topic.partitions, replication_factor, config=topic.configuration())
        for topic in topics
        if topic.name not in existing
    ]
    if missing:
        for name, outcome in admin.create_topics(missing).items():
            try:
                outcome.result(TIMEOUT_SECONDS)
            except KafkaException as error:
                if "TOPIC_ALREADY_EXISTS" not in str(error):
                    raise FatalError(f"Topic {name} cannot be created: {error}") from error
