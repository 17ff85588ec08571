"""What the sinks read: a message of a topic as a checked record, with its place in the log. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from schemas.topics import TOPICS
from vitals.avro import AvroSerde
from vitals.errors import BadRecordError

ACCOUNTS = "accounts"
METRICS_VALUES = "metrics.values"
HEALTH_SCORES = "health.scores"
PIPELINE_COUNTS = "pipeline.counts"
IDENTITIES = "identities"
QUALITY_RESULTS = "quality.results"
EVENTS_CRM = "events.crm"
EVENTS_BILLING = "events.billing"

RECORD_OF: Mapping[str, str] = MappingProxyType(
    {
        ACCOUNTS: "AccountProfile",
        METRICS_VALUES: "MetricValuesBundle",
        HEALTH_SCORES: "HealthScoresBundle",
        PIPELINE_COUNTS: "PipelineCounts",
        IDENTITIES: "AccountAlias",
        QUALITY_RESULTS: "QualityResult",
        EVENTS_CRM: "Event",
        EVENTS_BILLING: "Event",
    }
)

# The topics whose other records are for others only.
_PASSED_OVER = frozenset({IDENTITIES, EVENTS_CRM, EVENTS_BILLING})

# An event that cannot be read is the rollup's to set aside: twice would count it twice.
_ANSWERED_FOR = frozenset({EVENTS_CRM, EVENTS_BILLING})

# Bundles are written to their input's partition; a bundle elsewhere would be applied under the wrong offset.
_PARTITION_FIELD = {METRICS_VALUES: "input_partition", HEALTH_SCORES: "partition"}


class Source(NamedTuple):
    """A topic partition."""

    topic: str
    partition: int


class Step(NamedTuple):
    """How far a batch moves a source: from `expected`, the position before it, to `next_offset`, the one after it."""

    expected: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class Message:
    """A message as Kafka handed it over. `value` is None for a tombstone."""

    source: Source
    offset: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message with the record that it carries."""

    message: Message
    record: Mapping[str, Any]

    @property
    def topic(self) -> str:
        """The topic that it came on."""
        return self.message.source.topic


def read(serde: AvroSerde, message: Message) -> Delivery | None:
    """The record of a message; None for one that tells a sink nothing: a tombstone of a compacted topic, a claim, an
    event that only the rollup answers for.

    Raises:
        BadRecordError: unreadable, another record than the topic carries for sinks, or on the wrong partition.
        RetriableError: the registry cannot be reached.
    """
    topic, partition = message.source
    if message.value is None and TOPICS[topic].compacted:
        return None
    try:
        name, record = serde.decode(message.value)
    except BadRecordError:
        if topic in _ANSWERED_FOR:
            return None
        raise
    if topic in _PASSED_OVER and name in TOPICS[topic].records and name != RECORD_OF[topic]:
        return None
    if name != RECORD_OF[topic]:
        raise BadRecordError(f"A {name} does not belong on {topic}, which carries {RECORD_OF[topic]} records.")
    field = _PARTITION_FIELD.get(topic)
    if field is not None and record[field] != partition:
        raise BadRecordError(f"A bundle of partition {record[field]} was written to partition {partition} of {topic}.")
    return Delivery(message, record)


def canonical_account_id(text: str) -> str:
    """The account's id in the one form in which it is a key.

    >>> canonical_account_id("431E271E-E83C-5848-A23D-7F5F8D92D9BE")
    '431e271e-e83c-5848-a23d-7f5f8d92d9be'

    Raises:
        BadRecordError: not a UUID.
    """
    try:
        return str(UUID(text))
    except ValueError as error:
        raise BadRecordError(f"{text!r} is not an account's id: it must be a UUID.") from error
