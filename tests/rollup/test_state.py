"""Laws of the rollup's state: the result depends on the log alone, not on how it is cut, interrupted or repeated."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.rollup.batch import read_batch
from streams.rollup.snapshots import SnapshotFolder
from streams.rollup.state import PartitionState
from tests.rollup.logs import (
    START,
    TOPIC,
    LogDecoder,
    event,
    final_values,
    generated_log,
    numbered,
    progress,
    reference,
)

LOGS = st.builds(generated_log, st.integers(0, 10**6), st.integers(0, 120))


@settings(max_examples=25, deadline=None)
@given(LOGS, st.lists(st.integers(0, 120), max_size=12))
def test_values_and_counts_equal_the_reference_however_the_log_is_cut(log, cuts) -> None:
    values, state = final_values(log, [cut for cut in cuts if cut < len(log)])
    expected, fates = reference(log)
    assert values == expected
    got: Counter[str] = Counter()
    for (_, fate), count in state.counts[TOPIC].items():
        got[fate] += count
    assert +got == +fates


@settings(max_examples=10, deadline=None)
@given(LOGS, st.integers(0, 120))
def test_a_restored_snapshot_goes_on_as_if_nothing_happened(tmp_path_factory, log, cut) -> None:
    cut = min(cut, len(log))
    folder = SnapshotFolder(tmp_path_factory.mktemp("snapshots"))
    before, state = final_values(log[:cut], [])
    folder.write(state)
    restored = PartitionState(0)
    assert folder.restore(restored)
    after: dict = {}
    flush = restored.apply(read_batch(TOPIC, log[cut:], LogDecoder(log), restored.watermarks[TOPIC], cut))
    for account, metric, _, window_start, value in flush.values:
        after[(account, metric, window_start)] = value
    assert before | after == reference(log)[0]
    assert restored.next_offsets[TOPIC] == len(log) or not log


def test_nothing_seals_before_every_registered_stream_has_spoken() -> None:
    log = numbered(
        [
            progress("one", None),
            progress("two", None),
            progress("one", START + timedelta(days=400)),
            event(1, "a", START),
        ]
    )
    values, state = final_values(log, [])
    assert values[("a", "billing.invoiced_amount", START.replace(tzinfo=None))] == event(1, "a", START)[1]["value"]
    assert state.watermarks[TOPIC].value is None


def test_a_retired_stream_no_longer_holds_the_watermark() -> None:
    through = START + timedelta(days=3)
    log = numbered([progress("one", None), progress("two", None), progress("one", through), progress("two", None, "x")])
    _, state = final_values(log, [])
    assert state.watermarks[TOPIC].value is None
    retired = ("Progress", progress("two", START)[1] | {"mode": "retired"})
    log = numbered([message.body for message in log] + [retired, progress("one", through)])
    _, state = final_values(log, [])
    assert state.watermarks[TOPIC].streams == {"one": state.watermarks[TOPIC].value}


def test_a_sealed_day_is_forgotten_and_its_events_are_late() -> None:
    sealed = progress("one", START + timedelta(days=2, hours=2))
    log = numbered([progress("one", None), event(1, "a", START), sealed, event(1, "a", START), event(2, "a", START)])
    values, state = final_values(log, [2])
    assert values[("a", "billing.seats", START.replace(tzinfo=None))] == 3
    assert state.counts[TOPIC][("billing.invoice_paid", "late")] == 2
    assert state._database.execute("SELECT count(*) FROM seen").fetchone() == (0,)


def test_only_the_two_newest_snapshots_are_kept_and_an_older_one_never_wins(tmp_path: Path) -> None:
    log = generated_log(5, 60)
    folder = SnapshotFolder(tmp_path)
    for end in (10, 20, 30):
        folder.write(final_values(log[:end], [])[1])
    stale = final_values(log[:15], [])[1]
    folder.write(stale)
    restored = PartitionState(0)
    folder.restore(restored)
    assert restored.next_offsets == {TOPIC: 30}
