"""What is shown of connectors, streams and dead letters, from what the topics tell. No Kafka here."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.catalogue import connector_modules
from connectors.conditions import (
    BACKING_OFF,
    FIRST_LOAD,
    FOLLOWING,
    PARKED,
    STOPPED,
    Condition,
    Estimate,
    newest,
)
from connectors.contract import LoadProgress
from connectors.dead_letters.letters import Letter, Position, Wanted, newest_first, original_text
from connectors.dead_letters.owners import advice, owner, repair_of
from connectors.setup.display import doing
from connectors.setup.overview import Observed, StreamFigures, connector_views, stream_view
from vitals.errors import UserError
from vitals.settings import Settings

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
STREAM = "zendesk.tickets"


def condition(what: str, seconds_ago: float = 5.0, **more: Any) -> Condition:
    told_at = NOW - timedelta(seconds=seconds_ago)
    return Condition("zendesk", STREAM, what, told_at, written_at=told_at, **more)


def observed(
    told: Condition | None = None, figures: StreamFigures | None = None, paused: frozenset[str] = frozenset()
) -> Observed:
    return Observed(
        {} if figures is None else {STREAM: figures}, {} if told is None else {STREAM: told}, paused, NOW, NOW
    )


RAN = StreamFigures(
    NOW - timedelta(hours=2), 12, NOW - timedelta(minutes=10), {"support.ticket_opened": {"published": 3}}
)


@pytest.mark.parametrize(
    ("what", "state"),
    [
        (observed(), "never run"),
        (observed(figures=RAN), "not running"),
        (observed(condition(FOLLOWING), RAN), "running"),
        (observed(condition(FOLLOWING, seconds_ago=90), RAN), "not running"),
        (observed(condition(STOPPED), RAN), "not running"),
        (observed(condition(PARKED, reason="no"), RAN), "parked"),
        (observed(condition(BACKING_OFF, reason="busy"), RAN), "backing off"),
        (observed(condition(FOLLOWING), RAN, frozenset({STREAM})), "paused"),
        (observed(paused=frozenset({STREAM})), "paused"),
    ],
)
def test_a_streams_state_is_what_its_process_told_while_that_is_alive(what: Observed, state: str) -> None:
    assert stream_view(STREAM, ("events.support",), what).state == state


def test_lag_is_source_time_behind_and_counts_add_up_by_fate() -> None:
    counts = {"a": {"published": 3, "quarantined": 1}, "b": {"published": 4}, "unreadable": {"dead_lettered": 2}}
    figures = StreamFigures(NOW - timedelta(hours=2), 12, NOW, counts)
    shown = stream_view(STREAM, ("events.support",), observed(condition(FOLLOWING), figures)).json()
    assert (shown["published"], shown["quarantined"], shown["dead_lettered"]) == (7, 1, 2)
    assert shown["lag_seconds"] == 7200.0
    json.dumps(shown)


def test_what_a_stream_does_is_told_with_its_reason_and_its_estimate() -> None:
    until = NOW + timedelta(seconds=30)
    parked = stream_view(STREAM, (), observed(condition(PARKED, reason="wrong secret", until=until), RAN))
    assert doing(parked) == "parked until 12:00:30: wrong secret"
    loading = condition(FIRST_LOAD, done=900.0, total=1200.0, unit="days", remaining_seconds=90.0)
    assert "75 %, 900 of 1200 days, about 1 min left" in doing(stream_view(STREAM, (), observed(loading, RAN)))
    gone = stream_view(STREAM, (), observed(condition(PARKED, 900, reason="wrong secret"), RAN))
    assert "wrong secret" not in doing(gone)


def test_every_connector_is_listed_with_what_its_settings_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITALS_STRIPE_KEY", "rk_live")
    views = {view.name: view for view in connector_views(Settings(connectors="stripe,zendesk,collect"), observed())}
    assert set(views) == set(connector_modules())
    assert [name for name, view in views.items() if view.enabled] == ["collect", "stripe", "zendesk"]
    assert views["stripe"].missing is None
    assert "VITALS_ZENDESK_URL" in str(views["zendesk"].missing)
    assert [stream.name for stream in views["zendesk"].streams] == ["zendesk.tickets"]
    assert views["collect"].streams[0].topics == ("events.product", "events.crm", "events.support")
    json.dumps([view.json() for view in views.values()])


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(1, 1e5)), min_size=2, max_size=20))
def test_an_estimate_is_never_negative_and_zero_at_the_end(steps: list[tuple[float, float]]) -> None:
    estimate, at = Estimate(), NOW
    for done, seconds in steps:
        at += timedelta(seconds=seconds)
        remaining = estimate.remaining(LoadProgress(done, 5e5, "records"), at)
        assert remaining is None or remaining >= 0
    first = min(done for done, _ in steps)
    at += timedelta(seconds=1)
    assert estimate.remaining(LoadProgress(first + 1e7, 5e5, "records"), at) == 0.0
    assert estimate.remaining(LoadProgress(first + 1e7, None, "records"), at) is None


def test_the_last_condition_of_each_stream_counts() -> None:
    records = [condition(what).record(NOW) for what in (FIRST_LOAD, PARKED, FOLLOWING)]
    assert newest(records)[STREAM].condition == FOLLOWING


def letter(offset: int, seconds: int = 0, **changed: Any) -> Letter:
    record = {
        "source": "zendesk", "stage": "connector", "event_id": None, "kind": None, "account_ref": None,
        "event_time": None, "error_class": "BadRecordError", "message": "The object has no id.",
        "origin": "zendesk.tickets/ticket/77", "attempt": 1, "original": b'{"id":null}',
        "set_aside_at": NOW + timedelta(seconds=seconds), **changed,
    }  # fmt: skip
    return Letter(Position(offset % 8, offset), record)


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 20))
def test_the_newest_letters_come_first_whatever_their_order_on_the_topic(times: list[int], limit: int) -> None:
    letters = [letter(offset, seconds) for offset, seconds in enumerate(times)]
    shown = newest_first(iter(letters), lambda _: True, limit)
    assert [one.set_aside_at for one in shown] == sorted((one.set_aside_at for one in letters), reverse=True)[:limit]
    assert len({str(one.position) for one in shown}) == len(shown)


def test_letters_are_chosen_by_source_place_class_and_time() -> None:
    letters = [
        letter(1), letter(2, 60, source="rollup", stage="rollup", origin="events.crm/3/17"),
        letter(3, 120, error_class="UnicodeDecodeError"),
    ]  # fmt: skip

    def offsets(**wanted: Any) -> list[int]:
        return [one.position.offset for one in newest_first(letters, Wanted(**wanted), 9)]

    assert offsets() == [3, 2, 1]
    assert offsets(source="rollup") == offsets(topic="events.crm") == [2]
    assert offsets(topic="zendesk.tickets") == [3, 1]
    assert offsets(error_class="BadRecordError", since=NOW + timedelta(seconds=1)) == [2]


@given(st.binary(max_size=5000))
def test_any_original_can_be_shown(original: bytes) -> None:
    text = original_text(original)
    assert all(ord(character) >= 32 or character in "\t\r\n" for character in text)


def test_only_a_streams_letter_can_be_driven_again_and_the_others_say_what_to_do() -> None:
    mine = letter(1, origin="zendesk.tickets/ticket/77/with/slashes")
    assert owner(mine) == "zendesk.tickets"
    again = repair_of(mine)
    assert (again.stream, again.letter, again.attempt) == ("zendesk.tickets", "1/1", 2)
    assert (again.object_type, again.source_id) == ("ticket", "77/with/slashes")
    assert again.raw().body == {"id": None}
    assert repair_of(mine, b'{"id":7}').raw().body == {"id": 7}
    with pytest.raises(UserError, match="not JSON"):
        repair_of(mine, b'{"id":7')
    assert repair_of(letter(9, original=b"half a li"), b"still no json").raw().body == "still no json"
    others = [
        letter(2, stage="rollup", source="rollup", origin="events.crm/3/17"),
        letter(3, stage="sink", source="redis", origin="metrics.values/3/17"),
        letter(4, stage="scoring", source="scoring", origin="metrics.values/3/17"),
        letter(5, source="collect", origin="collect.http/batch/1"),
        letter(6, source="import", origin="import.x/row/1"),
        letter(7, origin="zendesk.tickets/webhook/2026-11-20T12:00:00+00:00"),
    ]
    assert len({advice(one, repaired=False) for one in others}) == len(others)
    for one in others:
        assert owner(one) is None
        with pytest.raises(UserError, match=str(one.position)):
            repair_of(one)


@pytest.mark.parametrize("text", ["", "3", "3/", "/3", "a/b", "-1/3", "3/4/5"])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="dead letter's position"):
        Position.parse(text)


def test_figures_come_from_three_entries_and_the_rest_is_not_decoded() -> None:
    from connectors.setup.overview import figures_of

    class Serde:
        decoded = 0

        def decode(self, value: bytes) -> tuple[str, dict[str, Any]]:
            self.decoded += 1
            return "CursorEntry", {"value": value.decode(), "written_at": NOW}

    def message(key: str, value: bytes | None) -> Any:
        return SimpleNamespace(key=lambda: key.encode(), value=lambda: value)

    serde = Serde()
    found = figures_of(
        [
            message("a.b|position", b"1"), message("a.b|seen/2026-01-01/1", b"[]"), message("a.b|position", b"2"),
            message("a.b|counts", b'{"k":{"published":5}}'), message("c.d|complete_through", b'"2026-11-20T12:00:00Z"'),
            message("a.b|counts", None),
        ],
        serde,  # type: ignore[arg-type]
    )  # fmt: skip
    assert serde.decoded == 4
    assert (found["a.b"].position, found["a.b"].total("published")) == (2, 5)
    assert found["c.d"].complete_through == NOW
