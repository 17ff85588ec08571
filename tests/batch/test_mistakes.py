"""A user's mistake is one sentence that says what to do."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from batch.cli import batch
from batch.jdk import MODULE, find_jdk
from batch.rollup import roll_up
from batch.scores import score_history
from batch.spark_process import Spark
from batch.topic_range import parse_offsets
from vitals import engine_environment
from vitals.engine_environment import engine_python
from vitals.errors import UserError
from vitals.settings import Settings


def fake_java(home: Path, version: str, modules: str = f"java.base@1\n{MODULE}@1") -> Path:
    executable = home / "bin" / "java"
    executable.parent.mkdir(parents=True)
    executable.write_text(
        f"#!/bin/sh\ncase $1 in\n-version) echo 'openjdk version \"{version}\" 2025-04-15' >&2;;\n"
        f"--list-modules) echo '{modules}';;\nesac\n"
    )
    executable.chmod(0o755)
    return home


def test_a_jdk_is_found_in_its_order(tmp_path: Path) -> None:
    first, second = fake_java(tmp_path / "a", "21.0.1"), fake_java(tmp_path / "b", "17.0.9")
    path = f"{second / 'bin'}:/bin:/usr/bin"
    assert find_jdk({"VITALS_JAVA_HOME": str(first), "PATH": path}) == first
    assert find_jdk({"JAVA_HOME": str(first), "PATH": path}) == first
    assert find_jdk({"PATH": path}) == second


@pytest.mark.parametrize(
    ("version", "modules", "said"),
    [
        ("25.0.1", f"{MODULE}@25", "is Java 25"),
        ("11.0.2", f"{MODULE}@11", "is Java 11"),
        ("21.0.8", "java.base@21", f"is a runtime without the module {MODULE}"),
    ],
)
def test_a_java_that_will_not_do_is_named(tmp_path: Path, version: str, modules: str, said: str) -> None:
    home = fake_java(tmp_path / "java", version, modules)
    with pytest.raises(UserError, match=rf"Spark needs a JDK 17 or 21 and none was found \(.*{said}\): install one"):
        find_jdk({"JAVA_HOME": str(home), "PATH": str(tmp_path)})


def test_no_java_at_all_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"JDK 17 or 21 and none was found: install one .* set JAVA_HOME") as caught:
        find_jdk({"PATH": str(tmp_path)})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "newest", "latest", '{"events.crm": 3}', '{"events.crm": {"0": -1}}', '{"events.crm": {"a": 1}}'],
)
def test_offsets_that_are_none(text: str) -> None:
    with pytest.raises(UserError, match="--from-offsets is neither `earliest` nor offsets by topic and partition"):
        parse_offsets(text, "earliest", ["events.crm"])


def test_offsets_of_a_topic_that_is_not_read() -> None:
    with pytest.raises(UserError, match=r"--to-offsets names events.crm, which this run does not read."):
        parse_offsets('{"events.crm": {"0": 1}}', "latest", ["events.billing"])


def test_a_topic_that_no_metric_reads(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"No metric reads raw.stripe: choose --topic from events.billing, events"):
        roll_up(Settings(), ["raw.stripe"], "earliest", "latest", str(tmp_path / "out"))


def test_kafka_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batch.topic_range.TIMEOUT_SECONDS", 0.5)
    settings = Settings(kafka_bootstrap="127.0.0.1:1")
    with pytest.raises(UserError, match=r"Kafka does not answer at 127.0.0.1:1: is it running\?"):
        roll_up(settings, (), "earliest", "latest", str(tmp_path / "out"))


def test_an_output_that_exists_or_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for out, said in (("file", "exists already"), ("file/out", "cannot be written")):
        with pytest.raises(UserError, match=said):
            roll_up(Settings(), (), "earliest", "latest", str(tmp_path / out))


def test_an_unknown_master_or_amount_of_memory() -> None:
    with pytest.raises(UserError, match=r"--master mesos://x is none of Spark's"):
        Spark("mesos://x", "2g")
    with pytest.raises(UserError, match=r"--memory lots is not an amount of memory"):
        Spark("local[2]", "lots")
    with pytest.raises(UserError, match=r"No Spark master answers at spark://127.0.0.1:1: is it running\?"):
        Spark("spark://127.0.0.1:1", "2g")


def test_help_says_what_it_does() -> None:
    result = CliRunner().invoke(batch, ["rollup", "--help"])
    assert result.exit_code == 0
    assert "--from-offsets" in result.output
    assert "DECIMAL(38,6)" in result.output


@pytest.fixture
def no_index(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(engine_environment, "PIP_INSTALL", (*engine_environment.PIP_INSTALL, "--no-index"))
    return


def test_an_environment_is_made_once_and_anew_for_other_requirements(tmp_path: Path, no_index: None) -> None:
    requirements = tmp_path / "none.txt"
    requirements.write_text("")
    python = engine_python("Nothing", requirements, 1, tmp_path / "cache")
    marker = python.parents[1] / "complete"
    made = marker.stat().st_mtime_ns
    assert python.exists()
    assert engine_python("Nothing", requirements, 1, tmp_path / "cache") == python
    assert marker.stat().st_mtime_ns == made
    marker.unlink()  # as after an installation that was broken off
    assert engine_python("Nothing", requirements, 1, tmp_path / "cache") == python
    assert marker.stat().st_mtime_ns > made
    requirements.write_text("# another\n")
    assert engine_python("Nothing", requirements, 1, tmp_path / "cache") != python


def test_an_environment_that_cannot_be_installed_is_one_sentence(tmp_path: Path, no_index: None) -> None:
    requirements = tmp_path / "absent.txt"
    requirements.write_text(f"no-such-package==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(UserError, match=r"Absent cannot be installed from absent.txt: .* needs a network") as caught:
        engine_python("Absent", requirements, 1, tmp_path / "cache")
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"Absent cannot be installed: .*nowhere.txt cannot be read"):
        engine_python("Absent", tmp_path / "nowhere.txt", 1, tmp_path / "cache")
    with pytest.raises(UserError, match="Not enough disk space for installing Absent"):
        engine_python("Absent", requirements, sys.maxsize, tmp_path / "cache")


def test_scores_of_no_values_are_refused_before_spark_starts(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no folder of Parquet"):
        score_history(str(tmp_path), str(tmp_path / "out"))
