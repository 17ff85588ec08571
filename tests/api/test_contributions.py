"""How an account's signals stand, why a stale one is held, its segment's weights, and what overrides add."""

from typing import Any

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from analytics.health.scores import STATUSES as CODES
from api.account_rows import STATUSES
from tests.api.portfolio_rows import DAY, DEFINITION, MODEL, OPEN_DAY_END, WATERMARK, Account, store

ACCOUNT = Account(1, "One", 40_000_000, past={7: 41_000_000})
SIGNALS: list[dict[str, Any]] = DEFINITION["signals"]  # type: ignore[assignment]


@pytest.fixture
def held(database: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """Usage is stale, tickets are missing; an override takes ten points."""
    store(database, [ACCOUNT])
    definition = {
        **DEFINITION,
        "signals": [
            {**SIGNALS[0], "inputs": [{"metric": "product.events"}], "denominator": [{"metric": "billing.seats"}]},
            {**SIGNALS[1], "inputs": [{"metric": "support.tickets_opened"}]},
        ],
        "segments": [{"name": "large", "label": "Large", "when": {}, "weights": {"usage": 70}}],
    }
    database.execute("update health_models set definition = %s where model = %s", [Jsonb(definition), MODEL])
    database.execute(
        "update health_live set statuses = '{2,1}', adjustment = -10000000, segment = 'large',"
        " contributions = array[50000000, null]"
    )
    database.execute("update health_scores set adjustment = -9000000, segment = 'large'")
    return database


def detail_of(client: httpx.Client) -> dict[str, Any]:
    detail: dict[str, Any] = client.get(f"/v1/accounts/{ACCOUNT.account_id}").json()
    return detail


def test_names_of_statuses_are_those_of_the_formula() -> None:
    assert STATUSES == CODES


def test_a_stale_signal_names_the_topics_that_are_behind(held: psycopg.Connection[Any], client: httpx.Client) -> None:
    held.execute(
        "insert into watermarks (input_topic, partition, watermark, position)"
        " values ('events.billing', %s, %s, 1), ('events.support', %s, %s, 1)",
        [ACCOUNT.partition, WATERMARK - 3 * DAY, ACCOUNT.partition, WATERMARK - 5 * DAY],
    )
    usage, tickets = detail_of(client)["contributions"]
    assert (usage["status"], tickets["status"]) == ("stale", "missing")
    late = {"topic": "events.billing", "complete_through": (WATERMARK - 3 * DAY).isoformat().replace("+00:00", "Z")}
    assert usage["outages"] == [late], "not the product's topic, which is there, nor support's, which is not its"
    assert tickets["outages"] == []
    held.execute("update watermarks set watermark = %s where input_topic = 'events.billing'", [OPEN_DAY_END - DAY])
    assert detail_of(client)["contributions"][0]["outages"] == [], "it has reached the open day"


def test_contributions_and_adjustment_sum_to_the_score(held: object, client: httpx.Client) -> None:
    detail = detail_of(client)
    parts = [item["contribution"] or 0 for item in detail["contributions"]]
    assert detail["adjustment"] == -10.0
    assert round(sum(parts) * 1e6) + round(detail["adjustment"] * 1e6) == round(detail["score"] * 1e6)


def test_weights_are_those_of_the_segment(held: object, client: httpx.Client) -> None:
    detail = detail_of(client)
    assert (detail["segment"], detail["score_segment"]) == ("Enterprise", "large")
    assert [item["weight"] for item in detail["contributions"]] == [70, 40]


def test_lists_and_history_tell_the_adjustment_too(held: object, client: httpx.Client) -> None:
    (row,) = client.get("/v1/accounts").json()["items"]
    assert (row["adjustment"], row["score_segment"]) == (-10.0, "large")
    (worst,) = client.get("/v1/summary").json()["worst"]
    assert worst["adjustment"] == -10.0
    (point,) = client.get(f"/v1/accounts/{ACCOUNT.account_id}/health").json()["items"]
    assert (point["adjustment"], point["score_segment"]) == (-9.0, "large")
