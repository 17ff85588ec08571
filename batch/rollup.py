"""The catalogue over a topic range: from the user's words to a folder of Parquet."""

import sys
import time
from collections.abc import Sequence
from typing import cast

from batch.out_folder import check_out, complete
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
    check_out(out)
    ranges = topic_ranges(settings, chosen, from_offsets, to_offsets)
    writers = Registry(settings.registry_url).versions(RECORDS)
    spark = Spark(master, memory)
    messages = sum(each.messages for each in ranges)
    sys.stderr.write(f"Spark reads {messages:,} messages of {', '.join(chosen)} …\n")
    began = time.monotonic()
    with complete(out) as folder:
        plan = rollup_plan(settings, ranges, writers, spark.session, folder)
        summary = cast(Summary, spark.run("batch.rollup_job", plan))
    sys.stderr.write(f"Done in {time.monotonic() - began:.0f} s.\n")
    return summary


def _topics(named: Sequence[str]) -> list[str]:
    known = sorted({metric.topic for metric in catalogue()})
    strangers = sorted(set(named) - set(known))
    if strangers:
        raise UserError(f"No metric reads {', '.join(strangers)}: choose --topic from {', '.join(known)}.")
    return sorted(set(named)) or known
