"""What it takes to run the job script: Flink's own Python, the connectors' jars, a Java, and where it logs."""

import os
import sys
from pathlib import Path

from vitals.engine_environment import engine_python
from vitals.errors import UserError
from vitals.jars import JarCache
from vitals.java import find_java
from vitals.settings import Settings

JOB = Path(__file__).with_name("job.py")
REQUIREMENTS = Path(__file__).resolve().parents[3] / "requirements" / "flink.txt"
ENVIRONMENT_BYTES = 2_000_000_000
NEWEST_PYTHON = (3, 12)
NEWEST_JAVA = 21

LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.file.ref = file
appender.file.name = file
appender.file.type = File
appender.file.fileName = {path}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{ISO8601}} %p %c{{1}} %m%n
"""


def job_command(plan_file: Path) -> list[str]:
    """The command that executes a plan. Installs Flink and fetches its jars where they are missing.

    Raises:
        UserError: no network for the first use, no disk space, or this Python is too new for Flink.
    """
    if sys.version_info[:2] > NEWEST_PYTHON:
        newest = ".".join(map(str, NEWEST_PYTHON))
        raise UserError(
            f"Flink runs on Python {newest} at most: install Vitals with that one (make up PYTHON=python{newest})."
        )
    python = engine_python("Flink", REQUIREMENTS, ENVIRONMENT_BYTES)
    jars = ";".join(str(path) for path in JarCache().jars("flink"))
    return [str(python), str(JOB), "--plan", str(plan_file), "--jars", jars]


def job_environment(settings: Settings, log_folder: Path) -> dict[str, str]:
    """Environment variables of the job, which logs to `flink.log` in the folder.

    Raises:
        UserError: `VITALS_JAVA_HOME` names a Java that Flink does not run on.
    """
    log4j = log_folder / "log4j2.properties"
    log4j.write_text(LOG4J.format(path=log_folder / "flink.log"))
    # What this Python finds its packages with would lead Flink's astray.
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "FLINK_HOME")}
    return inherited | {
        # Throughput counts here, not pauses: measured, the default collector takes a quarter more processor time.
        "JVM_ARGS": os.environ.get("JVM_ARGS", "-XX:+UseParallelGC"),
        "JAVA_HOME": str(find_java(newest=NEWEST_JAVA).home),
        "LOG4J_PROPERTIES": str(log4j),
        "FLINK_LOG_DIR": str(log_folder),
        # PyFlink would otherwise serve workers for functions in Python, of which there are none, on every address.
        "_python_worker_execution_mode": "process",
        "VITALS_KAFKA_PASSWORD": settings.kafka_password.get_secret_value(),
    }
