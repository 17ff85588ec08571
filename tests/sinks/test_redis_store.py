"""Redis holds the newest live state, tells real changes only, and comes back from PostgreSQL after a flush."""

from collections.abc import Iterator
from typing import Any

import orjson
import psycopg
import pytest
import redis

from embedded.endpoints import Endpoints
from sinks.delivery import HEALTH_SCORES, METRICS_VALUES, Source, Step
from sinks.destination import PositionTakenError
from sinks.redis.store import EPOCH, RedisDestination
from sinks.timescale.store import TimescaleDestination
from tests.sinks.conftest import redis_url
from tests.sinks.records import (
    DAY,
    DAY_ONE,
    MODEL,
    Record,
    account,
    delivery,
    metric,
    score,
    scores_bundle,
    values_bundle,
)
from vitals.errors import RetriableError

SCORES, VALUES = Source(HEALTH_SCORES, 3), Source(METRICS_VALUES, 3)


@pytest.fixture
def destination(store: "redis.Redis", stack: Endpoints, dsn: str) -> Iterator[RedisDestination]:
    """The sink's store; PostgreSQL knows nothing yet."""
    destination = RedisDestination(redis_url(stack), dsn)
    assert destination.claim({SCORES: 0, VALUES: 0}) == {SCORES: 0, VALUES: 0}
    yield destination
    destination.close()


def apply(destination: RedisDestination, source: Source, start: int, *records: Record) -> dict[str, int]:
    """Applies one batch."""
    deliveries = [delivery(*source, start + number, record) for number, record in enumerate(records)]
    return destination.apply(deliveries, {source: Step(start, start + len(records))})


def live(position: int, scores: dict[str, int | None], **more: Any) -> Record:
    """A bundle of live scores."""
    rows = {account_id: [score(0, micro)] for account_id, micro in scores.items()}
    return scores_bundle(3, position, rows, live=True, **more)


def deltas(store: Any) -> list[Record]:
    """What the stream of the partition told."""
    return [orjson.loads(fields["m"]) for _, fields in store.xrange("vitals:{3}:deltas")]


def test_a_live_score_is_written_as_the_contract_says(destination: RedisDestination, store: Any) -> None:
    bundle = live(7, {account(1): 61_500_000})
    assert apply(destination, SCORES, 0, bundle) == {"live": 1, "usage": 0, "deltas": 1}
    expected = {
        "type": "score",
        "account_id": account(1),
        "tick": DAY_ONE.isoformat(),
        "score": 61_500_000,
        "band": "watch",
        "trend": "flat",
        "coverage": 1_000_000,
        "contributions": [61_500_000, None],
        "signal_values": [None, 61_500_000 / 7],
        "adjustment": 0,
        "score_segment": '"0", a segment',
        "statuses": ["fresh", "stale"],
        "model": MODEL,
        "watermark": bundle["watermark"].isoformat(),
        "sealed_through": DAY_ONE.isoformat(),
        "newest_ingested_at": bundle["newest_ingested_at"].isoformat(),
        "position": 7,
    }
    assert orjson.loads(store.hget("vitals:{3}:live", account(1))) == expected
    assert deltas(store) == [expected]
    assert store.zscore("vitals:{3}:board", account(1)) == 61.5
    assert store.get("vitals:{3}:offset:health.scores") == "1"
    assert store.hgetall("vitals:{3}:pipeline") == {
        name: str(expected[name]) for name in ("watermark", "sealed_through", "newest_ingested_at", "position")
    }


def test_only_real_changes_are_told(destination: RedisDestination, store: Any) -> None:
    apply(destination, SCORES, 0, live(1, {account(1): 5, account(2): 6}))
    assert apply(destination, SCORES, 1, live(2, {account(1): 5, account(2): 7}))["deltas"] == 1
    assert [(told["account_id"], told["score"]) for told in deltas(store)] == [
        (account(1), 5),
        (account(2), 6),
        (account(2), 7),
    ]
    held = orjson.loads(store.hget("vitals:{3}:live", account(1)))
    assert held["position"] == 2, "the hash is as fresh as the bundle"
    assert store.hget("vitals:{3}:pipeline", "position") == "2"


def test_an_older_position_changes_nothing_but_the_offset(destination: RedisDestination, store: Any) -> None:
    apply(destination, SCORES, 0, live(5, {account(1): 50}))
    assert apply(destination, SCORES, 1, live(4, {account(1): 40, account(2): 41}))["deltas"] == 1
    assert orjson.loads(store.hget("vitals:{3}:live", account(1)))["score"] == 50
    assert orjson.loads(store.hget("vitals:{3}:live", account(2)))["score"] == 41
    assert store.hget("vitals:{3}:pipeline", "position") == "5"
    assert store.get("vitals:{3}:offset:health.scores") == "2"


