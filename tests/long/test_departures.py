"""The yardstick itself: known histories give known answers (fast, so it runs in make test)."""

from tests.long.departures import AccountHistory, departures


def history(bands: str, active: list[int]) -> AccountHistory:
    names = {"h": "healthy", "w": "watch", "a": "at_risk"}
    return AccountHistory(active, [(day, names[band], "flat") for day, band in enumerate(bands)])


def test_a_band_lost_before_the_last_event_is_a_warning_and_its_lead_is_counted_in_days() -> None:
    gone = history("h" * 50 + "w" * 50, list(range(0, 80, 2)))
    outcome = departures([gone], end_day=1000)
    assert (outcome.left, outcome.seen, outcome.days_early) == (1, 1, [28])


def test_no_warning_no_sight_and_few_active_days_do_not_count() -> None:
    steady = history("h" * 100, list(range(0, 80, 2)))
    brief = history("h" * 50 + "a" * 50, [1, 2, 3])
    outcome = departures([steady, brief], end_day=1000)
    assert (outcome.left, outcome.seen) == (1, 0)


def test_an_account_that_stays_only_feeds_the_base_rate() -> None:
    staying = history("h" * 50 + "w" * 50, list(range(100)))
    outcome = departures([staying], end_day=120)
    assert outcome.left == 0
    assert outcome.staying_share_falling == 0.5
