"""The floor without librdkafka's pauses, which is the honest one for a reader that is faster than they allow.

Once a partition's queue is full (100,000 messages), librdkafka fetches nothing for it for a second, by default. A loop
that only consumes empties the queue in a fraction of that and then waits: the plain floor measures those pauses more
than it measures work.
"""

from benchmarks.rollup.contender import Field
from benchmarks.rollup.contenders import consume_only
from benchmarks.rollup.measured import Measured

NAME, ORDER, REPEATED = "consume only, no fetch pauses", 1, True
OPTIONS = {"fetch.queue.backoff.ms": 10}


def run(field: Field) -> list[Measured]:
    """One run over the whole log."""
    return consume_only.run(field, name=NAME, options=OPTIONS)
