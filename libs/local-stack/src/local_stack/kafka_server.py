"""A Kafka broker (KRaft, broker and controller in one): its configuration, format, command and readiness."""

from __future__ import annotations

import shutil
import threading
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from local_stack import preparation
from local_stack.java_jars import classpath, java
from local_stack.java_properties import properties_text
from local_stack.kafka_access import ProtectedListeners
from local_stack.ports import LOOPBACK
from local_stack.supervisor_config import write_private

_POLL = 0.1  # seconds between two tries
_JVM = (
    "-Xms128m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    # Only the quick compiler: a start costs 5.6 s of CPU instead of 9.5 s (measured on 2 busy cores).
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
)

_LOG4J = """\
Configuration:
  status: warn
  Appenders:
    Console:
      name: OUT
      target: {target}
      PatternLayout:
        pattern: "{pattern}"
  Loggers:
    Root:
      level: {level}
      AppenderRef:
        - ref: OUT
"""


@dataclass(frozen=True, slots=True)
class KafkaNode:
    """One node of a cluster: its number, its folder and its ports. A cluster is a list of these."""

    node_id: int
    folder: Path
    port: int
    controller_port: int
    protected: ProtectedListeners | None = None


def bootstrap_servers(cluster: list[KafkaNode]) -> str:
    """The bootstrap servers of the cluster."""
    return ",".join(f"{LOOPBACK}:{node.port}" for node in cluster)


def settings(node: KafkaNode, cluster: list[KafkaNode]) -> dict[str, object]:
    """The node's broker settings. Replication follows the number of nodes (three at most)."""
    replicas = min(3, len(cluster))
    voters = ",".join(f"{peer.node_id}@{LOOPBACK}:{peer.controller_port}" for peer in cluster)
    ports = {"PLAINTEXT": node.port} | (node.protected.ports if node.protected else {})
    advertised = ",".join(f"{protocol}://{LOOPBACK}:{port}" for protocol, port in ports.items())
    return {
        "process.roles": "broker,controller",
        "node.id": node.node_id,
        "controller.quorum.voters": voters,
        "listeners": f"{advertised},CONTROLLER://{LOOPBACK}:{node.controller_port}",
        "advertised.listeners": advertised,
        "listener.security.protocol.map": ",".join([*(f"{name}:{name}" for name in ports), "CONTROLLER:PLAINTEXT"]),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": str(node.folder / "data"),
        "auto.create.topics.enable": "false",
        "min.insync.replicas": max(1, replicas - 1),
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": 10,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": max(1, replicas - 1),
        "transaction.state.log.num.partitions": 5,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": max(1, replicas - 1),
        # With the default a killed member of a KIP-848 group holds its partitions for 45 s.
        "group.consumer.min.session.timeout.ms": 6_000,
        "group.consumer.session.timeout.ms": 10_000,
        "group.consumer.min.heartbeat.interval.ms": 1_000,
        "group.consumer.heartbeat.interval.ms": 2_000,
        "group.initial.rebalance.delay.ms": 0,
        # The default of 128 MB is a quarter of this heap.
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
        # A restarted broker waits until the session of its former process has expired (default 9 s).
        "broker.session.timeout.ms": 3_000,
        "broker.heartbeat.interval.ms": 500,
        **(node.protected.broker_settings() if node.protected else {}),
    }


def server_properties(node: KafkaNode, cluster: list[KafkaNode]) -> str:
    """The settings as a server.properties file."""
    return properties_text(settings(node, cluster))


def log4j_config(*, target: str = "SYSTEM_OUT", level: str = "info", pattern: str = "[%d] %p %c{1} %m%n") -> str:
    """A log4j2 configuration in YAML's terms, for the broker (to its log) or, at `error`, for the tools."""
    return _LOG4J.format(target=target, level=level, pattern=pattern)


def java_command(jars: list[Path], main_class: str, log4j: Path, *, jvm: tuple[str, ...] = ()) -> list[str]:
    """The start of a command line that runs one of Kafka's classes."""
    return [
        str(java()),
        *jvm,
        f"-Dlog4j2.configurationFile={log4j.as_uri()}",
        "-cp",
        classpath(jars),
        main_class,
    ]


def prepare(node: KafkaNode, cluster: list[KafkaNode], jars: list[Path], on_format: Callable[[], None]) -> list[str]:
    """Write the node's files, format its folder the first time, and return the command that runs it.

    Raises StackError when the format tool fails.
    """
    node.folder.mkdir(parents=True, exist_ok=True)
    properties = node.folder / "server.properties"
    write_private(properties, server_properties(node, cluster))  # it may hold a password
    log4j = node.folder / "log4j2.yaml"
    log4j.write_text(log4j_config())
    formatted = node.folder / "formatted"
    if not formatted.exists():
        on_format()
        _format(node, properties, jars, log4j, shared_id(cluster))
        formatted.touch()
    return [*java_command(jars, "kafka.Kafka", log4j, jvm=_JVM), str(properties)]


def shared_id(cluster: list[KafkaNode]) -> str:
    """The cluster id, kept in the folder of the first node: nodes with different ids reject each other."""
    kept = cluster[0].folder / "cluster.id"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(cluster_id(uuid.uuid4()))
    return kept.read_text()


def _format(node: KafkaNode, properties: Path, jars: list[Path], log4j: Path, shared_id: str) -> None:
    # Without the marker an earlier format was interrupted, so no data was written.
    shutil.rmtree(node.folder / "data", ignore_errors=True)
    command = java_command(jars, "kafka.tools.StorageTool", log4j, jvm=("-XX:TieredStopAtLevel=1",))
    arguments = ["format", "--cluster-id", shared_id, "--config", str(properties)]
    preparation.run([*command, *arguments], "Kafka's data folder")


def cluster_id(random: uuid.UUID) -> str:
    """A UUID as Kafka writes it, in base64. The first bit is cleared, or a leading dash would read as an option."""
    return urlsafe_b64encode(bytes([random.bytes[0] & 0x7F]) + random.bytes[1:]).decode().rstrip("=")


def answers(cluster: list[KafkaNode], stop: threading.Event, timeout: float) -> bool:
    """Wait until every broker knows the others; False after `timeout` seconds or when `stop` is set.

    Another cluster at the port does not count.
    """
    admin = AdminClient(
        {
            "bootstrap.servers": bootstrap_servers(cluster),
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 200,
            "log_level": 0,
        }
    )
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and not stop.is_set():
        try:
            found = admin.list_topics(timeout=1)
            if str(found.cluster_id) == shared_id(cluster) and len(found.brokers) >= len(cluster):
                return True
        except KafkaException:
            # Not up yet; the caller reports a server that never comes up.
            stop.wait(_POLL)
            continue
        stop.wait(_POLL)
    return False
