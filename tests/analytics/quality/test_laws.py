"""Laws of the statistics: order, cuts and repeats of merging, and what the comparisons with the past promise."""

import math
from collections import Counter
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.quality.declarations import DAY_MICROS, parse_check
from analytics.quality.judging import History, judge
from analytics.quality.partials import Partial, merge_all
from analytics.quality.statistics import jensen_shannon, robust_band

NAMES = st.sampled_from("abcdef")
partials = st.builds(
    Partial,
    st.integers(0, 50),
    st.integers(0, 50),
    st.dictionaries(NAMES, st.integers(-9, 9).filter(bool)),
    st.none() | st.integers(-(2**60), 2**60),
    st.booleans(),
    st.frozensets(NAMES),
    st.frozensets(NAMES),
)
counts = st.dictionaries(NAMES, st.integers(1, 1000), min_size=1)


@given(st.lists(partials, max_size=8), st.randoms(use_true_random=False))
def test_neither_order_nor_cuts_matter(parts, random) -> None:
    """Against a fold that is written otherwise: fields are summed column by column."""
    balance = Counter()
    for part in parts:
        balance.update(part.counts)
    expected = Partial(
        sum(part.records for part in parts),
        sum(part.flagged for part in parts),
        {name: count for name, count in balance.items() if count},
        max((part.furthest for part in parts if part.furthest is not None), default=None),
        any(part.ended for part in parts),
        frozenset().union(*(part.left for part in parts)),
        frozenset().union(*(part.right for part in parts)),
    )
    random.shuffle(parts)
    cut = random.randint(0, len(parts))
    merged = merge_all([merge_all(parts[cut:]), merge_all(parts[:cut])])
    assert merged == expected == merge_all(parts)


@given(partials)
def test_nothing_is_neutral_and_a_snapshot_gives_back_what_it_took(partial: Partial) -> None:
    assert partial.merged(Partial()) == partial == Partial().merged(partial)
    assert Partial.restored(orjson.loads(orjson.dumps(partial.saved()))) == partial


@given(partials)
def test_sets_and_instants_may_be_told_twice(partial: Partial) -> None:
    told = replace(partial, records=0, flagged=0, counts={})
    assert told.merged(told) == told


@given(counts, counts, st.integers(1, 50))
def test_divergence_is_a_bounded_symmetric_distance_of_proportions(one, other, scale: int) -> None:
    divergence = jensen_shannon(one, other)
    assert 0 <= divergence <= 1
    assert divergence == jensen_shannon(other, one)
    assert jensen_shannon(one, {name: count * scale for name, count in one.items()}) == pytest.approx(0, abs=1e-12)
    if not one.keys() & other.keys():
        assert divergence == pytest.approx(1)


def test_divergence_of_a_known_pair() -> None:
    """By the entropy form of Lin's definition: H(m) - (H(p) + H(q)) / 2."""

    def entropy(*shares: float) -> float:
        return -sum(share * math.log2(share) for share in shares if share)

    expected = entropy(0.5, 0.5) - (entropy(0.75, 0.25) + entropy(0.25, 0.75)) / 2
    assert jensen_shannon({"a": 3, "b": 1}, {"a": 1, "b": 3}) == pytest.approx(expected)


@given(st.lists(st.integers(900, 1100), min_size=5, max_size=9), st.integers(0, 10**9))
def test_a_minority_of_broken_days_does_not_move_the_band_beyond_what_was_usual(usual: list[int], broken: int) -> None:
    past = [*usual, *[broken] * ((len(usual) - 1) // 2)]
    lower, upper = robust_band(past, 3, 0.05)
    assert 900 - 3 * 1.4826 * 200 - 3 * 55 <= lower <= upper <= 1100 + 3 * 1.4826 * 200 + 3 * 55


VOLUME = parse_check(
    {
        "name": "v",
        "kind": "volume",
        "topic": "events.product",
        "description": "Events a weekday.",
        "owner": "data",
        "severity": "info",
        "window": "day",
        "minimum_records": 10,
        "direction": "low",
    }
)


def week(number: int) -> int:
    return number * 7 * DAY_MICROS


@given(st.lists(st.integers(24, 30), min_size=8, max_size=8), st.lists(st.integers(0, 10**6), max_size=30))
def test_volume_depends_on_its_own_weekdays_only(same: list[int], others: list[int]) -> None:
    windows = {week(number): Partial(count) for number, count in enumerate(same)}
    noise = {week(1) + DAY_MICROS * (1 + number % 6): Partial(count) for number, count in enumerate(others)}
    alone = judge(VOLUME, week(8), History(windows))
    assert alone == judge(VOLUME, week(8), History(windows | noise))
    assert (alone.verdict, alone.observed) == ("failed", 0.0)


def test_volume_says_nothing_of_a_source_that_is_new_or_small() -> None:
    new = {week(number): Partial(100) for number in range(6, 9)}
    assert judge(VOLUME, week(8), History(new)).verdict == "not_enough_data"
    small = {week(number): Partial(3) for number in range(8)}
    assert judge(VOLUME, week(8), History(small)).verdict == "not_enough_data"
    steady = {week(number): Partial(100) for number in range(9)}
    assert judge(VOLUME, week(8), History(steady)).verdict == "passed"
