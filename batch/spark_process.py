"""Runs a job on Spark: its environment, jars and JDK, and the process that is given the plan."""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batch.jdk import find_jdk
from batch.spark_archive import write_archive
from vitals.engine_environment import engine_python
from vitals.errors import UserError
from vitals.jars import JarCache

REQUIREMENTS = Path(__file__).parents[1] / "requirements" / "spark.txt"
ENVIRONMENT_BYTES = 1_200_000_000

CONNECT_SECONDS = 5.0

MASTER = r"local(\[.+\])?|yarn|(spark|k8s)://.+"
MEMORY = r"[1-9]\d*[kmgt]b?"

LARGEST_MESSAGE = 8 * 1024 * 1024
# A broken length in an Avro body must not make its reader ask for gigabytes of memory.
AVRO_LIMITS = " ".join(
    f"-Dorg.apache.avro.limits.{what}={LARGEST_MESSAGE}"
    for what in ("string.maxLength", "bytes.maxLength", "collectionItems.maxLength")
)

SETTINGS = {
    "spark.app.name": "vitals batch",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.driver.extraJavaOptions": AVRO_LIMITS,
    "spark.executor.extraJavaOptions": AVRO_LIMITS,
}

LOCAL_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    # Spark's 200 are meant for a cluster: here they are 200 files for every task of every metric.
    "spark.sql.shuffle.partitions": "16",
}


class Spark:
    """Spark, installed and ready to run plans: on this machine, or on the cluster of another master."""

    def __init__(self, master: str, memory: str) -> None:
        """Installs what is missing.

        Raises:
            UserError: no JDK, no such master, no amount of memory, or something cannot be installed.
        """
        if re.fullmatch(MASTER, master) is None:
            raise UserError(
                f"--master {master} is none of Spark's: `local[*]`, or a cluster such as spark://host:7077."
            )
        if re.fullmatch(MEMORY, memory, re.IGNORECASE) is None:
            raise UserError(f"--memory {memory} is not an amount of memory, such as 2g or 900m.")
        _require_answer(master)
        self._java_home = find_jdk()
        jars = JarCache().jars("spark")
        self._python = engine_python("Spark", REQUIREMENTS, ENVIRONMENT_BYTES)
        local = LOCAL_SETTINGS if master.startswith("local") else {}
        self.session: Mapping[str, str] = {
            **SETTINGS,
            **local,
            "spark.master": master,
            "spark.driver.memory": memory,
            "spark.jars": ",".join(str(jar) for jar in jars),
        }

    def run(self, job: str, plan: Mapping[str, Any]) -> dict[str, Any]:
        """Runs a job of `batch.spark_archive` to its end and returns its summary.

        Raises:
            UserError: Spark failed; the message names its log.
        """
        with (
            tempfile.TemporaryDirectory(prefix="vitals-spark-") as folder,
            tempfile.NamedTemporaryFile(prefix="vitals-spark-", suffix=".log") as log,
        ):
            archive = Path(folder) / "vitals.zip"
            write_archive(archive)
            answer, status = self._execute(archive, job, dict(plan) | {"code": str(archive)}, log.fileno())
            try:
                outcome: dict[str, Any] = json.loads(answer.splitlines()[-1])
            except (IndexError, ValueError):
                outcome = {"error": f"it ended with status {status}"}
            if "error" in outcome:
                kept = shutil.copy(log.name, f"{log.name}.failed")
                raise UserError(f"Spark failed: {outcome['error'].rstrip('.')}. Its log is {kept}.")
        return outcome

    def _execute(self, archive: Path, job: str, plan: Mapping[str, Any], stderr: int) -> tuple[str, int]:
        """What the job printed, and its exit status. The plan goes through a pipe: it may hold Kafka's password."""
        # Another Spark's home, or Vitals' own packages, must not get in the way.
        environ = {name: text for name, text in os.environ.items() if name not in ("SPARK_HOME", "PYTHONPATH")}
        environ |= {"JAVA_HOME": str(self._java_home), "PYSPARK_PYTHON": str(self._python)}
        with subprocess.Popen(
            [self._python, "-P", archive, job],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environ,
            text=True,
        ) as process:
            try:
                answer, _ = process.communicate(json.dumps(plan))
            except BaseException:
                process.kill()  # its Java ends with it
                raise
        return answer, process.returncode


def _require_answer(master: str) -> None:
    """Spark itself tries a cluster's masters for a minute and then says something else."""
    if not master.startswith("spark://"):
        return
    for address in master.removeprefix("spark://").split(","):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
        except (OSError, ValueError, OverflowError):
            continue
        return
    raise UserError(f"No Spark master answers at {master}: is it running?")
