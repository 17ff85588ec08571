"""The worker's windows equal those of one query over all events, for every metric and grain, whatever the log is like
and however it is cut into batches: none at all, one of everything, several partitions in one.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.topics import EVENTS_TOPICS
from streams.rollup.native import NativeDecoder
from tests.parity.logs import first_of_each, generated
from tests.parity.shapes import SHAPES
from tests.rollup.logs import empty_state, values_of
from tests.rollup.registry import KnownSchemas, framed
from tests.rollup.topics import Key, expected_values


@dataclass(frozen=True)
class Message:
    """A message as the worker sees it."""

    position: int
    body: bytes

    def offset(self) -> int:
        return self.position

    def key(self) -> bytes:
        return b"key"

    def value(self) -> bytes:
        return self.body


@settings(max_examples=30)
@given(st.sampled_from(EVENTS_TOPICS), st.lists(SHAPES, min_size=1, max_size=3), st.data())
def test_every_metric_of_every_log_and_every_cut(topic, shapes, data) -> None:
    logs = {partition: generated(topic, shape) for partition, shape in enumerate(shapes)}
    messages = {
        partition: [Message(position, framed(written)) for position, written in enumerate(log)]
        for partition, log in logs.items()
    }
    shares = data.draw(st.lists(st.integers(0, 100), max_size=8), "cuts in percent")
    state, decoder = empty_state(*logs), NativeDecoder(KnownSchemas())  # type: ignore[arg-type]
    values: dict[int, dict[Key, object]] = {partition: {} for partition in logs}
    for start, end in pairwise([0, *sorted(shares), 100]):
        runs = {partition: run[len(run) * start // 100 : len(run) * end // 100] for partition, run in messages.items()}
        taken = state.take(topic, runs, decoder)
        assert not taken.misfits
        for flush in state.fold(taken):
            values[flush.partition] |= values_of(flush)
    for partition, log in logs.items():
        unique = list(first_of_each(log))
        assert values[partition] == expected_values(topic, unique)
        fates: Counter[str] = Counter()
        for (_, fate), count in state.partitions[partition].counts[topic].items():
            fates[fate] += count
        assert +fates == +Counter(counted=len(unique), duplicate=len(log) - len(unique))
    state.close()
