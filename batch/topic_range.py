"""Which part of a topic is read: named by the user, completed and checked against what Kafka holds."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from vitals.errors import UserError
from vitals.kafka import connection
from vitals.settings import Settings

TIMEOUT_SECONDS = 20.0

Offsets = Mapping[int, int]
"""Offsets by partition."""

Edge = Literal["earliest", "latest"]


@dataclass(frozen=True)
class TopicRange:
    """Offsets [first, end) of every partition of one topic."""

    topic: str
    first: Offsets
    end: Offsets

    @property
    def messages(self) -> int:
        """Messages at most: transactions and compaction leave offsets without one."""
        return sum(self.end[partition] - first for partition, first in self.first.items())

    @property
    def starting_offsets(self) -> str:
        """The beginning as Spark wants it."""
        return json.dumps({self.topic: self.first})

    @property
    def ending_offsets(self) -> str:
        """The end as Spark wants it."""
        return json.dumps({self.topic: self.end})


def parse_offsets(text: str, edge: Edge, topics: Iterable[str]) -> dict[str, dict[int, int]]:
    """Offsets that the user names, by topic and partition; none where `text` is the edge's own name.

    >>> parse_offsets('{"events.crm": {"0": 12}}', "earliest", ["events.crm"])
    {'events.crm': {0: 12}}
    >>> parse_offsets("latest", "latest", ["events.crm"])
    {}

    Raises:
        UserError: neither the edge's name nor such JSON, or of a topic that is not read.
    """
    if text == edge:
        return {}
    option = "--from-offsets" if edge == "earliest" else "--to-offsets"
    try:
        named = json.loads(text)
        parsed = {
            topic: {int(partition): _offset(offset) for partition, offset in offsets.items()}
            for topic, offsets in named.items()
        }
    except (ValueError, AttributeError) as error:
        raise UserError(
            f"{option} is neither `{edge}` nor offsets by topic and partition, such as "
            f'\'{{"events.crm": {{"0": 12}}}}\': {text}'
        ) from error
    strangers = sorted(set(parsed) - set(topics))
    if strangers:
        raise UserError(f"{option} names {', '.join(strangers)}, which this run does not read.")
    return parsed


def _offset(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(value)
    return value


def topic_ranges(
    settings: Settings, topics: Sequence[str], from_offsets: str, to_offsets: str
) -> tuple[TopicRange, ...]:
    """The range of each topic, whole where no offset is named.

    It ends before the first open transaction at the latest, so that it is the same range whenever it is read again.

    Raises:
        UserError: offsets that cannot be read or that Kafka does not hold, no such topic, or Kafka does not answer.
    """
    named_first = parse_offsets(from_offsets, "earliest", topics)
    named_end = parse_offsets(to_offsets, "latest", topics)
    held = _held(settings, topics)
    ranges = []
    for topic in topics:
        earliest, latest = held[topic]
        first = dict(earliest) | named_first.get(topic, {})
        end = dict(latest) | named_end.get(topic, {})
        _check(topic, first, end, earliest, latest)
        ranges.append(TopicRange(topic, first, end))
    return tuple(ranges)


def _check(topic: str, first: Offsets, end: Offsets, earliest: Offsets, latest: Offsets) -> None:
    for partition in sorted({*first, *end}):
        place = f"{topic}/{partition}"
        if partition not in earliest:
            raise UserError(f"There is no {place}: {topic} has partitions 0 to {max(earliest)}.")
        held = f"{place} holds offsets {earliest[partition]} to {latest[partition]} (exclusive)"
        if not earliest[partition] <= first[partition] <= latest[partition]:
            raise UserError(f"{held}, so it cannot be read from {first[partition]}.")
        if not first[partition] <= end[partition] <= latest[partition]:
            raise UserError(f"{held}, so it cannot be read from {first[partition]} to {end[partition]}.")


def _held(settings: Settings, topics: Sequence[str]) -> dict[str, tuple[Offsets, Offsets]]:
    """Earliest offset, and the one after the last that is committed, of every partition of each topic."""
    admin = AdminClient(connection(settings))
    try:
        existing = admin.list_topics(timeout=TIMEOUT_SECONDS).topics
        missing = [topic for topic in topics if topic not in existing]
        if missing:
            raise UserError(
                f"There is no topic {', '.join(missing)} at {settings.kafka_bootstrap}: `vitals bootstrap` creates it."
            )
        places = [TopicPartition(topic, number) for topic in topics for number in existing[topic].partitions]
        earliest = _listed(admin, places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        latest = _listed(admin, places, OffsetSpec.latest())  # type: ignore[no-untyped-call]
    except KafkaException as error:
        raise UserError(f"Kafka does not answer at {settings.kafka_bootstrap}: is it running?") from error
    return {topic: (earliest[topic], latest[topic]) for topic in topics}


def _listed(admin: AdminClient, places: Sequence[TopicPartition], spec: OffsetSpec) -> dict[str, dict[int, int]]:
    asked = admin.list_offsets(
        dict.fromkeys(places, spec),
        isolation_level=IsolationLevel.READ_COMMITTED,
        request_timeout=TIMEOUT_SECONDS,
    )
    found: dict[str, dict[int, int]] = {}
    for place, answer in asked.items():
        found.setdefault(place.topic, {})[place.partition] = answer.result(TIMEOUT_SECONDS).offset
    return found
