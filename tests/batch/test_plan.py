"""The plan has everything that the Spark job needs, for every metric that is found."""

import json
from pathlib import Path

import pytest
import sqlglot
from pydantic import SecretStr

from batch.plan import rollup_plan, statements
from batch.spark_archive import JOBS
from batch.topic_range import TopicRange
from metrics.catalogue import catalogue
from vitals.kafka import java_connection
from vitals.settings import Settings

SETTINGS = Settings(
    kafka_bootstrap="broker:9093",
    kafka_security_protocol="SASL_SSL",
    kafka_username="batch",
    kafka_password=SecretStr('quote " and \\'),
)


@pytest.mark.parametrize("topic", sorted({metric.topic for metric in catalogue()}))
def test_every_metric_and_grain_compiles_to_spark_sql(topic: str) -> None:
    compiled = statements(topic)
    wanted = {(metric.name, grain) for metric in catalogue() if metric.topic == topic for grain in metric.grains}
    assert {(each["metric"], each["grain"]) for each in compiled} == wanted
    for each in compiled:
        query = sqlglot.parse_one(each["sql"], dialect="spark")
        assert query.named_selects == ["account_id", "window_start", "value"]
        assert {table.name for table in query.find_all(sqlglot.exp.Table)} <= {"events", "newest", "ordered", "picked"}


def test_the_plan_is_json_and_reads_committed_records_of_the_range() -> None:
    ranges = (TopicRange("events.crm", {0: 1, 1: 0}, {0: 9, 1: 0}),)
    plan = rollup_plan(SETTINGS, ranges, {7: ("Event", "{}")}, {"spark.master": "local"}, "out")
    assert json.loads(json.dumps(plan)) == plan
    assert plan["writers"] == {"7": {"record": "Event", "schema": "{}"}}
    assert set(plan["readers"]) == {"Event", "Progress"}
    kafka = plan["topics"][0]["kafka"]
    assert kafka["kafka.isolation.level"] == "read_committed"
    assert json.loads(kafka["startingOffsets"]) == {"events.crm": {"0": 1, "1": 0}}
    assert json.loads(kafka["endingOffsets"]) == {"events.crm": {"0": 9, "1": 0}}
    assert ranges[0].messages == 8


def test_java_clients_get_the_same_connection() -> None:
    options = java_connection(SETTINGS)
    assert options["security.protocol"] == "SASL_SSL"
    assert options["sasl.mechanism"] == "SCRAM-SHA-512"
    assert options["sasl.jaas.config"] == (
        "org.apache.kafka.common.security.scram.ScramLoginModule required "
        'username="batch" password="quote \\" and \\\\";'
    )
    plain = java_connection(SETTINGS.model_copy(update={"kafka_sasl_mechanism": "PLAIN"}))
    assert "plain.PlainLoginModule" in plain["sasl.jaas.config"]
    assert set(java_connection(Settings())) == {"bootstrap.servers", "security.protocol"}


@pytest.mark.parametrize("name", JOBS)
def test_the_jobs_import_nothing_of_vitals_at_run_time(name: str) -> None:
    source = (Path(__file__).parents[2] / "batch" / f"{name}.py").read_text()
    imported = [line for line in source.splitlines() if line.startswith(("import ", "from "))]
    standard = {"__future__", "collections", "functools", "importlib", "json", "sys", "traceback", "typing"}
    assert {line.split()[1].partition(".")[0] for line in imported} <= standard | {"py4j", "pyspark"}
