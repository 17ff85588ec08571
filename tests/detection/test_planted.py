"""What is planted is found, and little else: one set of defaults, seeds apart from those of development."""

from collections import defaultdict

import pytest

from analytics.detection import layout
from tests.detection.planted import KINDS, SHAPES, series
from tests.detection.running import answers_of

SEEDS = range(100, 106)


@pytest.fixture(scope="module")
def found() -> dict[str, list[tuple[str, int, int]]]:
    """By shape: (kind, 1 or 0 for found) of every episode, and ("", flags outside, rows outside)."""
    results: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
    for shape in SHAPES:
        for seed in SEEDS:
            one = series(shape, seed)
            flagged = answers_of(one.values, one.times)[:, layout.KIND] > 0
            for episode in one.episodes:
                inside = flagged[episode.start : episode.end]
                results[shape.name].append((episode.kind, int(inside.any()), 1))
                inside[:] = False
            rows = len(flagged) - sum(episode.end - episode.start for episode in one.episodes)
            results[shape.name].append(("", int(flagged.sum()), rows))
    return results


def test_nine_of_ten_planted_episodes_are_found(found: dict[str, list[tuple[str, int, int]]]) -> None:
    outcomes = [row for rows in found.values() for row in rows if row[0]]
    assert len(outcomes) > 500
    assert sum(hit for _, hit, _ in outcomes) >= 0.9 * len(outcomes)
    for kind in KINDS:
        own = [hit for name, hit, _ in outcomes if name == kind]
        assert sum(own) >= 0.8 * len(own), kind


def test_at_most_one_normal_point_in_a_thousand_is_flagged(found: dict[str, list[tuple[str, int, int]]]) -> None:
    outside = [row for rows in found.values() for row in rows if not row[0]]
    assert sum(flags for _, flags, _ in outside) <= sum(rows for _, _, rows in outside) / 1000
