"""The catalogue over a topic range: from the user's words to a folder of Parquet."""

import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from batch.plan import RECORDS, Summary, rollup_plan
from batch.spark_process import Spark
from batch.topic_range import topic_ranges
from metrics.catalogue import catalogue
from vitals.avro import Registry
from vitals.errors import UserError
from vitals.settings import Settings


def roll_up(
    settings: Settings,
    topics: Sequence[str],
    from_offsets: str,
    to_offsets: str,
    out: str,
    master: str = "local[*]",
    memory: str = "2g",
) -> Summary:
    """Writes every window's final value to the folder `out`, which appears when it is complete.

    `topics` are all that metrics read where none is named.

    Raises:
        UserError: a wrong option, Kafka does not answer, or Spark cannot be installed, started or failed.
        RetriableError: the schema registry cannot be reached.
    """
    chosen = _topics(topics)
    _check_out(out)
    ranges = topic_ranges(settings, chosen, from_offsets, to_offsets)
    writers = Registry(settings.registry_url).versions(RECORDS)
    spark = Spark(master, memory)
    messages = sum(each.messages for each in ranges)
    sys.stderr.write(f"Spark reads {messages:,} messages of {', '.join(chosen)} …\n")
    began = time.monotonic()
    with _complete(out) as folder:
        summary = spark.run(rollup_plan(settings, ranges, writers, spark.session, folder))
    sys.stderr.write(f"Done in {time.monotonic() - began:.0f} s.\n")
    return summary


def _topics(named: Sequence[str]) -> list[str]:
    known = sorted({metric.topic for metric in catalogue()})
    strangers = sorted(set(named) - set(known))
    if strangers:
        raise UserError(f"No metric reads {', '.join(strangers)}: choose --topic from {', '.join(known)}.")
    return sorted(set(named)) or known


def _is_local(out: str) -> bool:
    """Whether the folder is a path and not an address of a store, such as s3a://bucket/folder."""
    return "://" not in out


def _check_out(out: str) -> None:
    if not _is_local(out):
        return  # Spark refuses one that exists
    if Path(out).exists():
        raise UserError(f"--out {out} exists already: name a folder that does not.")
    try:
        Path(out).absolute().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {out} cannot be written ({error.strerror}).") from error


@contextmanager
def _complete(out: str) -> Iterator[str]:
    """Where to write what is to be at `out` once it is complete, and not before, nor after a failure."""
    if not _is_local(out):
        yield out
        return
    target = Path(out).absolute()
    unfinished = target.with_name(f"{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was killed
    try:
        yield str(unfinished)
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
