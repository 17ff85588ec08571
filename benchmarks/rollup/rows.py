"""Rows of a peer's job, by account and minute, from a file or a topic."""

import json
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import TopicPartition

from benchmarks.rollup.broker import end_offsets, reader
from benchmarks.rollup.log import Log
from benchmarks.rollup.measured import Measured, judged
from benchmarks.rollup.truth import MEASURES, MILLION, Windows, job_windows, window_key
from vitals.settings import Settings

Row = list[Any]
"""account id, window start in microseconds, then events, feature events, tracked events and events without a value,
the sum of values as a decimal (None where there is none), and distinct users.
"""
SUM = MEASURES.index("job.value")


def judged_rows(measured: Measured, log: Log, rows: Windows, deduplicated: bool) -> Measured:
    """A peer's run with the verdict on its rows."""
    problem = job_windows(log, deduplicated).difference(rows)
    note = "duplicates dropped" if deduplicated else "duplicates counted"
    return judged(measured, len(rows.keys), problem, note)


def rows_of_file(log: Log, path: Path) -> Windows:
    """Rows of a file, or of every file in a folder: a JSON list or object a line."""
    files = sorted(path.rglob("part-*")) if path.is_dir() else [path]
    return windows_of(log, (_loaded(line) for file in files for line in file.read_text().splitlines()))


def rows_of_topic(log: Log, settings: Settings, topic: str, partitions: int) -> Windows:
    """The newest row of each window on a topic."""
    consumer = reader(settings, f"rows-{topic}")
    ends = end_offsets(consumer, topic, partitions)
    left = {partition for partition, end in enumerate(ends) if end}
    consumer.assign([TopicPartition(topic, partition, 0) for partition in left])
    rows: list[Row] = []
    while left:
        for message in consumer.consume(10_000, 1.0):
            if message.error() is not None:
                raise RuntimeError(str(message.error()))
            rows.append(_loaded(message.value() or b"null"))
            if (message.offset() or 0) + 1 >= ends[message.partition() or 0]:
                left.discard(message.partition() or 0)
        # A transaction's end marker is an offset without a message.
        at = {place.partition: place.offset for place in consumer.position(consumer.assignment())}
        left -= {partition for partition in left if at.get(partition, -1) >= ends[partition]}
    consumer.close()
    return windows_of(log, rows)


def windows_of(log: Log, rows: Iterable[Row | dict[str, Any]]) -> Windows:
    """Rows as windows. Of several of one window the last counts."""
    numbers = {account: number for number, account in enumerate(log.account_ids)}
    latest: dict[int, Row] = {}
    for row in rows:
        account, start, *measures = row.values() if isinstance(row, dict) else row
        total = Decimal(measures[SUM] or 0)
        unscaled = [MILLION * measure for measure in measures[:SUM]] + [int(total * MILLION)]
        latest[window_key(numbers[account], int(start))] = unscaled + [MILLION * each for each in measures[SUM + 1 :]]
    keys = np.array(sorted(latest), np.int64)
    values = np.array([latest[key] for key in keys.tolist()], np.int64).reshape(len(keys), len(MEASURES))
    return Windows(keys, values)


def _loaded(text: str | bytes) -> Any:
    return json.loads(text, parse_float=Decimal)
