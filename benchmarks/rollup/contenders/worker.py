"""Ours: `vitals rollup` itself, from the topic to `metrics.values`, with the whole catalogue and snapshots.

It begins when the worker has its partitions, and ends when the broker took the last bundle that completes a partition:
both instants are read afterwards, from the worker's log and from the bundles, so that nothing disturbs the run. What
is published is then checked to the row.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from confluent_kafka import Consumer

from benchmarks.rollup.broker import VALUES, end_offsets, reader
from benchmarks.rollup.contender import (
    DEADLINE_SECONDS,
    ROOT,
    ContenderError,
    Field,
    end,
    project_command,
    tail,
)
from benchmarks.rollup.measured import Measured, Meter, judged
from benchmarks.rollup.published import Published, since, tails
from benchmarks.rollup.truth import fates, metric_windows
from embedded.ports import choose_ports
from metrics.catalogue import catalogue

NAME, ORDER, REPEATED = "worker", 3, True
POLL_SECONDS = 0.5
CATALOGUE = (sys.executable, "-m", "vitals", "rollup")


def run(field: Field) -> list[Measured]:
    """The command as it is in production."""
    expected = [
        (metric.name, grain) for metric in catalogue() if metric.topic == "events.product" for grain in metric.grains
    ]
    return [measured_worker(field, NAME, CATALOGUE, expected)]


def run_synthetic(field: Field, name: str, option: str, expected: Sequence[tuple[str, str]]) -> Measured:
    """The same worker with other metrics than the catalogue's."""
    return measured_worker(field, name, [*project_command("benchmarks.rollup.jobs.our_worker"), option], expected)


def measured_worker(field: Field, name: str, command: Sequence[str], expected: Sequence[tuple[str, str]]) -> Measured:
    """Runs a worker over the log from nothing and checks what it published.

    Raises:
        ContenderError: it ended by itself, or was not through in time.
    """
    folder = field.own_folder(name)
    port = choose_ports(["metrics"], forced={}, remembered={}, prefer_defaults=False)["metrics"].port
    environment = {
        **os.environ,
        **field.endpoints.environment(),
        "PYTHONPATH": str(ROOT),
        "VITALS_STATE_DIR": str(folder),
        "VITALS_METRICS_PORT": str(port),
    }
    consumer = reader(field.settings, f"benchmark-{folder.name}")
    starts = end_offsets(consumer, VALUES, field.log.shape.partitions)
    ends = field.log.ends()
    log_path = folder / "log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, text=True)
    meter = Meter(process.pid)
    try:
        _wait_through(process, consumer, starts, ends, log_path)
        meter.sample()
    finally:
        meter.close()
        end(process)
    published = Published({account: number for number, account in enumerate(field.log.account_ids)}, ends)
    for message in since(consumer, starts):
        published.add(message)
    consumer.close()
    measured = meter.measured(name, sum(ends), _began(log_path), max(published.through_at.values()))
    return judged(measured, *verdict(field, published, expected))


def verdict(field: Field, published: Published, expected: Sequence[tuple[str, str]]) -> tuple[int, str, str]:
    """Rows checked, what is wrong with them, and what was published."""
    problems, rows = [], 0
    for metric, grain in expected:
        truth = metric_windows(field.log, metric, grain)
        rows += len(truth.keys)
        difference = truth.difference(published.windows(metric, grain))
        if difference:
            problems.append(f"{metric} by {grain}: {difference}")
    unexpected = published.names - set(expected)
    if unexpected:
        problems.append(f"unexpected: {sorted(unexpected)}")
    if published.summed_fates() != (counts := fates(field.log)):
        problems.append(f"counts are {published.summed_fates()} where {counts} happened")
    note = f"{published.published:,} values in {published.messages:,} bundles, {published.bytes_published / 1e6:.0f} MB"
    return rows, "; ".join(problems), note


def _wait_through(
    process: "subprocess.Popen[str]", consumer: Consumer, starts: list[int], ends: list[int], log_path: Path
) -> None:
    """Waits until the last bundle of every partition says that all was read."""
    give_up = time.monotonic() + DEADLINE_SECONDS
    before = starts
    while time.monotonic() < give_up:
        time.sleep(POLL_SECONDS)
        if process.poll() is not None:
            raise ContenderError(f"the worker ended with {process.returncode}: {tail(log_path)}")
        now = end_offsets(consumer, VALUES, len(starts))
        if now != before or now == starts:
            before = now
            continue
        through = {
            bundle["input_partition"]
            for bundle in tails(consumer, now)
            if bundle["input_topic"] == "events.product" and bundle["next_offset"] >= ends[bundle["input_partition"]]
        }
        if through >= {partition for partition, end_offset in enumerate(ends) if end_offset}:
            return
    raise ContenderError(f"the worker was not through after {DEADLINE_SECONDS:g} s: {tail(log_path)}")


def _began(log_path: Path) -> float:
    """When the worker was given its first partition."""
    for line in log_path.read_text().splitlines():
        if '"partition_assigned"' in line:
            return datetime.fromisoformat(json.loads(line)["timestamp"]).timestamp()
    raise ContenderError(f"the worker did not log partition_assigned: {tail(log_path)}")
