"""A topic range is what Kafka holds of what was asked for."""

from uuid import uuid4

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from batch.topic_range import topic_ranges
from vitals.errors import UserError
from vitals.kafka import connection, producer
from vitals.settings import Settings


@pytest.fixture
def topic(settings: Settings) -> str:
    """A topic of two partitions; of partition 0 the first 3 of 10 records are deleted."""
    from confluent_kafka import TopicPartition

    name = f"range-{uuid4()}"
    admin = AdminClient(connection(settings))
    admin.create_topics([NewTopic(name, 2, 1)])[name].result(30)
    writer = producer(settings)
    for number in range(10):
        writer.produce(name, value=str(number), partition=0)
    writer.produce(name, value="x", partition=1)
    writer.flush(30)
    for outcome in admin.delete_records([TopicPartition(name, 0, 3)]).values():
        outcome.result(30)
    return name


def test_a_whole_topic_ends_before_an_open_transaction(settings: Settings, topic: str) -> None:
    writer = producer(settings, f"open-{topic}")
    writer.init_transactions(30)
    writer.begin_transaction()
    writer.produce(topic, value="not yet", partition=1)
    writer.flush(30)
    (whole,) = topic_ranges(settings, [topic], "earliest", "latest")
    writer.abort_transaction(30)
    assert (whole.first, whole.end) == ({0: 3, 1: 0}, {0: 10, 1: 1})
    assert whole.messages == 8


def test_named_offsets_are_taken_and_the_rest_is_completed(settings: Settings, topic: str) -> None:
    (part,) = topic_ranges(settings, [topic], f'{{"{topic}": {{"0": 4}}}}', f'{{"{topic}": {{"0": 6}}}}')
    assert (part.first, part.end) == ({0: 4, 1: 0}, {0: 6, 1: 1})


@pytest.mark.parametrize(
    ("first", "end", "said"),
    [
        ('{"0": 2}', "{}", "/0 holds offsets 3 to 10 .exclusive., so it cannot be read from 2"),
        ('{"0": 6}', '{"0": 5}', "cannot be read from 6 to 5"),
        ("{}", '{"0": 11}', "cannot be read from 3 to 11"),
        ('{"2": 0}', "{}", "/2: .* has partitions 0 to 1"),
    ],
)
def test_what_kafka_does_not_hold_is_refused(settings: Settings, topic: str, first: str, end: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        topic_ranges(settings, [topic], f'{{"{topic}": {first}}}', f'{{"{topic}": {end}}}')


def test_a_topic_that_does_not_exist(settings: Settings) -> None:
    with pytest.raises(UserError, match=r"There is no topic events.nothing at .*: `vitals bootstrap` creates it."):
        topic_ranges(settings, ["events.nothing"], "earliest", "latest")
