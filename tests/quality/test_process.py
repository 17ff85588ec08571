"""`vitals quality` on a real Kafka: killed at random points, and a gate that reaches the scores and the tables."""

import random
import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition

from analytics.health.model import parse_model
from embedded.endpoints import Endpoints
from embedded.stack import Stack
from schemas import bootstrap as topics_bootstrap
from schemas.checks.catalogue import checks
from schemas.topics import PARTITIONS
from sinks.timescale import bootstrap as tables_bootstrap
from streams.quality.records import result_record
from streams.quality.stored_results import Asked, read_results
from tests.conftest import settings_for
from tests.quality.logs import DAY, START, InMemory, World, event, progress
from tests.scoring.process import VitalsProcess, until
from vitals.avro import AvroSerde, Registry
from vitals.errors import UserError
from vitals.kafka import consumer_options, producer
from vitals.settings import Settings

TOPICS = ("events.billing", "events.crm", "events.product", "events.support")
SOURCES = {
    "events.billing": "stripe",
    "events.crm": "salesforce",
    "events.product": "mixpanel",
    "events.support": "zendesk",
}
DAYS = 110
BAD = range(95, 100)
"""Days of product events that do not say which feature was used."""


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    """A stack of its own: the worker reads every partition of topics whose names are fixed."""
    stack = Stack(tmp_path_factory.mktemp("quality"))
    with stack.infrastructure(only=("kafka", "registry", "postgres")) as endpoints:
        settings = settings_for(endpoints, endpoints.state_dir)
        topics_bootstrap.bootstrap(settings)
        tables_bootstrap.bootstrap(settings)
        yield endpoints


@pytest.fixture(scope="module")
def quality_settings(endpoints: Endpoints) -> Settings:
    return settings_for(endpoints, endpoints.state_dir)


def days_of_use() -> World:
    """Every account works daily and pays now and then; on the bad days nobody says what with."""
    made = World({(topic, partition): [] for topic in TOPICS for partition in range(PARTITIONS)})
    number = 0
    for day in range(DAYS):
        at = START + day * DAY + timedelta(hours=3)
        for partition in range(PARTITIONS):
            for account in (partition, partition, PARTITIONS + partition, PARTITIONS + partition):
                number += 1
                used = {} if day in BAD else {"feature": "abc"[number % 3]}
                body = event(number, "mixpanel", "product.feature_used", at, account, properties=used, user_id="u")
                made.logs[("events.product", partition)] += [body] * (1 + (number % 50 == 0))
            paid = {"seats": "7", "currency": "usd"}
            made.logs[("events.billing", partition)].append(
                event(
                    10**6 + number, "stripe", "billing.invoice_paid", at, partition, value=Decimal(70), properties=paid
                )
            )
        for (topic, _), log in made.logs.items():
            end = START + (day + 1) * DAY
            log.append(progress(f"{SOURCES[topic]}.all", end, end))
    return made


class Topics:
    """Writes a world and reads what is published of it."""

    def __init__(self, settings: Settings) -> None:
        self._serde = AvroSerde(Registry(settings.registry_url))
        self._producer = producer(settings)
        self._consumer = Consumer(consumer_options(settings, "tests-quality"))
        self._consumer.assign([TopicPartition("quality.results", partition, 0) for partition in range(PARTITIONS)])
        self.finals: dict[Any, dict[str, Any]] = {}

    def send(self, made: World, first: float, last: float) -> None:
        """Writes a share of every log."""
        for (topic, partition), log in made.logs.items():
            for name, record in log[int(first * len(log)) : int(last * len(log))]:
                encoded = self._serde.encode(topic, name, record)
                self._producer.produce(topic, encoded, key=b"key", partition=partition)
                self._producer.poll(0)
        assert self._producer.flush(30) == 0

    def read(self) -> dict[Any, dict[str, Any]]:
        """Takes in new results. A final one is the same whenever it comes."""
        for message in self._consumer.consume(1000, 0.2):
            assert message.error() is None
            _, record = self._serde.decode(message.value())
            del record["written_at"]
            key = (record["check"], record["source"], record["window_start"])
            if record["final"]:
                assert self.finals.setdefault(key, record) == record
        return self.finals


