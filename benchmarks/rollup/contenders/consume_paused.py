"""The same loop with librdkafka's own pauses, which an earlier floor was measured with.

Once librdkafka holds 100,000 messages of a partition it fetches nothing more of it for a second. A loop that only
consumes empties the queue in a fraction of that and then waits, so this measures those pauses more than it measures
work: at the same CPU it is a fifth as fast as without them, and erratic.
"""

from benchmarks.rollup.contender import Field
from benchmarks.rollup.contenders import consume_only
from benchmarks.rollup.measured import Measured

NAME, ORDER, REPEATED = "consume only, librdkafka's pauses", 1, True
OPTIONS = {"fetch.queue.backoff.ms": 1_000}


def run(field: Field) -> list[Measured]:
    """One run over the whole log."""
    return consume_only.run(field, name=NAME, options=OPTIONS)
