"""Kafka's own command-line tools, by the names of its shell scripts."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from local_stack.errors import UnknownTool
from local_stack.java_jars import kafka_jars
from local_stack.kafka_server import java_command, log4j_config
from local_stack.stack_events import Report, silent

_TOOLS = "org.apache.kafka.tools"
TOOLS = {
    "acls": f"{_TOOLS}.AclCommand",
    "broker-api-versions": f"{_TOOLS}.BrokerApiVersionsCommand",
    "client-metrics": f"{_TOOLS}.ClientMetricsCommand",
    "cluster": f"{_TOOLS}.ClusterTool",
    "configs": "kafka.admin.ConfigCommand",
    "console-consumer": f"{_TOOLS}.consumer.ConsoleConsumer",
    "console-producer": f"{_TOOLS}.ConsoleProducer",
    "consumer-groups": f"{_TOOLS}.consumer.group.ConsumerGroupCommand",
    "consumer-perf-test": f"{_TOOLS}.ConsumerPerformance",
    "delete-records": f"{_TOOLS}.DeleteRecordsCommand",
    "dump-log": f"{_TOOLS}.DumpLogSegments",
    "features": f"{_TOOLS}.FeatureCommand",
    "get-offsets": f"{_TOOLS}.GetOffsetShell",
    "groups": f"{_TOOLS}.GroupsCommand",
    "leader-election": f"{_TOOLS}.LeaderElectionCommand",
    "log-dirs": f"{_TOOLS}.LogDirsCommand",
    "metadata-quorum": f"{_TOOLS}.MetadataQuorumCommand",
    "producer-perf-test": f"{_TOOLS}.ProducerPerformance",
    "reassign-partitions": f"{_TOOLS}.reassign.ReassignPartitionsCommand",
    "share-groups": f"{_TOOLS}.consumer.group.ShareGroupCommand",
    "storage": "kafka.tools.StorageTool",
    "topics": f"{_TOOLS}.TopicCommand",
    "transactions": f"{_TOOLS}.TransactionsCommand",
}
# These work on files.
_WITHOUT_BROKER = {"dump-log", "storage"}


def tool_name(word: str) -> str:
    """`consumer-groups` for itself, kafka-consumer-groups and kafka-consumer-groups.sh. Raises UnknownTool."""
    name = word.removesuffix(".sh").removeprefix("kafka-")
    if name not in TOOLS:
        raise UnknownTool(f"Kafka has no tool {word!r}; there are: {', '.join(sorted(TOOLS))}.")
    return name


def tool_arguments(name: str, arguments: list[str], bootstrap_servers: str) -> list[str]:
    """The tool's arguments, with the broker's address unless the caller gave one or it needs none."""
    if (
        name in _WITHOUT_BROKER
        or "--help" in arguments
        or any(word.split("=")[0] in ("--bootstrap-server", "--bootstrap-controller") for word in arguments)
    ):
        return arguments
    # `cluster` and `features` take the address behind their own command word only when it comes last.
    return [*arguments, "--bootstrap-server", bootstrap_servers]


def run_kafka_tool(argv: list[str], bootstrap_servers: str, *, report: Report = silent) -> int:
    """Run one of Kafka's tools on this process' input and output, and give its exit code.

    `argv` is the tool's name and its arguments: ["consumer-groups", "--describe", "--all-groups"].
    Raises UnknownTool, or StackError when Kafka can't be downloaded.
    """
    if not argv:
        raise UnknownTool(f"Say which tool: {', '.join(sorted(TOOLS))}.")
    name = tool_name(argv[0])
    jars = kafka_jars(report)
    with tempfile.TemporaryDirectory(prefix="jobtrail-") as folder:
        log4j = Path(folder) / "log4j2.yaml"
        log4j.write_text(log4j_config(target="SYSTEM_ERR", level="error", pattern="%p %m%n"))
        command = java_command(jars, TOOLS[name], log4j, jvm=("-Xmx256m", "-XX:TieredStopAtLevel=1"))
        return subprocess.run(  # noqa: S603 - Kafka's own tools, asked for by the user
            [*command, *tool_arguments(name, argv[1:], bootstrap_servers)], check=False
        ).returncode
