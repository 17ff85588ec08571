"""Snapshots: the furthest in the log wins, additions do not pile up for ever, and what is not whole is passed over."""

from itertools import pairwise
from pathlib import Path

import pytest

from streams.rollup import snapshots
from streams.rollup.snapshots import LONGEST_CHAIN, SnapshotFolder
from streams.rollup.state import RollupState
from tests.rollup.logs import TOPIC, empty_state, final_values, folded, generated_log, reference


def files(folder: Path) -> list[Path]:
    return sorted((folder / "rollup" / "0").iterdir())


def restored(folder: Path) -> RollupState:
    state = empty_state()
    SnapshotFolder(folder).restore(state, 0)
    return state


def test_the_furthest_in_the_log_wins_whoever_wrote_it(tmp_path: Path) -> None:
    log = generated_log(5, 60)
    for end in (10, 20, 30):
        SnapshotFolder(tmp_path).write(final_values(log[:end], [])[1], 0)
    SnapshotFolder(tmp_path).write(final_values(log[:15], [])[1], 0)  # a zombie's
    assert restored(tmp_path).partitions[0].next_offsets == {TOPIC: 30}
    assert len(files(tmp_path)) == 2


def test_a_snapshot_of_the_same_position_is_not_written_again(tmp_path: Path) -> None:
    log = generated_log(5, 60)
    folder, state = SnapshotFolder(tmp_path), final_values(log, [])[1]
    folder.write(state, 0)
    folder.write(state, 0)
    assert len(files(tmp_path)) == 1


def test_additions_are_folded_into_a_whole_before_they_outweigh_it(tmp_path: Path) -> None:
    log = generated_log(8, 900)
    folder, state, values = SnapshotFolder(tmp_path), empty_state(0), {}
    most = 0
    for start, end in pairwise(range(0, len(log) + 1, 3)):
        values |= folded(state, log, start, end)
        folder.write(state, 0)
        most = max(most, len(files(tmp_path)))
    assert most <= 2 * (LONGEST_CHAIN + 1)
    # The last position's predecessor may be written whole, with nothing before it.
    after = restored(tmp_path)
    values |= folded(after, log, after.partitions[0].next_offsets[TOPIC], len(log))
    assert values == reference(log)[0]


def test_a_snapshot_whose_base_is_gone_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    log = generated_log(6, 90)
    whole = SnapshotFolder(tmp_path)
    whole.write(final_values(log[:40], [])[1], 0)
    (kept,) = files(tmp_path)
    other, state = SnapshotFolder(tmp_path), empty_state(0)
    folded(state, log, 0, 30)
    other.write(state, 0)
    (base,) = set(files(tmp_path)) - {kept}
    folded(state, log, 30, 60)
    other.write(state, 0)
    base.unlink()
    assert restored(tmp_path).partitions[0].next_offsets == {TOPIC: 40}


def test_a_draft_is_no_snapshot_and_goes_when_it_is_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "rollup" / "0"
    home.mkdir(parents=True)
    (home / "draft-1").write_bytes(b"half of a snapsh")
    assert restored(tmp_path).partitions[0].next_offsets == {}
    assert [path.name for path in files(tmp_path)] == ["draft-1"]
    monkeypatch.setattr(snapshots, "ABANDONED_AFTER_SECONDS", -1.0)
    restored(tmp_path)
    assert files(tmp_path) == []


def test_a_snapshot_of_other_definitions_is_none(tmp_path: Path) -> None:
    SnapshotFolder(tmp_path).write(final_values(generated_log(5, 60), [])[1], 0)
    state = empty_state()
    assert not SnapshotFolder(tmp_path, definitions=lambda: "of another catalogue").restore(state, 0)
    assert state.partitions[0].next_offsets == {}
