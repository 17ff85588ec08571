"""The Apache Kafka broker as one KRaft node: broker and controller in one JVM."""

import base64
import uuid
from collections.abc import Mapping
from pathlib import Path

from embedded.jvm import Jvm
from embedded.parts import Part, SetupStep
from embedded.probes import KafkaProbe
from embedded.state_folder import StateFolder

NAME = "kafka"
HEAP_MEGABYTES = 512
PORT_NAMES = ("kafka", "kafka-controller")

LOG4J2 = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %m (%c{1})%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
"""

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    # Topics are created on purpose, with their settings; a misspelt name must fail instead of making a topic.
    "auto.create.topics.enable": "false",
    "num.partitions": "8",
    # Retention follows arrival: event time lives in the record only, or a backfill would be deleted as it loads.
    "log.message.timestamp.type": "LogAppendTime",
    # One node: internal topics cannot have more replicas, and need few partitions.
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "8",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    # Consumers join at once instead of waiting for others that will not come.
    "group.initial.rebalance.delay.ms": "0",
    # A killed broker's registration must expire before it may serve again: 9 s by default, while the one heartbeat that
    # counts here never crosses a network.
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",
    # Sized for a heap of 512 MB and two cores.
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.cleaner.dedupe.buffer.size": "33554432",
}


def build(state: StateFolder, jvm: Jvm, ports: Mapping[str, int]) -> Part:
    """The broker on `ports["kafka"]`. Writes its configuration; its data live in `kafka/data` of the state folder."""
    home = state.path / "kafka"
    home.mkdir(exist_ok=True)
    final, partial = home / "data", home / "data.partial"
    (home / "log4j2.properties").write_text(LOG4J2)
    server = _write_properties(home / "server.properties", ports, final)
    formatting = _write_properties(home / "format.properties", ports, partial)
    jars, logging = jvm.cache.jars("kafka"), f"-Dlog4j2.configurationFile={home / 'log4j2.properties'}"
    command, class_data = jvm.command(NAME, jars, HEAP_MEGABYTES, logging)
    format_argv = ("kafka.tools.StorageTool", "format", "-t", new_cluster_id(), "-c", str(formatting))
    setup_argv = (*jvm.plain_command(jars, HEAP_MEGABYTES, logging), *format_argv)
    return Part(
        name=NAME,
        kind="infrastructure",
        argv=(*command, "kafka.Kafka", str(server)),
        cwd=home,
        log_path=state.log_file(NAME),
        probe=KafkaProbe(ports["kafka"]),
        port=ports["kafka"],
        setup=(SetupStep(setup_argv, partial, final),),
        after_stop=class_data.keep,
        stop_timeout_seconds=20,
    )


def new_cluster_id() -> str:
    """A fresh cluster id in Kafka's form: a UUID as 22 characters of URL-safe base64 that do not start with a dash."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass  # a leading dash would read as an option
    return text


def _write_properties(path: Path, ports: Mapping[str, int], log_dir: Path) -> Path:
    broker, controller = f"127.0.0.1:{ports['kafka']}", f"127.0.0.1:{ports['kafka-controller']}"
    addresses = {
        "listeners": f"PLAINTEXT://{broker},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{broker}",
        "controller.quorum.voters": f"1@{controller}",
        "log.dirs": str(log_dir).replace("\\", "/"),
    }
    path.write_text("".join(f"{name}={value}\n" for name, value in (SETTINGS | addresses).items()))
    return path
