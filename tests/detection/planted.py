"""Seeded series with planted episodes: what a detector must find, and where it must keep quiet. No real data."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

START: Final = 1_577_664_000
"""Monday 2019-12-30, seconds since 1970."""

KINDS: Final = ("spike", "drop", "level_shift", "silence")


@dataclass(frozen=True)
class Episode:
    """Rows `[start, end)` of one kind."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True)
class Series:
    """A series with what was planted in it. `times` are seconds since 1970."""

    shape: str
    times: Floats
    values: Floats
    episodes: tuple[Episode, ...]


@dataclass(frozen=True)
class Shape:
    """How a normal series behaves. Levels are per row; `noise` is the share of the level that scatters."""

    name: str
    seconds: int
    rows: int
    level: float
    daily: float
    weekly: float
    noise: float
    tail: str = "normal"
    trend: float = 0.0
    missing: float = 0.0
    memory: float = 0.0


SHAPES: Final = (
    Shape("hourly", 3600, 24 * 7 * 12, 200, 0.5, 0.4, 0.05),
    Shape("hourly, noisy", 3600, 24 * 7 * 12, 200, 0.4, 0.3, 0.12),
    Shape("hourly, trend", 3600, 24 * 7 * 12, 100, 0.5, 0.3, 0.06, trend=1.0),
    Shape("hourly, heavy tails", 3600, 24 * 7 * 12, 200, 0.5, 0.3, 0.05, tail="t4"),
    Shape("hourly, rows missing", 3600, 24 * 7 * 12, 200, 0.5, 0.3, 0.05, missing=0.03),
    Shape("hourly counts", 3600, 24 * 7 * 12, 60, 0.5, 0.4, 0.0, tail="poisson"),
    Shape("hourly, autocorrelated", 3600, 24 * 7 * 12, 200, 0.5, 0.3, 0.06, memory=0.6),
    Shape("daily", 86_400, 1_100, 500, 0.0, 0.5, 0.06),
    Shape("daily, trend", 86_400, 1_100, 300, 0.0, 0.4, 0.08, trend=1.5),
    Shape("daily counts", 86_400, 1_100, 80, 0.0, 0.5, 0.0, tail="poisson"),
    Shape("five minutes", 300, 288 * 21, 300, 0.5, 0.2, 0.06),
    Shape("five minutes, autocorrelated", 300, 288 * 21, 300, 0.4, 0.2, 0.05, memory=0.8),
)


def series(shape: Shape, seed: int, episodes: int = 8) -> Series:
    """One series; the first third of it is undisturbed."""
    rng = np.random.default_rng([seed, *shape.name.encode()])
    times = START + np.arange(shape.rows) * float(shape.seconds)
    level = _normal_level(shape, times, rng)
    if shape.tail == "poisson":
        values = rng.poisson(level).astype(np.float64)
    else:
        values = level * (1 + shape.noise * _noise(shape, rng))
    found: list[Episode] = []
    first = shape.rows // 3
    slots = np.linspace(first, shape.rows - shape.rows // 20, episodes + 1)
    for number in range(episodes):
        kind = KINDS[(number + seed) % len(KINDS)]
        low, high = slots[number], slots[number + 1]
        start = int(rng.uniform(low, low + (high - low) / 3))
        found.append(_plant(shape, kind, start, values, level, rng))
    kept = np.ones(shape.rows, dtype=bool)
    if shape.missing:
        kept = rng.random(shape.rows) >= shape.missing
    place = np.cumsum(kept) - 1
    moved = tuple(
        Episode(each.kind, int(place[each.start]) + (not kept[each.start]), int(place[each.end - 1]) + 1)
        for each in found
    )
    return Series(shape.name, times[kept], values[kept], tuple(each for each in moved if each.end > each.start))


def _normal_level(shape: Shape, times: Floats, rng: np.random.Generator) -> Floats:
    hours, weekday = (times / 3600) % 24, ((times - START) / 86_400 % 7).astype(int)
    peak = rng.uniform(10, 16)
    daily = (
        1
        + shape.daily * np.cos((hours - peak) / 24 * 2 * np.pi)
        + 0.3 * shape.daily * np.cos((hours - peak) / 6 * np.pi)
    )
    weekly = np.where(weekday >= 5, 1 - shape.weekly, 1.0) + shape.weekly * 0.1 * np.sin(weekday)
    growth = 1 + shape.trend * np.arange(len(times)) / len(times)
    level: Floats = np.maximum(shape.level * daily * weekly * growth, 0.02 * shape.level)
    return level


def _noise(shape: Shape, rng: np.random.Generator) -> Floats:
    noise = rng.standard_t(4, shape.rows) / np.sqrt(2) if shape.tail == "t4" else rng.normal(size=shape.rows)
    if shape.memory:
        scale = np.sqrt(1 - shape.memory**2)
        for row in range(1, shape.rows):
            noise[row] = shape.memory * noise[row - 1] + scale * noise[row]
    return noise


def _plant(shape: Shape, kind: str, start: int, values: Floats, level: Floats, rng: np.random.Generator) -> Episode:
    """Changes the values of one episode. Sizes are in standard deviations of the noise and in shares of the level."""
    if kind in ("spike", "drop"):
        length = int(rng.integers(1, 4))
        # Where there is something to drop from.
        while kind == "drop" and level[start] < 0.6 * level.mean():
            start += 1
        rows = slice(start, start + length)
        deviation = np.sqrt(level[rows]) if shape.tail == "poisson" else shape.noise * level[rows]
        size = np.maximum(rng.uniform(8, 14) * deviation, rng.uniform(0.5, 0.9) * level[rows])
        values[rows] = values[rows] + size if kind == "spike" else np.maximum(values[rows] - size, 0)
    elif kind == "level_shift":
        length = int({3600: 72, 86_400: 28, 300: 288}[shape.seconds] * rng.uniform(0.7, 1.3))
        rows = slice(start, start + length)
        values[rows] = values[rows] * rng.choice([0.35, 1.9])
    else:
        length = int({3600: 12, 86_400: 5, 300: 48}[shape.seconds] * rng.uniform(0.7, 1.5))
        rows = slice(start, start + length)
        values[rows] = 0.0
    if shape.tail == "poisson":
        values[rows] = np.round(values[rows])
    return Episode(kind, start, start + length)


def noise_series(seed: int) -> Iterator[tuple[str, Floats]]:
    """Series without season and without any anomaly, of 5,000 rows each."""
    rng = np.random.default_rng(seed)
    rows = 5_000
    walk = np.cumsum(rng.normal(size=rows))
    yield "white", rng.normal(size=rows)
    yield "walk", walk
    yield "heavy tails", rng.standard_t(3, size=rows)
    yield "lognormal", rng.lognormal(0, 1, size=rows)
    yield "rare counts", rng.poisson(0.3, size=rows).astype(np.float64)
    yield "counts", rng.poisson(20, size=rows).astype(np.float64)
    yield "steps", np.repeat(rng.normal(size=rows // 50) * 10, 50) + rng.normal(size=rows)
    yield "two values", (rng.random(rows) < 0.3).astype(np.float64)
    yield "sine", np.sin(np.arange(rows) / 9.7) + rng.normal(size=rows) * 0.05
    yield "changing spread", rng.normal(size=rows) * (1 + 0.8 * np.sin(np.arange(rows) / 300))
    yield "constant", np.full(rows, 7.0)
