"""Laws of the rollup's state: the result depends on the log alone, not on how it is cut, interrupted or repeated."""

from collections import Counter
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.rollup.snapshots import SnapshotFolder
from tests.rollup.logs import (
    START,
    TOPIC,
    account,
    empty_state,
    event,
    final_values,
    folded,
    generated_log,
    numbered,
    progress,
    reference,
)

A = account(1)
LOGS = st.builds(generated_log, st.integers(0, 10**6), st.integers(0, 120))


@settings(max_examples=25)
@given(LOGS, st.lists(st.integers(0, 120), max_size=12))
def test_values_and_counts_equal_the_reference_however_the_log_is_cut(log, cuts) -> None:
    values, state = final_values(log, [cut for cut in cuts if cut < len(log)])
    expected, fates = reference(log)
    assert values == expected
    got: Counter[str] = Counter()
    for (_, fate), count in state.partitions[0].counts[TOPIC].items():
        got[fate] += count
    assert +got == +fates


@settings(max_examples=15)
@given(LOGS, st.lists(st.integers(0, 120), min_size=1, max_size=6))
def test_a_restored_snapshot_goes_on_as_if_nothing_happened(tmp_path_factory, log, cuts) -> None:
    """At each cut the worker writes a snapshot and dies; the next goes on from it. Every snapshot builds on others."""
    folder = tmp_path_factory.mktemp("snapshots")
    values: dict = {}
    state, reached = empty_state(0), 0
    for cut in [*sorted({min(cut, len(log)) for cut in cuts}), len(log)]:
        values |= folded(state, log, reached, cut)
        SnapshotFolder(folder).write(state, 0)
        state.close()
        reached, state = cut, empty_state()
        assert SnapshotFolder(folder).restore(state, 0)
    assert values == reference(log)[0]
    assert state.partitions[0].next_offsets.get(TOPIC, 0) == len(log)


def test_nothing_seals_before_every_registered_stream_has_spoken() -> None:
    log = numbered(
        [
            progress("one", None),
            progress("two", None),
            progress("one", START + timedelta(days=400)),
            event(1, A, START),
        ]
    )
    values, state = final_values(log, [])
    assert values[(A, "billing.invoiced_amount", START)] == event(1, A, START)[1]["value"]
    assert state.partitions[0].watermarks[TOPIC].value is None


def test_a_retired_stream_no_longer_holds_the_watermark() -> None:
    through = START + timedelta(days=3)
    log = numbered([progress("one", None), progress("two", None), progress("one", through), progress("two", None, "x")])
    _, state = final_values(log, [])
    assert state.partitions[0].watermarks[TOPIC].value is None
    retired = ("Progress", progress("two", START)[1] | {"mode": "retired"})
    log = numbered([message.body for message in log] + [retired, progress("one", through)])
    _, state = final_values(log, [])
    assert state.partitions[0].watermarks[TOPIC].streams == {"one": state.partitions[0].watermarks[TOPIC].value}


def test_a_sealed_day_is_forgotten_and_its_events_are_late() -> None:
    sealed = progress("one", START + timedelta(days=2, hours=2))
    log = numbered([progress("one", None), event(1, A, START), sealed, event(1, A, START), event(2, A, START)])
    values, state = final_values(log, [2])
    assert values[(A, "billing.seats", START)] == 3
    assert state.partitions[0].counts[TOPIC][("billing.invoice_paid", "late")] == 2
    assert len(state.partitions[0].seen[TOPIC]) == 0
    assert list(state.windows.rows(0)) == []
