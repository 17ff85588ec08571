"""Finds a Java that Spark runs on.

Spark's launcher asks every Java for the module of vector instructions, which a full JDK has and a trimmed runtime, such
as the one that Vitals brings for its other parts, has not.
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from vitals.errors import UserError
from vitals.java import candidates, inspect_java

OLDEST, NEWEST = 17, 23
"""Feature releases of Java that Spark 4.1 starts on: its Hadoop needs what Java 24 took away."""

MODULE = "jdk.incubator.vector"


def find_jdk(environ: Mapping[str, str] | None = None) -> Path:
    """Home of the first JDK that does: of `VITALS_JAVA_HOME`, `JAVA_HOME`, or `java` on the path.

    Raises:
        UserError: there is none.
    """
    environ = os.environ if environ is None else environ
    preferred = environ.get("VITALS_JAVA_HOME")
    unfit = []
    for executable in ([Path(preferred) / "bin" / "java"] if preferred else []) + candidates(environ):
        java = inspect_java(executable)
        if java is None:
            continue
        if not OLDEST <= java.feature <= NEWEST:
            unfit.append(f"{executable} is Java {java.feature}")
        elif not _has_module(executable):
            unfit.append(f"{executable} is a runtime without the module {MODULE}")
        else:
            return executable.resolve().parent.parent
    found = f" ({'; '.join(unfit)})" if unfit else ""
    raise UserError(
        f"Spark needs a JDK 17 or 21 and none was found{found}: install one (on Debian, apt-get install "
        "openjdk-17-jdk-headless) and set JAVA_HOME to its folder."
    )


def _has_module(executable: Path) -> bool:
    try:
        listed = subprocess.run(
            [executable, "--list-modules"], capture_output=True, text=True, timeout=20, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    return any(line.partition("@")[0] == MODULE for line in listed.splitlines())
