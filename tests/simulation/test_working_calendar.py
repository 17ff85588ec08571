"""Days off against calendars that were looked up, and shares that the generated world multiplies with."""

from datetime import UTC, date, datetime

import pytest

from connectors.simulation.calendar import DAY, epoch
from connectors.simulation.directory import region_of
from connectors.simulation.working_calendar import (
    COUNTRIES,
    SEASONS,
    Country,
    country_of,
    seasonal_share,
    utc_offsets,
    working_share,
)


def country(code: str) -> Country:
    return next(one for one in COUNTRIES if one.code == code)


@pytest.mark.parametrize(
    ("code", "year", "holidays"),
    [
        ("US", 2026, [(1, 19), (5, 25), (7, 4), (9, 7), (11, 26), (11, 27)]),
        ("GB", 2026, [(4, 3), (4, 6), (5, 4), (5, 25), (8, 31), (12, 26)]),
        ("DE", 2025, [(4, 18), (4, 21), (5, 29), (6, 9), (10, 3)]),
        ("FR", 2027, [(3, 29), (5, 6), (5, 17), (7, 14)]),
        ("BR", 2026, [(2, 16), (2, 17), (4, 3)]),
        ("AU", 2026, [(4, 3), (4, 6), (6, 8), (1, 26)]),
        ("JP", 2026, [(4, 29), (5, 5), (12, 31)]),
    ],
)
def test_holidays_fall_on_their_dates(code: str, year: int, holidays: list[tuple[int, int]]) -> None:
    assert {date(year, month, day) for month, day in holidays} <= country(code).holidays(year)
    assert date(year, 3, 10) not in country(code).holidays(year)


def test_a_week_has_five_days_everywhere_and_fridays_off_in_riyadh() -> None:
    monday = epoch("2026-03-09")
    share = working_share(monday, 7)
    for place, one in enumerate(COUNTRIES):
        off = {day for day in range(7) if share[place, day] < 0.5}
        assert off == ({4, 5} if one.code == "SA" else {5, 6})


def test_offsets_change_with_summer_time() -> None:
    january, july = (utc_offsets(epoch(day), 1)[:, 0] for day in ("2026-01-15", "2026-07-15"))
    places = {one.time_zone: place for place, one in enumerate(COUNTRIES)}
    assert (january[places["Europe/Berlin"]], july[places["Europe/Berlin"]]) == (1, 2)
    assert (january[places["America/New_York"]], july[places["America/New_York"]]) == (-5, -4)
    assert january[places["Asia/Kolkata"]] == july[places["Asia/Kolkata"]] == 5.5
    assert january[places["Australia/Sydney"]] == 11


def test_seasons_and_countries() -> None:
    start = epoch("2026-01-01")
    shares = seasonal_share(start, 365)
    of_month = [datetime.fromtimestamp(start + day * DAY, UTC).month for day in range(365)]
    july, december = of_month.index(7), of_month.index(12)
    academic, retail = SEASONS.index("academic"), SEASONS.index("retail")
    assert shares[academic, july] < 0.5 < 1 < shares[retail, december]
    assert (shares[0] == 1).all()
    ids = [f"acct_{number}" for number in range(400)]
    codes = {COUNTRIES[country_of(one, region_of(one))].code for one in ids}
    assert codes == {one.code for one in COUNTRIES}
    assert all(country_of(one, region_of(one)) == country_of(one, region_of(one)) for one in ids)
