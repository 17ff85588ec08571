"""Laws of the set of ids: it is a set, whatever the order, however it is cut, forgotten, restored or spilt to disk."""

from pathlib import Path
from uuid import UUID

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from streams.rollup.ids import Ids, SeenIds, parsed
from streams.rollup.spill import IdMemory
from streams.rollup.watermark import DAY_MICROS

# Few upper and lower halves, so that ids repeat, and different ids share a half.
NUMBERS = st.tuples(st.integers(0, 3) | st.integers(2**63, 2**64 - 1), st.integers(0, 4), st.integers(0, 3))
BATCHES = st.lists(st.lists(NUMBERS, max_size=12), max_size=25)


def ids_of(numbers: list[tuple[int, int, int]]) -> Ids:
    return Ids(
        np.array([upper for upper, _, _ in numbers], dtype=np.uint64),
        np.array([lower for _, lower, _ in numbers], dtype=np.uint64),
        np.array([day for _, _, day in numbers], dtype=np.int32),
    )


def added_like_a_set(seen: SeenIds, batches: list[list[tuple[int, int, int]]]) -> dict[tuple[int, int], int]:
    """Adds the batches and compares with a dictionary, which is returned: id to the day of its first."""
    known: dict[tuple[int, int], int] = {}
    for batch in batches:
        expected = []
        for upper, lower, day in batch:
            expected.append((upper, lower) not in known)
            known.setdefault((upper, lower), day)
        assert seen.add(ids_of(batch)).tolist() == expected
    assert len(seen) == len(known)
    return known


@given(BATCHES)
def test_the_first_of_each_id_is_new(batches) -> None:
    added_like_a_set(SeenIds(), batches)


@given(BATCHES)
def test_runs_on_disk_are_the_same_set(tmp_path_factory, batches) -> None:
    memory = IdMemory(Ids.BYTES_EACH * 8, tmp_path_factory.mktemp("spill"))
    added_like_a_set(SeenIds(memory.allocate), batches)


@given(BATCHES, st.integers(0, 4))
def test_what_is_forgotten_is_new_again_and_the_rest_is_not(batches, day) -> None:
    seen = SeenIds()
    known = added_like_a_set(seen, batches)
    seen.forget_before(day * DAY_MICROS)
    again = [(upper, lower, first) for (upper, lower), first in known.items()]
    assert seen.add(ids_of(again)).tolist() == [first < day for _, _, first in again]


@given(BATCHES, BATCHES)
def test_what_was_saved_in_pieces_restores_to_the_same(before, after) -> None:
    seen, restored = SeenIds(), SeenIds()
    known = added_like_a_set(seen, before)
    restored.restore(seen.all())
    for batch in after:
        seen.add(ids_of(batch))
        restored.restore(seen.unsaved())
    for batch in after:
        for upper, lower, day in batch:
            known.setdefault((upper, lower), day)
    assert len(restored) == len(seen) == len(known)
    assert not restored.add(ids_of([(upper, lower, 0) for upper, lower in known])).any()


@given(st.lists(st.uuids() | st.text(max_size=40) | st.just("0" * 36) | st.uuids().map(lambda each: str(each).upper())))
def test_ids_in_canonical_form_are_parsed_and_no_others(texts) -> None:
    given_texts = [str(text) for text in texts]
    upper, lower, valid = parsed(pl.Series(given_texts, dtype=pl.String))
    for number, text in enumerate(given_texts):
        try:
            expected = UUID(text) if str(UUID(text)) == text else None
        except ValueError:
            expected = None
        assert valid[number] == (expected is not None)
        if expected is not None:
            assert (int(upper[number]) << 64 | int(lower[number])) == expected.int


def test_memory_is_given_back_and_then_used_again(tmp_path: Path) -> None:
    memory = IdMemory(1000, tmp_path)
    runs = [memory.allocate(20), memory.allocate(20), memory.allocate(40)]
    assert memory.in_memory == 800
    assert [isinstance(run.upper.base, np.memmap) or isinstance(run.upper, np.memmap) for run in runs] == [
        False,
        False,
        True,
    ]
    runs.clear()
    assert memory.in_memory == 0
    assert list(tmp_path.iterdir()) == []
