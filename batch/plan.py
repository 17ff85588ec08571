"""What the Spark job is told: the catalogue as SQL, where the events lie, and how their bytes are read.

The job runs without Vitals' own packages (`batch/rollup_job.py`), so everything that takes them happens here, and the
plan goes to it as JSON.
"""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from batch.topic_range import TopicRange
from metrics.catalogue import metrics_of
from metrics.windows import window_values
from vitals.avro import schema_text
from vitals.kafka import java_connection
from vitals.settings import Settings

RECORDS = ("Event", "Progress")
"""What an events topic holds; anything else there is unreadable."""


class Statement(TypedDict):
    """The final values of one metric and grain over a view `events`: account_id, window_start, value."""

    metric: str
    grain: str
    sql: str


class TopicPlan(TypedDict):
    """One events topic: the options of Spark's Kafka source, and what to compute."""

    topic: str
    kafka: dict[str, str]
    statements: list[Statement]


class Writer(TypedDict):
    """A schema that records were written with."""

    record: str
    schema: str


class Plan(TypedDict):
    """Everything the job does. `readers` are the newest schemas by record name, `writers` go by registry id."""

    session: dict[str, str]
    readers: dict[str, str]
    writers: dict[str, Writer]
    topics: list[TopicPlan]
    out: str


class Summary(TypedDict):
    """What the job did: messages by topic and fate (counted, duplicate, progress, unreadable), and rows written."""

    topics: dict[str, dict[str, int]]
    rows: int


def statements(topic: str) -> list[Statement]:
    """SQL of every metric of a topic and each of its grains."""
    return [
        Statement(metric=metric.name, grain=grain, sql=window_values(metric, grain, "pyspark"))
        for metric in metrics_of(topic)
        for grain in metric.grains
    ]


def rollup_plan(
    settings: Settings,
    ranges: Sequence[TopicRange],
    writers: Mapping[int, tuple[str, str]],
    session: Mapping[str, str],
    out: str,
) -> Plan:
    """The catalogue over ranges of topics.

    `writers` gives record name and schema of each registry id, `session` Spark's settings.
    """
    return Plan(
        session=dict(session),
        readers={name: schema_text(name) for name in RECORDS},
        writers={str(key): Writer(record=name, schema=text) for key, (name, text) in writers.items()},
        topics=[
            TopicPlan(
                topic=each.topic,
                kafka={f"kafka.{key}": value for key, value in java_connection(settings).items()}
                # Readers that are not told so see aborted transactions.
                | {"kafka.isolation.level": "read_committed", "subscribe": each.topic}
                | {"startingOffsets": each.starting_offsets, "endingOffsets": each.ending_offsets},
                statements=statements(each.topic),
            )
            for each in ranges
        ],
        out=out,
    )
