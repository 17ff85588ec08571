"""Environments of the peers, in the user's cache: Vitals' own for Flink and Spark, another for Quix Streams."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from batch import spark_process
from batch.jdk import find_jdk
from benchmarks.rollup.contender import ContenderError
from streams.rollup.flink import launch
from vitals.engine_environment import engine_python
from vitals.errors import UserError
from vitals.jars import JarCache
from vitals.java import find_java

JOBS = Path(__file__).parent / "jobs"
"""What runs in those environments."""
REQUIREMENTS = Path(__file__).parent / "requirements"

ENVIRONMENTS = {
    "Flink": (launch.REQUIREMENTS, launch.ENVIRONMENT_BYTES),
    "Spark": (spark_process.REQUIREMENTS, spark_process.ENVIRONMENT_BYTES),
    "Quix": (REQUIREMENTS / "quix.txt", 300_000_000),
}

Found = TypeVar("Found")


def python_of(peer: str) -> Path:
    """The Python of a peer's environment, installed where it is missing.

    Raises:
        ContenderError: it cannot be installed.
    """
    requirements, needed_bytes = ENVIRONMENTS[peer]
    return _or_no_result(lambda: engine_python(peer, requirements, needed_bytes))


def jars_of(peer: str) -> list[Path]:
    """The jars of Flink or Spark.

    Raises:
        ContenderError: they cannot be downloaded.
    """
    return _or_no_result(lambda: JarCache().jars(peer.lower()))


def java_of(peer: str) -> dict[str, str]:
    """Environment variables that make Flink or Spark use a Java that it runs on.

    Raises:
        ContenderError: there is none.
    """
    home = _or_no_result(find_jdk if peer == "Spark" else lambda: find_java(newest=launch.NEWEST_JAVA).home)
    return {"JAVA_HOME": str(home)}


def _or_no_result(find: Callable[[], Found]) -> Found:
    try:
        return find()
    except UserError as error:
        raise ContenderError(str(error)) from error
