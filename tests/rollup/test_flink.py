"""The Flink job without Flink: the plan, what the job script makes of it, and which checkpoint it goes on from."""

import argparse
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from metrics.catalogue import catalogue
from streams.rollup.cli import rollup
from streams.rollup.flink import job
from streams.rollup.flink.checkpoints import CheckpointFolder
from streams.rollup.flink.plan import PLAN_FORMAT, Plan, PlanOptions, flink_plan
from streams.rollup.flink.process import FlinkRun, least_state_hours
from streams.rollup.flink.tables import reader_schema
from vitals.avro import parsed_schema
from vitals.errors import UserError
from vitals.settings import Settings

MARKS = re.compile(r"\{\{(\w+)\}\}")


def plan_of(options: PlanOptions | None = None, **settings: Any) -> Plan:
    return flink_plan(Settings(**settings), options or PlanOptions())


@pytest.mark.parametrize("metric", catalogue(), ids=lambda metric: metric.name)
def test_every_metric_and_grain_is_in_one_insert_once(metric: Any) -> None:
    plan = plan_of()
    (insert,) = [insert for insert in plan.inserts if f"'{metric.name}'" in insert]
    assert f"INSERT INTO final_{metric.merge}\n" in insert
    assert insert.count(f"'{metric.name}'") == len(metric.grains)
    alone = flink_plan(Settings(), PlanOptions(), [metric])
    assert len(alone.inserts) == 1
    assert len(alone.tables) == 3


def test_the_plan_is_text_and_the_same_each_time() -> None:
    plan = plan_of()
    assert plan.text() == plan_of().text()
    read = json.loads(plan.text())
    assert set(read) == {"format", "digest", "substitutions", "configuration", "tables", "inserts"}
    assert all(isinstance(text, str) for text in (*read["tables"], *read["inserts"], *read["configuration"].values()))
    assert read["format"] == PLAN_FORMAT == job.PLAN_FORMAT
    assert "0x" not in plan.text()


def test_a_checkpoint_fits_what_is_computed_wherever_it_runs() -> None:
    digest = plan_of().digest
    assert plan_of(kafka_bootstrap="elsewhere:9092", registry_url="http://elsewhere").digest == digest
    assert plan_of(PlanOptions(parallelism=4, more={"a": "b"})).digest == digest
    assert plan_of(PlanOptions(until_end=True)).digest != digest
    assert flink_plan(Settings(), PlanOptions(), catalogue()[1:]).digest != digest


def test_no_secret_is_in_the_plan_and_the_job_quotes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    password = "it's \"a\\ {{REGISTRY_URL}}"
    plan = plan_of(kafka_security_protocol="SASL_SSL", kafka_username="o'brien", kafka_password=SecretStr(password))
    assert "it's" not in plan.text()
    monkeypatch.setenv("VITALS_KAFKA_PASSWORD", password)
    texts = job.substitutions(json.loads(plan.text()))
    filled = [job.filled_in(table, texts) for table in plan.tables]
    assert {name for table in plan.tables for name in MARKS.findall(table)} <= set(texts)
    assert "username=\"o''brien\" password=\"it''s \\\"a\\\\ {{REGISTRY_URL}}\";'" in filled[0]


def test_a_progress_record_reads_as_an_event_without_id() -> None:
    schema = json.loads(reader_schema())
    assert all("default" in field for field in schema["fields"])
    names = {field["name"] for field in parsed_schema("Event")["fields"]}
    assert {field["name"] for field in schema["fields"]} == names - {"ingested_at"}
    assert not names & {field["name"] for field in parsed_schema("Progress")["fields"]} - {"source"}


def test_exactly_once_has_transactions_of_its_own_for_every_writer() -> None:
    prefixes = [
        prefix for table in plan_of().tables for prefix in re.findall(r"transactional-id-prefix' = '(.+)'", table)
    ]
    kinds = {metric.merge for metric in catalogue()}
    assert sorted(prefixes) == sorted(f"vitals-rollup-flink-final_{kind}" for kind in kinds)
    assert "transactional" not in plan_of(PlanOptions(exactly_once=False)).text()


