"""DDL of the job's tables: one source and one view of unique events a topic, one sink a kind of aggregate.

`{{NAME}}` marks what differs between deployments, or is secret; the job fills it in (`job.py`).
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.topics import METRIC_VALUES_FLINK
from vitals.avro import NAMESPACE, schema_text, subject
from vitals.settings import Settings

CONSUMER_GROUP = "vitals-rollup-flink"
KEY_COLUMNS = "account_id, metric, grain, window_start"

# The connector's jar carries Kafka's client under names of its own.
LOGIN_MODULES = {
    "PLAIN": "org.apache.flink.kafka.shaded.org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.flink.kafka.shaded.org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.flink.kafka.shaded.org.apache.kafka.common.security.scram.ScramLoginModule",
}

TRANSACTION_TIMEOUT_MS = 15 * 60 * 1000
"""The most that brokers allow by default; Flink's own default is more, and refused."""

MICROS_OF_MILLISECOND = "MOD(MOD(event_time, 1000) + 1000, 1000)"
EVENT_TIME = f"""CAST(
        CAST(TO_TIMESTAMP_LTZ((event_time - {MICROS_OF_MILLISECOND}) / 1000, 3) AS STRING)
        || LPAD(CAST({MICROS_OF_MILLISECOND} AS STRING), 3, '0') AS TIMESTAMP(6))"""
"""Microseconds since the epoch as a timestamp: Flink's functions take milliseconds at best, text keeps the rest."""

_EPOCH, _MICRO = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
EARLIEST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICRO
LATEST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICRO
"""Instants that every part of Vitals can read; the worker sends events of others to the dead letters."""


def literal(text: str) -> str:
    """An SQL string.

    >>> literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def options(settings: Mapping[str, str]) -> str:
    """The WITH clause's list.

    >>> options({"format": "raw"})
    "  'format' = 'raw'"
    """
    return ",\n".join(f"  {literal(name)} = {literal(value)}" for name, value in settings.items())


def source_name(topic: str) -> str:
    """The table of a topic's records.

    >>> source_name("events.crm")
    'events_crm_log'
    """
    return topic.replace(".", "_") + "_log"


def events_name(topic: str) -> str:
    """The view of a topic's events, each once.

    >>> events_name("events.crm")
    'events_crm'
    """
    return topic.replace(".", "_")


def kafka_properties(settings: Settings) -> dict[str, str]:
    """How the connector reaches the brokers."""
    properties = {
        "properties.bootstrap.servers": "{{KAFKA_BOOTSTRAP}}",
        "properties.security.protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_security_protocol == "SASL_SSL":
        properties |= {
            "properties.sasl.mechanism": settings.kafka_sasl_mechanism,
            "properties.sasl.jaas.config": (
                f"{LOGIN_MODULES[settings.kafka_sasl_mechanism]} required "
                'username="{{KAFKA_USERNAME}}" password="{{KAFKA_PASSWORD}}";'
            ),
        }
    return properties


def reader_schema() -> str:
    """The schema with which Flink reads an events topic, whose records are events and progress records.

    Java's Avro does not compare the names of records. With a default for every field a progress record reads as an
    event without an id, which the view leaves out. Instants are plain numbers: Flink's format takes microseconds for
    milliseconds.
    """
    schema: dict[str, Any] = json.loads(schema_text("Event"))
    fields = [_readable(field) for field in schema["fields"] if field["name"] != "ingested_at"]
    return json.dumps({"type": "record", "name": schema["name"], "namespace": NAMESPACE, "fields": fields})


def _readable(field: Mapping[str, Any]) -> dict[str, Any]:
    if "default" in field:
        return {name: field[name] for name in ("name", "type", "default")}
    plain = field["type"]["type"] if isinstance(field["type"], dict) else field["type"]
    return {"name": field["name"], "type": ["null", plain], "default": None}


def source_table(topic: str, settings: Settings, *, until_end: bool) -> str:
    """DDL of a topic's records, from the log's start; to its present end, or for ever."""
    connector = (
        {"connector": "kafka", "topic": topic}
        | kafka_properties(settings)
        | {
            "properties.group.id": CONSUMER_GROUP,
            # Its default reads what an aborted transaction left behind.
            "properties.isolation.level": "read_committed",
            "properties.partition.discovery.interval.ms": "-1",
            "scan.startup.mode": "earliest-offset",
            "scan.bounded.mode": "latest-offset" if until_end else "unbounded",
            "value.format": "avro-confluent",
            "value.avro-confluent.url": "{{REGISTRY_URL}}",
            "value.avro-confluent.schema": reader_schema(),
        }
    )
    return f"""CREATE TABLE {source_name(topic)} (
  event_id STRING, account_id STRING, user_id STRING, kind STRING, source STRING, event_time BIGINT,
  `value` DECIMAL(38, 6), properties MAP<STRING NOT NULL, STRING NOT NULL> NOT NULL
) WITH (
{options(connector)}
)"""


def events_view(topic: str) -> str:
    """DDL of a topic's events: of each id the first in the log.

    One id always has one account, so its duplicates lie in one partition and arrive in the log's order. Counted over
    the rows so far, because Flink takes its own ROW_NUMBER deduplication, where it works in small batches, for one that
    changes its mind: then minima, maxima and newest events would keep every event they ever saw.
    """
    return f"""CREATE VIEW {events_name(topic)} AS
SELECT event_id, account_id, user_id, kind, source, event_time, `value`, properties FROM (
  SELECT *, COUNT(*) OVER (
    PARTITION BY event_id ORDER BY arrival ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS nth FROM (
    SELECT event_id, account_id, user_id, kind, source, {EVENT_TIME} AS event_time,
      `value`, properties, PROCTIME() AS arrival
    FROM {source_name(topic)} WHERE event_id IS NOT NULL AND event_time BETWEEN {EARLIEST} AND {LATEST}
  )
) WHERE nth = 1"""  # noqa: S608


def registry_options(part: str, record_name: str) -> dict[str, str]:
    """How the key or value of the result is written: under the schema that Vitals registered."""
    return {
        f"{part}.format": "avro-confluent",
        f"{part}.avro-confluent.url": "{{REGISTRY_URL}}",
        f"{part}.avro-confluent.subject": subject(METRIC_VALUES_FLINK, record_name),
        f"{part}.avro-confluent.schema": json.dumps(json.loads(schema_text(record_name))),
    }


def sink_table(name: str, settings: Settings, *, exactly_once: bool) -> str:
    """DDL of a writer of final values. All write the same topic, each in transactions of its own."""
    delivery = {"sink.delivery-guarantee": "at-least-once"}
    if exactly_once:
        delivery = {
            "sink.delivery-guarantee": "exactly-once",
            "sink.transactional-id-prefix": f"{CONSUMER_GROUP}-{name}",
            "properties.transaction.timeout.ms": str(TRANSACTION_TIMEOUT_MS),
        }
    connector = (
        {"connector": "upsert-kafka", "topic": METRIC_VALUES_FLINK}
        | kafka_properties(settings)
        | registry_options("key", "WindowKey")
        | registry_options("value", "WindowValue")
        | delivery
        | {"properties.compression.type": "lz4", "properties.linger.ms": "5"}
    )
    return f"""CREATE TABLE {name} (
  account_id STRING NOT NULL, metric STRING NOT NULL, grain STRING NOT NULL, window_start TIMESTAMP(3) NOT NULL,
  `value` DECIMAL(38, 6) NOT NULL,
  PRIMARY KEY ({KEY_COLUMNS}) NOT ENFORCED
) WITH (
{options(connector)}
)"""
