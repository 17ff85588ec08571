"""Summary, score history, metric values and pipeline figures."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.pipeline_figures import KIND_FIGURES, PipelineReading, figures, pipeline_figures
from api.receipts import combine
from tests.api.portfolio_rows import DAY, INGESTED, MODEL, OPEN_DAY_END, SEALED_THROUGH, Account, store
from vitals.clock import ManualClock

ACCOUNTS = [
    Account(1, "One", 10_000_000, "at_risk", "down", past={1: 11_000_000, 7: 40_000_000, 28: 30_000_000}),
    Account(2, "Two", 50_000_001, "watch", "flat", past={1: 50_000_000, 7: 50_000_001, 10: 20_000_000, 91: 1}),
    Account(3, "Three", 90_000_000, "healthy", "up", past={1: 90_000_000, 7: 70_000_000}),
    Account(4, "Four", None, "unknown", past={1: None}),
    Account(5, "Five", live=False),
    Account(6, "Gone", 1, "at_risk", "down", deleted=True),
]


@pytest.fixture
def portfolio(database: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    store(database, ACCOUNTS)
    return database


def test_summary_counts_the_portfolio(portfolio: object, client: httpx.Client) -> None:
    summary = client.get("/v1/summary").json()
    assert (summary["accounts"], summary["scored"]) == (5, 3)
    assert summary["mean_score"] == pytest.approx(50.000000333, abs=1e-9)
    assert summary["bands"] == {"healthy": 1, "watch": 1, "at_risk": 1, "unknown": 2}
    assert (summary["falling"], summary["rising"]) == (1, 1)
    assert [item["name"] for item in summary["worst"]] == ["One", "Two", "Three"]
    assert [(item["name"], item["change_7d"]) for item in summary["movers"]] == [("One", -30.0), ("Three", 20.0)]
    assert summary["receipt"]["model"] == MODEL


def test_summary_history_is_by_tick(portfolio: object, client: httpx.Client) -> None:
    history = client.get("/v1/summary").json()["history"]
    by_tick = {datetime.fromisoformat(item["tick"]): item for item in history}
    # The last 90 ticks: not the one 91 days before the open day's end.
    assert sorted(by_tick) == [OPEN_DAY_END - days * DAY for days in (28, 10, 7, 1)]
    newest = by_tick[OPEN_DAY_END - DAY]
    assert newest["mean_score"] == pytest.approx((11 + 50 + 90) / 3)
    assert (newest["healthy"], newest["watch"], newest["at_risk"]) == (1, 1, 1)


def test_summary_sees_open_ticks_at_once_and_sealed_ones_later(
    portfolio: psycopg.Connection[Any], live_writer: object, serve: Callable[..., Any]
) -> None:
    clock = ManualClock(datetime(2026, 6, 1, 12, tzinfo=UTC))

    def means(client: httpx.Client) -> dict[str, float]:
        return {item["tick"]: item["mean_score"] for item in client.get("/v1/summary").json()["history"]}

    with serve(options={"clock": clock}) as api, api.signed_in() as client:
        means(client)
        portfolio.execute("update health_scores set score = 5000000")
        after = means(client)
        assert after["2026-06-01T00:00:00Z"] == 5.0
        sealed = (OPEN_DAY_END - 10 * DAY).isoformat().replace("+00:00", "Z")
        assert after[sealed] == 20.0
        clock.advance(timedelta(minutes=5))
        assert means(client)[sealed] == 5.0


def test_empty_installation_answers(client: httpx.Client) -> None:
    summary = client.get("/v1/summary").json()
    assert (summary["accounts"], summary["mean_score"], summary["history"], summary["worst"]) == (0, None, [], [])
    assert summary["receipt"] == dict.fromkeys(summary["receipt"])
    assert client.get("/v1/accounts").json()["items"] == []
    assert client.get("/v1/pipeline").json()["events_in"] == 0


def test_health_history(portfolio: object, client: httpx.Client) -> None:
    path = f"/v1/accounts/{ACCOUNTS[0].account_id}/health"
    answer = client.get(path).json()
    assert answer["model"] == MODEL
    assert [item["score"] for item in answer["items"]] == [30.0, 40.0, 11.0]
    # Sealed through 26 May: only the tick of 1 June may still change.
    assert [item["provisional"] for item in answer["items"]] == [False, False, True]
    assert SEALED_THROUGH == OPEN_DAY_END - 7 * DAY
    half_open = client.get(path, params={"from": "2026-05-05", "to": "2026-06-01T00:00:00Z"}).json()["items"]
    assert [item["tick"] for item in half_open] == ["2026-05-05T00:00:00Z", "2026-05-26T00:00:00Z"]
    shifted = client.get(path, params={"from": "2026-06-01T02:00:00+02:00"}).json()["items"]
    assert [item["score"] for item in shifted] == [11.0]


@pytest.mark.parametrize(
    "query", ["from=yesterday", "from=2026-06-02&to=2026-06-01", "from=9999-12-31T23:00:00-05:00", "to="]
)
def test_times_that_are_none_are_refused(portfolio: object, client: httpx.Client, query: str) -> None:
    assert client.get(f"/v1/accounts/{ACCOUNTS[0].account_id}/health?{query}").status_code == 422


def test_metric_values(portfolio: psycopg.Connection[Any], client: httpx.Client) -> None:
    account = ACCOUNTS[0]
    for start, value in (("2026-05-25", "418.5"), ("2026-05-26", "1234567.123456")):
        portfolio.execute(
            "insert into metric_values values (%s, 'product.events', 'day', %s, %s, %s, 1, 0, 9)",
            [account.account_id, f"{start}T00:00:00Z", value, account.partition],
        )
    answer = client.get(f"/v1/accounts/{account.account_id}/metrics?metric=product.events").json()
    assert [(item["value"], item["sealed"]) for item in answer["items"]] == [(418.5, True), (1234567.123456, False)]
    assert answer["receipt"]["sealed_through"] == "2026-05-26T00:00:00Z"
    assert answer["receipt"]["model"] is None


def test_unknown_metric_is_refused_with_those_there_are(portfolio: object, client: httpx.Client) -> None:
    answer = client.get(f"/v1/accounts/{ACCOUNTS[0].account_id}/metrics?metric=product.joy")
    assert answer.status_code == 422
    assert "product.events" in answer.json()["detail"]


@pytest.mark.parametrize(("metric", "grain"), [("product.events", "week"), ("billing.seats", "hour")])
def test_a_grain_that_a_metric_is_not_kept_at_is_refused(
    portfolio: object, client: httpx.Client, metric: str, grain: str
) -> None:
    answer = client.get(f"/v1/accounts/{ACCOUNTS[0].account_id}/metrics?metric={metric}&grain={grain}")
    assert answer.status_code == 422
    assert "day" in answer.text


def test_an_hour_is_sealed_by_its_own_end(portfolio: psycopg.Connection[Any], client: httpx.Client) -> None:
    account = ACCOUNTS[1]
    for start in ("2026-05-25T23:00:00Z", "2026-05-26T00:00:00Z"):
        portfolio.execute(
            "insert into metric_values values (%s, 'product.events', 'hour', %s, 7, %s, 1, 0, 9)",
            [account.account_id, start, account.partition],
        )
    answer = client.get(f"/v1/accounts/{account.account_id}/metrics?metric=product.events&grain=hour").json()
    assert [(item["value"], item["sealed"]) for item in answer["items"]] == [(7.0, True), (7.0, False)]


def test_receipt_takes_the_furthest_watermark_and_the_least_seal() -> None:
    hour = timedelta(hours=1)
    rows = [
        {"watermark": INGESTED, "sealed_through": SEALED_THROUGH, "newest_ingested_at": None},
        {"watermark": None, "sealed_through": SEALED_THROUGH - DAY, "newest_ingested_at": INGESTED},
    ]
    receipt = combine(rows, MODEL, INGESTED + hour)
    assert receipt.watermark == INGESTED
    assert receipt.sealed_through == SEALED_THROUGH - DAY
    assert receipt.freshness_seconds == 3600
    unsealed = {"watermark": None, "sealed_through": None, "newest_ingested_at": None}
    assert combine([*rows, unsealed], MODEL, INGESTED).sealed_through is None
    assert combine(rows, MODEL, INGESTED - hour).freshness_seconds == 0


def test_pipeline_counts_add_up(portfolio: psycopg.Connection[Any], dsn: str, client: httpx.Client) -> None:
    rows = [
        ("connector", "zendesk.tickets", -1, "support.ticket_opened", "published", 100),
        ("connector", "zendesk.tickets", -1, "support.ticket_opened", "quarantined", 3),
        ("connector", "zendesk.tickets", -1, "support.ticket_opened", "dead_lettered", 2),
        ("connector", "import", -1, "support.ticket_opened", "published", 10),
        ("rollup", "events.support", 0, "support.ticket_opened", "counted", 60),
        ("rollup", "events.support", 1, "support.ticket_opened", "counted", 40),
        ("rollup", "events.support", 1, "support.ticket_opened", "duplicate", 5),
        ("rollup", "events.support", 1, "support.ticket_opened", "late", 4),
        ("rollup", "events.support", 1, "support.ticket_opened", "dead_lettered", 1),
    ]
    for row in rows:
        portfolio.execute("insert into pipeline_counts values (%s, %s, %s, %s, %s, %s, 1)", row)
    portfolio.execute("insert into sink_offsets values ('timescale', 'health.scores', 0, 7)")
    answer = client.get("/v1/pipeline").json()
    kind = {
        "kind": "support.ticket_opened",
        "published": 110,
        "counted": 100,
        "duplicate": 5,
        "late": 4,
        "quarantined": 3,
        "dead_lettered": 3,
    }
    assert answer["by_kind"] == [kind]
    assert answer["events_in"] == 115
    assert answer["events_in"] == sum(
        answer[name] for name in ("counted", "duplicates", "late", "quarantined", "dead_lettered")
    )
    assert answer["scores"] == 10
    # Nothing listens where these settings look for Kafka: every lag is unknown, and the rest is there.
    assert answer["lag"] == {"rollup": None, "scoring": None, "sink timescale": None}
    clock = ManualClock(INGESTED + timedelta(seconds=2))
    assert pipeline_figures(dsn, {}, clock)["freshness_seconds"] == 2


positions = st.dictionaries(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 3)), st.integers(0, 100))


@given(read=positions, ends=positions)
def test_lag_is_known_only_where_kafka_says_everything(
    read: dict[tuple[str, int], int], ends: dict[tuple[str, int], int]
) -> None:
    rows = [
        {"worker": topic, "topic": topic, "partition": partition, "next_offset": offset}
        for (topic, partition), offset in read.items()
    ]
    lag = figures(PipelineReading([], rows, 0, 0, None), ends, INGESTED)["lag"]
    for worker in {topic for topic, _ in read}:
        mine = {key: offset for key, offset in read.items() if key[0] == worker}
        if set(mine) <= set(ends):
            assert lag[worker] == sum(max(0, ends[key] - offset) for key, offset in mine.items())
        else:
            assert lag[worker] is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["crm.x", "support.y"]),
            st.sampled_from(
                [
                    ("connector", "published"),
                    ("connector", "quarantined"),
                    ("connector", "dead_lettered"),
                    ("rollup", "counted"),
                    ("rollup", "duplicate"),
                    ("rollup", "late"),
                    ("rollup", "dead_lettered"),
                ]
            ),
            st.integers(0, 1000),
        )
    )
)
def test_totals_are_the_sums_of_kinds(counts: list[tuple[str, tuple[str, str], int]]) -> None:
    rows = [{"kind": kind, "stage": stage, "fate": fate, "count": count} for kind, (stage, fate), count in counts]
    answer = figures(PipelineReading(rows, [], 0, 0, None), {}, INGESTED)
    for total, part in (("counted", "counted"), ("duplicates", "duplicate"), ("dead_lettered", "dead_lettered")):
        assert answer[total] == sum(kind[part] for kind in answer["by_kind"])
    assert sum(sum(kind[name] for name in KIND_FIGURES) for kind in answer["by_kind"]) == sum(c for _, _, c in counts)
    from_connectors = sum(count for _, (stage, _), count in counts if stage == "connector")
    assert answer["events_in"] == from_connectors
