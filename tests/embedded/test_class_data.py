"""Class data of JVMs: recorded by one run in good order, used by the next, never in the way."""

from pathlib import Path

import pytest

from embedded.class_data import ClassData, class_data
from vitals.java import Java, find_java


@pytest.fixture(scope="module")
def java() -> Java:
    return find_java()


def run(folder: Path, java: Java) -> ClassData:
    return class_data(folder, "kafka", java, [Path("a.jar")], ("-XX:+UseSerialGC",))


def test_first_run_records_and_the_next_one_uses_it(tmp_path: Path, java: Java) -> None:
    first = run(tmp_path, java)
    assert first.recording is not None
    assert f"-XX:ArchiveClassesAtExit={first.recording}" in first.options
    first.recording.write_bytes(b"classes")
    first.keep(143)
    second = run(tmp_path, java)
    assert second.recording is None
    assert second.options[0].startswith("-XX:SharedArchiveFile=")
    assert second.options[0].endswith(str(first.archive))


def test_run_that_ended_badly_records_nothing(tmp_path: Path, java: Java) -> None:
    first = run(tmp_path, java)
    assert first.recording is not None
    first.recording.write_bytes(b"half")
    first.keep(-9)
    assert not list(tmp_path.glob("kafka*"))


def test_nothing_recorded_is_no_error(tmp_path: Path, java: Java) -> None:
    run(tmp_path, java).keep(143)
    ClassData(()).keep(143)


def test_java_that_cannot_record_starts_without(tmp_path: Path) -> None:
    broken = Java(tmp_path / "bin" / "java", 21, "21")
    assert run(tmp_path / "classes", broken) == ClassData(())