def test_another_model_takes_over(destination: RedisDestination, store: Any) -> None:
    apply(destination, SCORES, 0, live(5, {account(1): 50}))
    apply(destination, SCORES, 1, live(5, {account(1): 60}, model="newer"))
    assert orjson.loads(store.hget("vitals:{3}:live", account(1)))["score"] == 60


def test_a_batch_is_conflated(destination: RedisDestination, store: Any) -> None:
    bundles = [live(position, {account(1): position}) for position in range(1, 50)]
    assert apply(destination, SCORES, 0, *bundles)["deltas"] == 1
    assert [told["score"] for told in deltas(store)] == [49]
    assert store.get("vitals:{3}:offset:health.scores") == "49"


def test_score_history_is_passed_over(destination: RedisDestination, store: Any) -> None:
    apply(destination, SCORES, 0, scores_bundle(3, 9, {account(1): [score(0, 1)]}))
    assert not store.exists("vitals:{3}:live", "vitals:{3}:pipeline")
    assert store.get("vitals:{3}:offset:health.scores") == "1"


def test_an_account_without_a_score_leaves_the_board(destination: RedisDestination, store: Any) -> None:
    apply(destination, SCORES, 0, live(1, {account(1): 5, account(2): 6}))
    apply(destination, SCORES, 1, live(2, {account(1): None}))
    assert store.zrange("vitals:{3}:board", 0, -1) == [account(2)]
    assert orjson.loads(store.hget("vitals:{3}:live", account(1)))["score"] is None


def usage_of(store: Any, number: int) -> tuple[Any, ...]:
    """Day, events and active users."""
    held = orjson.loads(store.hget("vitals:{3}:usage", account(number)))
    return held["day"], held["events"], held["active_users"]


def test_usage_is_that_of_the_newest_day(destination: RedisDestination, store: Any) -> None:
    def bundle(next_offset: int, *values: Record) -> Record:
        return values_bundle(3, next_offset, {account(1): list(values)})

    apply(destination, VALUES, 0, bundle(5, metric("product.events", 1, 10), metric("product.active_users", 1, 2)))
    assert usage_of(store, 1) == ("2026-11-02", 10, 2)
    ignored = [metric("product.events", 1, 99, grain="hour"), metric("product.value", 1, 99)]
    apply(destination, VALUES, 1, bundle(6, metric("product.events", 1, 11), metric("product.events", 0, 7), *ignored))
    assert usage_of(store, 1) == ("2026-11-02", 11, 2)
    apply(destination, VALUES, 2, bundle(4, metric("product.events", 1, 9), metric("product.active_users", 1, 1)))
    assert usage_of(store, 1) == ("2026-11-02", 11, 2)
    apply(destination, VALUES, 3, bundle(7, metric("product.events", 2, 1)))
    assert usage_of(store, 1) == ("2026-11-03", 1, None)
    apply(
        destination,
        VALUES,
        4,
        bundle(8, metric("product.active_users", 2, 1)),
        bundle(9, metric("product.events", 3, 4), metric("product.active_users", 3, 3)),
        bundle(10, metric("product.events", 2, 6)),
    )
    assert usage_of(store, 1) == ("2026-11-04", 4, 3)
    assert store.get("vitals:{3}:offset:metrics.values") == "7"


def test_a_second_sink_cannot_rewind(destination: RedisDestination, store: Any, stack: Endpoints, dsn: str) -> None:
    zombie = RedisDestination(redis_url(stack), dsn)
    assert zombie.claim({SCORES: 0})[SCORES] == 0
    apply(destination, SCORES, 0, live(9, {account(1): 90}))
    before = store.hgetall("vitals:{3}:live")
    with pytest.raises(PositionTakenError):
        apply(zombie, SCORES, 0, live(10, {account(1): 100}), live(11, {account(1): 110}))
    assert store.hgetall("vitals:{3}:live") == before
    assert len(deltas(store)) == 1
    assert store.get("vitals:{3}:offset:health.scores") == "1"
    zombie.close()