@pytest.mark.timeout(280)
def test_killed_at_random_points_it_ends_with_the_same_rows_and_a_gate_reaches_the_scores(
    endpoints: Endpoints, quality_settings: Settings
) -> None:
    made, chance = days_of_use(), random.Random(5)
    worker_alone = InMemory(made, checks()).run()
    expected = {}
    for final in worker_alone.finals.values():
        record = result_record(final, 0, START)
        del record["written_at"]
        expected[(record["check"], record["source"], record["window_start"])] = record
    topics, folder = Topics(quality_settings), endpoints.state_dir / "workers"
    shares = [0, 0.2, 0.5, 0.7, 1]
    others = [
        VitalsProcess(endpoints, folder, *command) for command in (("rollup",), ("scoring",), ("sink", "timescale"))
    ]
    try:
        for first, last in pairwise(shares):
            worker = VitalsProcess(endpoints, folder, "quality", "run")
            until(worker.ready, "it has its partitions")
            topics.send(made, first, last)
            time.sleep(chance.uniform(0.2, 3))
            if last < 1:
                worker.kill()
        with worker:
            until(lambda: len(topics.read()) >= len(expected), "every window is judged")
            assert topics.finals == expected
            assert_gated(endpoints, len(expected))
            assert_told(quality_settings)
    finally:
        for other in others:
            other.terminate()


def assert_told(settings: Settings) -> None:
    """What `vitals quality results` reads."""
    chosen = Asked.of(name="product_feature_complete", source="mixpanel", start=None, end=None, failed=True, limit=50)
    bad = [START + day * DAY for day in reversed(BAD)]
    found = read_results(settings, chosen)
    assert [each["window_start"] for each in found] == bad
    assert {(each["records"], each["flagged"], each["observed"]) for each in found} == {(32, 32, 1.0)}
    first, last = (START + day * DAY for day in (BAD[1], BAD[3]))
    within = Asked.of(
        name=chosen.name, source=None, start=first.isoformat(), end=last.isoformat(), failed=True, limit=1
    )
    assert [each["window_start"] for each in read_results(settings, within)] == [last - DAY]
    with pytest.raises(UserError, match="no check nonsense"):
        read_results(settings, Asked(name="nonsense"))


def assert_gated(endpoints: Endpoints, finals: int) -> None:
    """PostgreSQL has the final rows, and on the ticks of the bad days everybody's signal of features is held."""
    with psycopg.connect(endpoints.postgres_dsn, autocommit=True) as connection:

        def count(query: str) -> int:
            return int(connection.execute(query).fetchone()[0])

        until(lambda: count("select count(*) from quality_results where final") == finals, "the sink has all results")
        model = parse_model(connection.execute("select definition from health_models").fetchone()[0])
        place, signal = next(
            (place, signal) for place, signal in enumerate(model.signals, 1) if signal.name == "feature_breadth"
        )
        gated = {day + 1 for day in BAD}
        held_at = {tick: max(set(range(90, tick + 1)) - gated) for tick in gated}
        rows = f"""
            select (extract(epoch from tick - '{START.isoformat()}') / 86400)::int as tick,
                   count(*), max(coverage), array_agg(signal_values[{place}] order by account_id)
              from health_scores group by tick"""

        def as_expected() -> bool:
            ticks = {row[0]: row[1:] for row in connection.execute(rows).fetchall()}
            if any(ticks.get(tick, (0,))[0] != 2 * PARTITIONS for tick in range(90, DAYS + 1)):
                return False
            full = ticks[BAD[0]][1]
            return all(
                ticks[tick][2] == ticks[held][2]
                and ticks[tick][1]
                == full - (signal.weight * 10_000 if tick - held > signal.staleness.limit_days else 0)
                for tick, held in held_at.items()
            )

        until(as_expected, "the ticks of the bad days hold the signal, and coverage falls once that is stale")
        assert any(tick - held > signal.staleness.limit_days for tick, held in held_at.items()), "none is stale"
