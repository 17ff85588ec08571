"""Writes `jars.lock.json`: resolves the roots below with jgo and pins every file by SHA-256 and size.

Run `python -m vitals.lock_jars` after changing a version here, and review the difference as for any dependency.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vitals.jars import LockedJar, file_sha256, maven_context, write_lock

KAFKA = "4.3.1"  # the newest release whose kafka-tools is published as well
LOG4J = "2.25.4"
FLINK_KAFKA = "4.0.1-2.0"  # connectors are released apart from Flink: this one is for Flink 2.0 and newer
FLINK_AVRO = "2.2.0"  # 2.2.1 was never published; the format goes with the minor release
SPARK = "4.1.1"  # as in requirements/spark.in; the newest of this line of which every jar below is published


@dataclass(frozen=True)
class Root:
    """A coordinate to pin, `group:artifact:version`, with everything it needs at run time unless `alone`."""

    coordinate: str
    classifier: str = ""
    packaging: str = "jar"
    alone: bool = False


ROOTS: dict[str, tuple[Root, ...]] = {
    "kafka": (
        Root(f"org.apache.kafka:kafka_2.13:{KAFKA}"),
        Root(f"org.apache.kafka:kafka-tools:{KAFKA}"),
        # The broker logs through SLF4J, and its published dependencies name no backend for it.
        Root(f"org.apache.logging.log4j:log4j-slf4j-impl:{LOG4J}", alone=True),
    ),
    "registry": (Root("io.apicurio:apicurio-registry-app:3.3.3", classifier="all", packaging="tar.gz", alone=True),),
    # Flink itself comes with its Python package; these two are complete in themselves.
    "flink": (
        Root(f"org.apache.flink:flink-sql-connector-kafka:{FLINK_KAFKA}", alone=True),
        Root(f"org.apache.flink:flink-sql-avro-confluent-registry:{FLINK_AVRO}", alone=True),
    ),
    # Each alone: the rest of what they need comes with pyspark, in these versions.
    "spark": (
        Root(f"org.apache.spark:spark-sql-kafka-0-10_2.13:{SPARK}", alone=True),
        Root(f"org.apache.spark:spark-token-provider-kafka-0-10_2.13:{SPARK}", alone=True),
        Root("org.apache.kafka:kafka-clients:3.9.1", alone=True),
        Root("org.apache.commons:commons-pool2:2.12.1", alone=True),
        Root(f"org.apache.spark:spark-avro_2.13:{SPARK}", alone=True),
    ),
}


def lock_group(roots: tuple[Root, ...], repository: Path) -> list[LockedJar]:
    """Downloads a group into `repository` and describes each file."""
    context = maven_context(repository)
    artifacts: list[Any] = []
    for root in (root for root in roots if root.alone):
        group, artifact, version = root.coordinate.split(":")
        component = context.project(group, artifact).at_version(version)
        artifacts.append(component.artifact(root.classifier, root.packaging))
    transitive = [context.create_dependency(root.coordinate) for root in roots if not root.alone]
    if transitive:
        inputs, needed = context.resolver.resolve(transitive)
        artifacts += [dependency.artifact for dependency in (*inputs, *needed)]
    return sorted({_describe(artifact) for artifact in artifacts})


def _describe(artifact: Any) -> LockedJar:
    path = Path(artifact.resolve())
    return LockedJar(
        artifact.groupId,
        artifact.artifactId,
        artifact.version,
        artifact.classifier,
        artifact.packaging,
        file_sha256(path),
        path.stat().st_size,
    )


def main() -> None:
    """Locks every group and says what it pinned."""
    with TemporaryDirectory(prefix="lock-jars-") as folder:
        groups = {name: lock_group(roots, Path(folder)) for name, roots in ROOTS.items()}
    write_lock(groups)
    for name, jars in groups.items():
        sys.stdout.write(f"{name}: {len(jars)} files, {sum(jar.size for jar in jars) / 1e6:.0f} MB\n")


if __name__ == "__main__":
    main()
