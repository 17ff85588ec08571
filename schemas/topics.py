"""The one table of topics: key, partitions, retention and the records that each carries.

Every part of Vitals takes topic names, partition counts and configurations from here and from nowhere else. A piece
of work creates only the topics that it uses, so the table grows with the product. The raw topics of connectors are a
rule (`raw_topic`) instead of entries: `vitals bootstrap` creates those of the enabled connectors.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

PARTITIONS = 8
"""Partitions of every topic of the pipeline. Equal everywhere, so that partition n of a topic depends only on
partition n of its inputs; never changed in place."""

METRIC_VALUES_FLINK = "metrics.values.flink"
"""Where the Flink job writes, and nobody else."""

DAY_MS = 24 * 3600 * 1000
WEEK_MS = 7 * DAY_MS
FOREVER_MS = -1


@dataclass(frozen=True)
class Topic:
    """A topic as it is created.

    `retention_ms` -1 keeps records for ever. `allowed_lateness_seconds` is set on events topics only: a window seals
    when the watermark passes its end plus this. Append time, not event time, decides what retention deletes. A topic
    that is `on_demand` is created by the command that writes it instead of `vitals bootstrap`.
    """

    name: str
    key: str
    records: tuple[str, ...]
    partitions: int = PARTITIONS
    retention_ms: int = WEEK_MS
    compacted: bool = False
    allowed_lateness_seconds: int | None = None
    on_demand: bool = False
    extra: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def configuration(self) -> dict[str, str]:
        """Kafka topic configuration."""
        settings = {
            "message.timestamp.type": "LogAppendTime",
            "cleanup.policy": "compact" if self.compacted else "delete",
            "max.message.bytes": str(8 * 1024 * 1024),
        }
        if not self.compacted:
            settings["retention.ms"] = str(self.retention_ms)
        return settings | dict(self.extra)


HOUR = 3600
DAY = 24 * HOUR

_EVENT_RECORDS = ("Event", "Progress")

TOPICS: Mapping[str, Topic] = MappingProxyType(
    {
        topic.name: topic
        for topic in (
            Topic("raw.collect", "source id", ("RawObject",)),
            Topic("raw.import", "source id", ("RawObject",)),
            Topic("events.crm", "account", _EVENT_RECORDS, retention_ms=FOREVER_MS, allowed_lateness_seconds=HOUR),
            Topic("events.support", "account", _EVENT_RECORDS, retention_ms=FOREVER_MS, allowed_lateness_seconds=HOUR),
            # Product exports bring mobile events up to five days late; one day more covers the export's own cycle.
            Topic(
                "events.product", "account", _EVENT_RECORDS, retention_ms=FOREVER_MS, allowed_lateness_seconds=6 * DAY
            ),
            Topic("events.billing", "account", _EVENT_RECORDS, retention_ms=FOREVER_MS, allowed_lateness_seconds=HOUR),
            # All of a source's deliveries lie on one partition, chosen by its name: its streams read that one alone.
            Topic("webhooks", "source", ("WebhookDelivery",), retention_ms=30 * DAY_MS),
            Topic("connectors.cursors", "stream|entry", ("CursorEntry",), compacted=True),
            # What runs, for people; and what people want, for what runs.
            Topic("connectors.conditions", "stream", ("StreamCondition",), compacted=True),
            Topic("connectors.orders", "stream", ("StreamOrder",), compacted=True),
            # All of a stream's repairs lie on one partition, as its state does.
            Topic("connectors.repairs", "stream", ("Repair",), retention_ms=30 * DAY * 1000),
            Topic("accounts", "account", ("AccountProfile",), compacted=True),
            # Progress here says how far the identity source is complete: until then nobody is called unknown.
            Topic("identities", "identity", ("Identity", "IdentityClaim", "AccountAlias", "Progress"), compacted=True),
            Topic("pipeline.counts", "stream", ("PipelineCounts",), compacted=True),
            Topic("metrics.values", "none: the input's partition", ("MetricValuesBundle",)),
            Topic(
                METRIC_VALUES_FLINK,
                "account, metric, grain, window",
                ("WindowValue", "WindowKey"),
                compacted=True,
                on_demand=True,
            ),
            Topic("health.scores", "none: the input's partition", ("HealthScoresBundle",)),
            Topic("quality.results", "check and source", ("QualityResult",), retention_ms=30 * DAY_MS),
            Topic("late_events", "as the input", ("LateEvent",), retention_ms=FOREVER_MS),
            Topic("quarantine", "as the input", ("QuarantinedEvent",), retention_ms=FOREVER_MS),
            Topic("dead_letters", "as the input", ("DeadLetter",), retention_ms=FOREVER_MS),
        )
    }
)

EVENTS_TOPICS = tuple(name for name in TOPICS if name.startswith("events."))


def raw_topic(source: str) -> Topic:
    """The topic of a source's objects as fetched: a rule, because sources are found and never listed.

    >>> raw_topic("zendesk").name
    'raw.zendesk'
    """
    name = f"raw.{source}"
    return TOPICS.get(name) or Topic(name, "source id", ("RawObject",))


def topic(name: str) -> Topic:
    """The topic of a name, be it of the table or a source's.

    Raises:
        KeyError: there is none.
    """
    return raw_topic(name.removeprefix("raw.")) if name.startswith("raw.") else TOPICS[name]


def events_topic(kind: str) -> str:
    """The events topic of an event kind: `product.feature_used` goes to `events.product`.

    Raises:
        KeyError: if no topic exists for the kind's domain.
    """
    name = f"events.{kind.partition('.')[0]}"
    return TOPICS[name].name
