"""Steps of time: recognised, continued, and written as they were."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.forecast.calendar import rhythm_of, writer_like, written
from vitals.errors import UserError


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("stamps", "name", "following"),
    [
        (["2026-01-01", "2026-02-01", "2026-03-01"], "months", "2026-04-01"),
        (["2026-01-31", "2026-02-28", "2026-03-31"], "months", "2026-04-30"),
        (["2026-01-01", "2026-04-01", "2026-07-01"], "quarters", "2026-10-01"),
        (["2024-12-31", "2025-12-31"], "years", "2026-12-31"),
        (["2026-01-05", "2026-01-12", "2026-01-19"], "weeks", "2026-01-26"),
        (["2026-01-05", "2026-01-06", "2026-01-08"], "days", "2026-01-09"),
        (["2026-01-01T22:00", "2026-01-01T23:00", "2026-01-02T00:00"], "hours", "2026-01-02T01:00"),
        (["2026-01-01T22:00", "2026-01-01T22:15", "2026-01-01T22:30"], "0:15:00", "2026-01-01T22:45"),
        ([f"2026-01-{day:02d}" for day in (5, 6, 7, 8, 9, 12, 13, 14, 16)], "business days", "2026-01-19"),
    ],
)
def test_steps_are_recognised_and_go_on(stamps: list[str], name: str, following: str) -> None:
    instants = [at(stamp) for stamp in stamps]
    rhythm = rhythm_of(instants)
    assert rhythm.name == name
    assert rhythm.next_after(instants[-1], 1) == at(following)


@given(st.integers(1, 12), st.integers(1, 400), st.sampled_from(["months", "business", "hours"]))
def test_the_place_of_the_nth_step_is_n(start_month: int, steps: int, kind: str) -> None:
    start = datetime(2025, start_month, 1, tzinfo=UTC)
    while kind == "business" and start.weekday() > 4:
        start += timedelta(days=1)
    if kind == "months":
        instants = [start, start.replace(year=2026), *(start.replace(year=2026 + each) for each in (1, 2))]
        rhythm = rhythm_of([datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC), *instants[2:]])
    elif kind == "hours":
        rhythm = rhythm_of([start + timedelta(hours=hour) for hour in range(5)])
    else:
        days = [start + timedelta(days=day) for day in range(40)]
        rhythm = rhythm_of([day for day in days if day.weekday() < 5])
    assert rhythm.place(start, rhythm.next_after(start, steps)) == steps


def test_no_step_is_told() -> None:
    with pytest.raises(UserError, match="no regular step"):
        rhythm_of([at("2026-01-01"), at("2026-01-02"), at("2026-01-04T05:00"), at("2026-01-09T01:30")])


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-01",
        "2026-11-01 10:00:00",
        "2026-11-01T10:00:00Z",
        "2026-11",
        "20261101",
        "1793527200",
        "2026-11-01T10:00",
    ],
)
def test_timestamps_are_written_as_they_were(text: str) -> None:
    from batch.series.timestamps import micros_of

    instant = datetime.fromtimestamp(micros_of(text if len(text) != 7 else f"{text}-01") / 1e6, UTC)
    assert written(instant, writer_like(text)) == text
