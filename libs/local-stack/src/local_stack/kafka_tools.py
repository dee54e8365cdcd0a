"""Kafka's own command-line tools, by the names of its shell scripts."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from local_stack.errors import UnknownTool
from local_stack.java_jars import kafka_jars
from local_stack.java_properties import properties_text
from local_stack.kafka_server import java_command, log4j_config
from local_stack.stack_events import Report, silent
from local_stack.supervisor_config import write_private

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
# These read files.
_WITHOUT_BROKER = {"dump-log", "storage"}
# These take common options before the command word; `cluster` takes them behind it.
_BEFORE_COMMAND = {"features", "metadata-quorum", "transactions"}
# Options that name a file of client properties; `--config` has another meaning in other tools.
_CONFIGS = {"--command-config", "--consumer.config", "--producer.config", "--admin.config"}
_OWN = {"cluster": ("--config",)}


def tool_name(word: str) -> str:
    """`consumer-groups` for itself, kafka-consumer-groups and kafka-consumer-groups.sh. Raises UnknownTool."""
    name = word.removesuffix(".sh").removeprefix("kafka-")
    if name not in TOOLS:
        raise UnknownTool(f"Kafka has no tool {word!r}; there are: {', '.join(sorted(TOOLS))}.")
    return name


def tool_arguments(name: str, arguments: list[str], bootstrap_servers: str, config: Path | None = None) -> list[str]:
    """The tool's arguments, with the broker's address unless the caller gave one or it needs none.

    `config` is a file of client properties, used unless the caller gave one or the tool asks no broker.
    """
    named = {word.split("=")[0] for word in arguments}
    if name in _WITHOUT_BROKER or "--help" in named:
        return arguments
    more: list[str] = []
    if not named & {"--bootstrap-server", "--bootstrap-controller"}:
        more += ["--bootstrap-server", bootstrap_servers]
    if config is not None and not named & {*_CONFIGS, *_OWN.get(name, ())}:
        more += ["--command-config", str(config)]
    return [*more, *arguments] if name in _BEFORE_COMMAND else [*arguments, *more]


def run_kafka_tool(
    argv: list[str], bootstrap_servers: str, client: Mapping[str, str] | None = None, *, report: Report = silent
) -> int:
    """Run one of Kafka's tools on this process' input and output, and give its exit code.

    `argv` is the tool's name and its arguments: ["consumer-groups", "--describe", "--all-groups"]. `client` are
    properties by which it logs in; they are in a file that only this user may read, until the tool has ended.
    Raises UnknownTool, or StackError when Kafka cannot be downloaded.
    """
    if not argv:
        raise UnknownTool(f"Name a tool: {', '.join(sorted(TOOLS))}.")
    name = tool_name(argv[0])
    jars = kafka_jars(report)
    with _terminated_as_exit(), tempfile.TemporaryDirectory(prefix="jobtrail-") as folder:
        log4j = Path(folder) / "log4j2.yaml"
        log4j.write_text(log4j_config(target="SYSTEM_ERR", level="error", pattern="%p %m%n"))
        command = java_command(jars, TOOLS[name], log4j, jvm=("-Xmx256m", "-XX:TieredStopAtLevel=1"))
        config = Path(folder) / "client.properties" if client else None
        if config is not None:
            write_private(config, properties_text(client or {}))
        return subprocess.run(  # noqa: S603 - one of Kafka's own tools, named by the user
            [*command, *tool_arguments(name, argv[1:], bootstrap_servers, config)], check=False
        ).returncode


@contextmanager
def _terminated_as_exit() -> Generator[None]:
    """Make SIGTERM leave the block, so that its files are removed; unless the program handles SIGTERM itself."""
    default = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if not default or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