def content(store: Any) -> dict[str, Any]:
    """What readers see, apart from streams and epoch."""
    return {
        "live": {name: orjson.loads(value) for name, value in store.hgetall("vitals:{3}:live").items()},
        "usage": {name: orjson.loads(value) for name, value in store.hgetall("vitals:{3}:usage").items()},
        "board": store.zrange("vitals:{3}:board", 0, -1, withscores=True),
        "pipeline": store.hgetall("vitals:{3}:pipeline"),
        "offsets": [store.get(f"vitals:{{3}}:offset:{topic}") for topic in (HEALTH_SCORES, METRICS_VALUES)],
    }


def test_a_flush_makes_a_new_epoch_with_the_same_content(
    destination: RedisDestination, store: Any, dsn: str, database: psycopg.Connection[Any]
) -> None:
    scores = [live(4, {account(n): n * 1_000_001 for n in range(5)}), live(6, {account(1): None})]
    # sealed_through is not kept a row: after a rebuild every row shows the partition's.
    values = [
        values_bundle(3, 5, {account(1): [metric("product.events", 0, 5), metric("product.active_users", 0, 2)]}),
        values_bundle(
            3, 8, {account(1): [metric("product.events", 1, 1)], account(2): [metric("product.events", 0, 3)]}
        ),
    ]
    postgres = TimescaleDestination(dsn)
    postgres.claim({SCORES: 0, VALUES: 0})
    for target in (destination, postgres):
        target.apply(
            [delivery(*SCORES, n, record) for n, record in enumerate(scores)]
            + [delivery(*VALUES, n, record) for n, record in enumerate(values)],
            {SCORES: Step(0, 2), VALUES: Step(0, 2)},
        )
    postgres.close()
    before, epoch = content(store), store.get(EPOCH)
    destination.check()
    store.flushdb()
    with pytest.raises(RetriableError, match="flushed"):
        destination.check()
    with pytest.raises(PositionTakenError):
        apply(destination, SCORES, 2, live(9, {account(1): 1}))
    assert store.keys() == []
    assert destination.claim({SCORES: 0, VALUES: 0}) == {SCORES: 2, VALUES: 2}
    assert content(store) == before
    assert store.get(EPOCH) not in (None, epoch)
    assert deltas(store) == []
    assert apply(destination, SCORES, 2, live(9, {account(1): 1}))["deltas"] == 1


def test_a_restart_keeps_the_epoch(destination: RedisDestination, store: Any, stack: Endpoints, dsn: str) -> None:
    epoch = store.get(EPOCH)
    assert epoch
    again = RedisDestination(redis_url(stack), dsn)
    again.claim({SCORES: 0, VALUES: 0})
    assert store.get(EPOCH) == epoch
    again.close()


def test_content_that_went_back_makes_a_new_epoch(destination: RedisDestination, store: Any) -> None:
    epoch = store.get(EPOCH)
    apply(destination, SCORES, 0, live(9, {account(1): 90}))
    store.set("vitals:{3}:offset:health.scores", 0)
    assert destination.claim({SCORES: 0})[SCORES] == 0
    assert store.get(EPOCH) != epoch


def test_redis_without_postgres_goes_on_but_cannot_be_filled(store: Any, stack: Endpoints, dsn: str) -> None:
    lonely = RedisDestination(redis_url(stack), "postgresql://vitals@127.0.0.1:1/vitals")
    with pytest.raises(RetriableError, match="PostgreSQL"):
        lonely.claim({SCORES: 0})
    assert store.get(EPOCH) is None
    store.set("vitals:{3}:offset:health.scores", 4)
    assert lonely.claim({SCORES: 0}) == {SCORES: 4}
    lonely.close()


def test_an_unreachable_redis_is_retriable(dsn: str) -> None:
    with pytest.raises(RetriableError, match="Redis"):
        RedisDestination("redis://127.0.0.1:1/0", dsn).claim({SCORES: 0})


def test_the_newest_day_is_found_over_a_year(
    destination: RedisDestination, store: Any, dsn: str, database: psycopg.Connection[Any]
) -> None:
    postgres = TimescaleDestination(dsn)
    postgres.claim({VALUES: 0, SCORES: 0})
    days = values_bundle(3, 5, {account(1): [metric("product.events", day, day) for day in range(365)]})
    # The account is known by its live score.
    postgres.apply(
        [delivery(*VALUES, 0, days), delivery(*SCORES, 0, live(1, {account(1): 1}))],
        {VALUES: Step(0, 1), SCORES: Step(0, 1)},
    )
    postgres.close()
    store.flushdb()
    destination.claim({VALUES: 0})
    assert usage_of(store, 1) == ((DAY_ONE + 364 * DAY).date().isoformat(), 364, None)
