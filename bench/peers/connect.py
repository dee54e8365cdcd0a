"""A Kafka Connect worker: it is part of Kafka's jars; Debezium's jars are its plugin."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from bench.child import Child
from local_stack import free_port
from local_stack.java_jars import JarSet, cached_jars, kafka_jars, read_checksums
from local_stack.kafka_server import java_command, log4j_config
from local_stack.ports import LOOPBACK
from local_stack.stack_events import StackEvent

VERSION = "3.5.0.Final"
_MAIN = "io.debezium.connector.jdbc.JdbcSinkConnector"
# Debezium's POM needs every vendor's driver and libraries that Connect has already; Debezium's packages omit them.
_EXCLUDED = (
    *("ojdbc", "mysql-", "mariadb-", "mssql-"),
    *("connect-", "kafka-clients-", "jackson-", "slf4j-", "lz4-", "snappy-", "zstd-", "jakarta.ws.rs-"),
)
_JVM = ("-Xms256m", "-Xmx2g", "-Djava.awt.headless=true")  # Connect's own defaults
_START = 60.0  # seconds
_POLL = 0.05


def debezium_jars() -> list[Path]:
    """The plugin's jars, downloaded the first time."""
    sums = read_checksums(Path(__file__).with_name("debezium-jars.sha256").read_text())
    wanted = JarSet(
        "debezium", "Debezium's JDBC sink", ((f"io.debezium:debezium-connector-jdbc:{VERSION}", _MAIN),), sums
    )
    return cached_jars(wanted, _say)


def _say(event: StackEvent) -> None:
    if event.done is not None and event.done == event.total:
        print(f"{event.message}: done", flush=True)


class ConnectWorker:
    """One standalone worker. `start` is safe to call again."""

    def __init__(self, kafka: str, folder: Path) -> None:
        self._kafka = kafka
        self._folder = folder
        self._child: Child | None = None
        self._port = 0
        self._client = httpx.Client(timeout=30)

    def start(self, logs: Path) -> None:
        """Start the JVM unless it runs, and wait until it answers."""
        if self._child is not None:
            return
        plugin = self._folder / "plugins" / "debezium"
        shutil.rmtree(plugin, ignore_errors=True)
        plugin.mkdir(parents=True)
        for jar in debezium_jars():
            if not jar.name.startswith(_EXCLUDED):
                (plugin / jar.name).symlink_to(jar)
        self._port = free_port()
        log4j, properties = self._folder / "log4j2.yaml", self._folder / "connect.properties"
        log4j.write_text(log4j_config(level="warn"))
        settings = {
            "bootstrap.servers": self._kafka,
            "listeners": f"http://{LOOPBACK}:{self._port}",
            "plugin.path": str(plugin.parent),
            "plugin.discovery": "service_load",
            "offset.storage.file.filename": str(self._folder / "offsets"),
            "offset.flush.interval.ms": "1000",
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "connector.client.config.override.policy": "All",
        }
        properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        command = java_command(kafka_jars(_say), "org.apache.kafka.connect.cli.ConnectStandalone", log4j, jvm=_JVM)
        self._child = Child([*command, str(properties)], dict(os.environ), logs / "connect.log")
        self._wait(self._answers, "Kafka Connect did not start")

    def add(self, name: str, settings: dict[str, str]) -> None:
        """Start a connector."""
        self._client.put(f"{self._url}/{name}/config", json=settings).raise_for_status()

    def remove(self, name: str) -> None:
        """Stop a connector, if it was started, and wait until it is gone."""
        if self._child is None or name not in self._client.get(self._url).json():
            return
        self._client.delete(f"{self._url}/{name}").raise_for_status()
        gone = int(httpx.codes.NOT_FOUND)
        self._wait(lambda: self._client.get(f"{self._url}/{name}").status_code == gone, f"{name} does not end")

    def check(self, name: str) -> None:
        """Raise RuntimeError if the JVM is gone or a task has failed."""
        self._running.check()
        answer = self._client.get(f"{self._url}/{name}/status")
        tasks = answer.json().get("tasks", []) if answer.is_success else []
        for task in tasks:
            if task["state"] == "FAILED":
                raise RuntimeError(f"a task of {name} failed: {task.get('trace', '')[:3000]}")

    def peak_bytes(self) -> int:
        return self._running.peak_bytes()

    def end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    @property
    def _url(self) -> str:
        return f"http://{LOOPBACK}:{self._port}/connectors"

    @property
    def _running(self) -> Child:
        if self._child is None:
            raise RuntimeError("Kafka Connect was not started")
        return self._child

    def _answers(self) -> bool:
        self._running.check()
        try:
            return self._client.get(self._url).is_success
        except httpx.TransportError:
            return False

    def _wait(self, look: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _START
        while not look():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{what}:\n{self._running.tail()}")
            time.sleep(_POLL)
