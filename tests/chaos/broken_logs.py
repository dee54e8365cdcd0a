"""Logs that lost records which the tables were made from: the projector must stop with a message and not skip."""

import signal
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from tests.chaos.checker import read_tables
from tests.chaos.driver import Driver
from tests.chaos.history import History
from tests.chaos.log import read_log
from tests.chaos.members import GRACE, Member, environment, tail
from tests.chaos.projections import LIFECYCLE_TOPICS, TOPICS
from tests.chaos.result import Result, breaking_off
from tests.chaos.servers import Servers
from tests.chaos.waiting import wait_for
from tests.chaos.watch import SQL, open_connection, torn
from tests.chaos.workload import Mix

from job_events.topics import Topics
from service_kit.kafka_admin import create_topics

BROKEN_LOGS = "broken-logs"


@dataclass(slots=True)
class _Scene:
    """A table made from a short log, without running producers, and its history."""

    admin: AdminClient
    servers: Servers
    topics: Topics
    connection: psycopg.Connection[Any]
    member: Member
    history: History

    def send(self, seed: str) -> None:
        """Send some jobs; Kafka must accept events of them, otherwise the phase proves nothing.

        Raises:
            RuntimeError
        """
        before = self._events()
        driver = Driver(
            self.servers.bootstrap_servers,
            self.topics.prefix,
            self.history.ledger,
            seed=f"{self.history.seed}/{seed}",
            producers=1,
            rate=1000,
            mix=Mix(),
        )
        driver.start()
        driver.finish()
        if self._events() == before:
            raise RuntimeError(f"Kafka took none of the events sent {seed} the log broke")

    def _events(self) -> int:
        return sum(entry.topic == self.topics.events for entry in self.history.ledger.acknowledged)

    def save(self, folder: Path, violations: list[str]) -> None:
        """Save the ledger, the log and the tables; the ledger also lists what the log has lost."""
        self.history.log = read_log(self.servers.bootstrap_servers, [self.topics.prefix + name for name in TOPICS])
        self.history.tables = read_tables(self.connection).dumped()
        self.history.save(folder, violations)

    def caught_up(self) -> bool:
        ends: dict[tuple[str, int], int] = {}
        names = [self.topics.prefix + name for name in LIFECYCLE_TOPICS]
        for record in read_log(self.servers.bootstrap_servers, names):
            ends[record.topic, record.partition] = record.offset + 1
        held = {(topic, number): at for _, topic, number, at in self.connection.execute(SQL["positions"])}
        return bool(ends) and all(held.get(partition) == end for partition, end in ends.items())

    def read(self) -> Any:
        """How many rows came from the topic that breaks."""
        counted = "SELECT count(*) FROM tracker.event WHERE topic = %s"
        return self.connection.execute(counted, [self.topics.events]).fetchone()

    def status(self) -> str:
        """The projector's own status text."""
        rows = self.connection.execute("SELECT state, detail FROM tracker.projector").fetchall()
        return "; ".join(f"{state}: {detail}" for state, detail in rows)

    def recreate(self) -> None:
        for future in self.admin.delete_topics([self.topics.events]).values():
            future.result(120)
        wait_for(lambda: self.topics.events not in self.admin.list_topics(timeout=120).topics, "the topic to be gone")
        create_topics(self.servers.bootstrap_servers, self.topics)
        self.send("after")

    def trim(self) -> None:
        """Produce new records and trim the log beyond them before they are read."""
        self.send("after")
        partitions = [TopicPartition(self.topics.events, number, -1) for number in range(6)]
        for future in self.admin.delete_records(partitions).values():
            future.result(120)


class Stop(NamedTuple):
    """How the projector must stop reading the topic: with one of these messages, and without writing more of it."""

    says: tuple[str, ...]
    unchanged: bool = True


def recreated_at_rest(scene: _Scene) -> Stop:
    _end(scene.member)
    scene.recreate()
    scene.member.start()
    return Stop(("was recreated",))


def recreated_at_work(scene: _Scene) -> Stop:
    scene.recreate()
    return Stop(("recreated", "does not hold", "lost its end"))


def trimmed_at_rest(scene: _Scene) -> Stop:
    _end(scene.member)
    scene.trim()
    scene.member.start()
    return Stop(("was trimmed",))


def trimmed_at_work(scene: _Scene) -> Stop:
    scene.member.signal(signal.SIGSTOP)  # else it would have read what is trimmed
    try:
        wait_for(scene.member.is_stopped, "the projector to be paused")
        scene.trim()
    finally:
        scene.member.resume()
    # The broker may have answered its last question before it forgot: what it read so is no gap.
    return Stop(("was trimmed", "does not hold"), unchanged=False)


BREAKS: dict[str, Callable[[_Scene], Stop]] = {
    "recreated_at_rest": recreated_at_rest,
    "recreated_at_work": recreated_at_work,
    "trimmed_at_rest": trimmed_at_rest,
    "trimmed_at_work": trimmed_at_work,
}


def run_broken_logs(folder: Path, seed: str) -> Result:
    """Break a log in each way, on servers of their own; an exception is a violation."""
    result = Result(BROKEN_LOGS)
    with breaking_off(result, folder / BROKEN_LOGS), Servers(folder / "stack-broken") as servers:
        for name in BREAKS:
            with breaking_off(result, folder / BROKEN_LOGS / name):
                check_broken_log(name, servers, folder / BROKEN_LOGS / name, seed, result)
                result.faults += 1
    return result


def check_broken_log(name: str, servers: Servers, folder: Path, seed: str, result: Result) -> None:
    """Break the log in one way; violations of the projector are added to `result`.

    `folder` has the history from before the break and from after it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    topics = Topics(f"b{uuid.uuid4().hex[:10]}.")
    create_topics(servers.bootstrap_servers, topics)
    direct, _ = servers.new_database()
    member = Member("projector", "projector", folder, environment(servers.bootstrap_servers, direct, topics.prefix))
    member.start()
    admin = AdminClient({"bootstrap.servers": servers.bootstrap_servers, "log_level": 0})
    with open_connection(direct) as connection:
        history = History(seed, BROKEN_LOGS, topics.prefix)
        scene = _Scene(admin, servers, topics, connection, member, history)
        try:
            wait_for(
                lambda: bool(connection.execute("SELECT to_regclass('tracker.rollup')").fetchone()[0]), "the tables"
            )
            scene.send("before")
            wait_for(scene.caught_up, "the table to be made")
            scene.save(folder / "before", [])
            before = scene.read()
            stop = BREAKS[name](scene)
            process = member.process
            assert process is not None
            wait_for(lambda: "partial" in scene.status() or process.poll() is not None, f"the topic to stop ({name})")
            found = torn(connection)
            if process.poll() is not None or not any(part in scene.status() for part in stop.says):
                found.append(f"the projector said: {scene.status()}; its log: {tail(member.log, 3)}")
            if stop.unchanged and scene.read() != before:
                found.append("events of the topic were written though some were skipped")
            found = [f"{name}: {one}" for one in found]
            result.violations += found
            scene.save(folder / "after", found)
        finally:
            result.acknowledged += len(history.ledger.acknowledged)
            result.unknown += history.ledger.unknown
            _end(member)


def _end(member: Member) -> None:
    if member.process is not None and member.process.poll() is None:
        member.process.terminate()
        member.process.wait(GRACE)
