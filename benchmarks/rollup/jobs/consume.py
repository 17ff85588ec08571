"""Consumes the log with librdkafka as the worker does, and drops or decodes what comes."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import TopicPartition

from benchmarks.rollup.broker import reader
from vitals.avro import Registry
from vitals.settings import Settings

BATCH_MESSAGES = 10_000


def decoder(registry_url: str) -> Callable[[list[Any]], object]:
    """Decodes a batch of messages as the worker does."""
    from streams.rollup.native import NativeDecoder  # only here: the floor is to be charged with nothing that it lacks

    native = NativeDecoder(Registry(registry_url))
    return lambda messages: native.decode([message.value() for message in messages])


def main() -> None:
    """Arguments as JSON: bootstrap, registry, topic, ends, decode, options (of librdkafka, beside the worker's)."""
    given = json.loads(sys.argv[1])
    consumer = reader(Settings(kafka_bootstrap=given["bootstrap"]), more=given["options"])
    decode = decoder(given["registry"]) if given["decode"] else None
    ends = dict(enumerate(given["ends"]))
    left = sum(ends.values())
    began = time.time()
    consumer.assign([TopicPartition(given["topic"], partition, 0) for partition, end in ends.items() if end])
    while left:
        messages = consumer.consume(BATCH_MESSAGES, 0.2)
        left -= len(messages)
        if decode is not None and messages:
            decode(messages)
    ended = time.time()
    print("@", json.dumps({"began": began, "ended": ended, "events": sum(ends.values())}), flush=True)
    time.sleep(0.2)  # for the last sample
    consumer.close()


main()