def test_the_job_puts_checkpoints_where_it_is_told() -> None:
    arguments = job.parse(
        ["--plan", "p", "--jars", "/a.jar;/b.jar", "--checkpoints", "s3://c/d", "--jobmanager", "[::1]:8081"]
    )
    assert isinstance(arguments, argparse.Namespace)
    assert job.configuration({"configuration": {"x": "y"}}, arguments) == {
        "x": "y",
        "pipeline.jars": "file:///a.jar;file:///b.jar",
        "execution.checkpointing.dir": "s3://c/d/checkpoints",
        "execution.checkpointing.savepoint-dir": "s3://c/d/savepoints",
        "execution.target": "remote",
        "rest.address": "[::1]",
        "rest.port": "8081",
    }


def test_it_goes_on_from_the_newest_complete_checkpoint(tmp_path: Path) -> None:
    kept = CheckpointFolder.below(str(tmp_path / "with space"), "digest")
    assert kept.newest() is None
    for age, place in ((30, "checkpoints/a/chk-9"), (20, "savepoints/s"), (10, "checkpoints/b/chk-2")):
        folder = tmp_path / "with space" / "digest" / place
        folder.mkdir(parents=True)
        (folder / "_metadata").touch()
        os.utime(folder / "_metadata", (1_000_000 - age, 1_000_000 - age))
    (tmp_path / "with space" / "digest" / "checkpoints" / "b" / "chk-3").mkdir()  # killed while it was written
    assert kept.newest() == f"file://{tmp_path}/with space/digest/checkpoints/b/chk-2"
    kept.clear()
    assert kept.newest() is None
    assert CheckpointFolder.below("s3://bucket/x/", "digest") == CheckpointFolder("s3://bucket/x/digest")
    assert CheckpointFolder("s3://bucket/x/digest").newest() is None


def asked(**more: Any) -> FlinkRun:
    nothing: dict[str, Any] = {
        "until_end": False,
        "parallelism": 1,
        "checkpoints": None,
        "at_least_once": False,
        "state_ttl_hours": None,
        "conf": (),
        "jobmanager": None,
        "plan_only": False,
    }
    return FlinkRun(**nothing | more)


def test_state_is_not_forgotten_while_a_window_is_open() -> None:
    assert least_state_hours() == 7 * 24  # six days of lateness and the day itself
    with pytest.raises(UserError, match="must be 168 at least"):
        asked(state_ttl_hours=167).plan(Settings())
    assert asked(state_ttl_hours=168).plan(Settings()).configuration["table.exec.state.ttl"] == "168 h"


def test_settings_of_flink_go_before_ours() -> None:
    plan = asked(conf=("pipeline.name=other", "a = b=c")).plan(Settings())
    assert plan.configuration["pipeline.name"] == "other"
    assert plan.configuration["a"] == "b=c"
    assert plan.configuration["rest.bind-address"] == "127.0.0.1"
    assert "rest.bind-address" not in asked(plan_only=True).plan(Settings()).configuration
    with pytest.raises(UserError, match="--conf oops is not NAME=VALUE"):
        asked(conf=("oops",)).plan(Settings())


def test_the_command_prints_the_plan_and_refuses_flinks_options_to_the_worker() -> None:
    printed = CliRunner().invoke(rollup, ["--engine", "flink", "--plan-only", "--until-end"])
    assert printed.exit_code == 0
    assert json.loads(printed.output)["digest"] == plan_of(PlanOptions(until_end=True)).digest
    refused = CliRunner().invoke(rollup, ["--until-end"])
    assert refused.exit_code == 2
    assert "--until-end goes with --engine flink only" in refused.output


def test_the_innermost_causes_of_javas_exception_are_told_in_one_line() -> None:
    error = Exception(
        "An error occurred.\n: Wrapper\n\tat a\nCaused by: A\n\tat b\nCaused by: B\n\tat c\nCaused by: C \n"
    )
    assert job.causes(error) == "A <- B <- C"
    assert job.causes(Exception("plain\nrest")) == "plain"
