"""Seats against a count that does one event after another."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from connectors.simulation.calendar import DAY, epoch, month_starts
from connectors.simulation.seat_counts import count_seats

_START = epoch("2026-01-01")
_MONTHS = month_starts(_START, _START + 99 * DAY)
_EVENTS = st.lists(st.tuples(st.integers(0, 100 * DAY - 1), st.integers(0, 4), st.integers(0, 9)), min_size=1)


@given(_EVENTS)
def test_seats_are_the_distinct_users_of_a_month(events: list[tuple[int, int, int]]) -> None:
    columns = np.array(events, dtype=np.int64).T
    seats = count_seats(columns[0] + _START, columns[1], columns[2], 5, _MONTHS)
    expected = np.zeros((5, len(_MONTHS)), dtype=np.int64)
    seen = set()
    for at, account, user in events:
        month = int(np.flatnonzero(at + _START >= _MONTHS)[-1])
        if (account, month, user) not in seen:
            seen.add((account, month, user))
            expected[account, month] += 1
    assert np.array_equal(seats.users, expected)
    assert np.array_equal(seats.months, _MONTHS)
