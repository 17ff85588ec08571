"""Environments of the peers: Python packages by pinned requirements, jars by pinned coordinates, in the user's cache.

`python -m benchmarks.rollup.environments` pins the jars anew.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.rollup.contender import ContenderError
from vitals.errors import UserError
from vitals.jars import JarCache, cache_folder, read_lock, write_lock
from vitals.java import find_java, inspect_java
from vitals.lock_jars import Root, lock_group

REQUIREMENTS = Path(__file__).parent / "requirements"
JAR_LOCK = REQUIREMENTS / "jars.lock.json"
JARS = {
    "flink": (
        Root("org.apache.flink:flink-sql-connector-kafka:4.0.1-2.0", alone=True),
        Root("org.apache.flink:flink-sql-avro-confluent-registry:2.2.0", alone=True),
    ),
    "spark": (
        Root("org.apache.spark:spark-sql-kafka-0-10_2.13:4.1.1", alone=True),
        Root("org.apache.spark:spark-token-provider-kafka-0-10_2.13:4.1.1", alone=True),
        Root("org.apache.spark:spark-avro_2.13:4.1.1", alone=True),
        Root("org.apache.kafka:kafka-clients:3.9.1", alone=True),
        Root("org.apache.commons:commons-pool2:2.12.1", alone=True),
    ),
}
JOBS = Path(__file__).parent / "jobs"
"""What runs in those environments."""
OLDEST_JAVA = 17
COMPLETE = "complete"


def python_of(peer: str) -> Path:
    """The Python of a peer's environment, installed where it is missing.

    Raises:
        ContenderError: it cannot be installed.
    """
    requirements = REQUIREMENTS / f"{peer}.txt"
    identity = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    environment = cache_folder() / "benchmarks" / f"{peer}-{identity}"
    python = environment / "bin" / "python"
    if not (environment / COMPLETE).exists():
        print(f"installing {peer} in an environment of its own (once) ...", flush=True)
        shutil.rmtree(environment, ignore_errors=True)
        commands: tuple[list[str | Path], ...] = (
            [sys.executable, "-m", "venv", environment],
            [python, "-m", "pip", "-q", "--no-input", "install", "--require-hashes", "-r", requirements],
        )
        for command in commands:
            finished = subprocess.run(command, capture_output=True, text=True, check=False)
            if finished.returncode != 0:
                raise ContenderError(f"{peer} cannot be installed: {(finished.stderr or finished.stdout)[-500:]}")
        (environment / COMPLETE).touch()
    return python


def jars_of(peer: str) -> list[Path]:
    """A peer's jars.

    Raises:
        ContenderError: they cannot be downloaded.
    """
    try:
        return JarCache(lock=read_lock(JAR_LOCK)).jars(peer)
    except UserError as error:
        raise ContenderError(str(error)) from error


def java_environment() -> dict[str, str]:
    """Makes a peer use the installed Java where it is new enough, and else the one that Vitals brings."""
    home = os.environ.get("JAVA_HOME")
    installed = shutil.which("java", path=f"{home}/bin" if home else None)
    java = inspect_java(Path(installed).resolve()) if installed else None
    if java is None or java.feature < OLDEST_JAVA:
        java = find_java()
    return {"JAVA_HOME": str(java.executable.parent.parent)}


def main() -> None:
    """Pins the jars."""
    with TemporaryDirectory() as folder:
        write_lock({peer: lock_group(roots, Path(folder)) for peer, roots in JARS.items()}, JAR_LOCK)


if __name__ == "__main__":
    main()
