"""A log that no longer holds what the tables were made from: the projector must stop and say so, never skip."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from tests.chaos.driver import Driver
from tests.chaos.ledger import Ledger
from tests.chaos.log import read_log
from tests.chaos.members import REFUSED, Member, environment, tail
from tests.chaos.patience import wait_for
from tests.chaos.projections import LIFECYCLE_TOPICS
from tests.chaos.result import Result, breaking_off
from tests.chaos.servers import Servers
from tests.chaos.watch import SQL, open_connection
from tests.chaos.workload import Mix

from job_events.topics import Topics, create_topics

BROKEN_LOGS = "broken-logs"


@dataclass(slots=True)
class _Scene:
    """A table made from a short log, at rest."""

    admin: AdminClient
    servers: Servers
    topics: Topics
    connection: psycopg.Connection[Any]
    member: Member

    def send(self, seed: str) -> None:
        """Send some jobs; there must be events among what Kafka took, or nothing would be shown.

        Raises:
            RuntimeError
        """
        ledger = Ledger()
        driver = Driver(
            self.servers.bootstrap_servers, self.topics.prefix, ledger, seed=seed, producers=1, rate=1000, mix=Mix()
        )
        driver.start()
        driver.finish()
        if not any(entry.topic == self.topics.events for entry in ledger.acknowledged):
            raise RuntimeError(f"Kafka took none of the events sent {seed} the log broke")

    def caught_up(self) -> bool:
        ends: dict[tuple[str, int], int] = {}
        names = [self.topics.prefix + name for name in LIFECYCLE_TOPICS]
        for record in read_log(self.servers.bootstrap_servers, names):
            ends[record.topic, record.partition] = record.offset + 1
        held = {(topic, number): at for _, topic, number, at in self.connection.execute(SQL["positions"])}
        return bool(ends) and all(held.get(partition) == end for partition, end in ends.items())

    def table(self) -> Any:
        return self.connection.execute(
            "SELECT md5(string_agg(j::text, ',' ORDER BY job_id)) FROM tracker.job j"
        ).fetchone()

    def recreate(self) -> None:
        for future in self.admin.delete_topics([self.topics.events]).values():
            future.result(120)
        wait_for(lambda: self.topics.events not in self.admin.list_topics(timeout=120).topics, "the topic to be gone")
        create_topics(self.servers.bootstrap_servers, self.topics)
        self.send("after")

    def trim(self) -> None:
        """New records come, and the broker forgets past them before anybody has read them."""
        self.send("after")
        partitions = [TopicPartition(self.topics.events, number, -1) for number in range(6)]
        for future in self.admin.delete_records(partitions).values():
            future.result(120)


def recreated_at_rest(scene: _Scene) -> str:
    _end(scene.member)
    scene.recreate()
    scene.member.start()
    return "was recreated"


def recreated_at_work(scene: _Scene) -> str:
    scene.recreate()
    return "recreated|does not hold|lost its end"


def trimmed_at_rest(scene: _Scene) -> str:
    _end(scene.member)
    scene.trim()
    scene.member.start()
    return "was trimmed"


BREAKS: dict[str, Callable[[_Scene], str]] = {
    "recreated_at_rest": recreated_at_rest,
    "recreated_at_work": recreated_at_work,
    "trimmed_at_rest": trimmed_at_rest,
}


def run_broken_logs(folder: Path) -> Result:
    """Break a log in every way, each alone, on servers of their own; whatever breaks one off is a violation."""
    result = Result(BROKEN_LOGS)
    with breaking_off(result, folder / BROKEN_LOGS), Servers(folder / "stack-broken") as servers:
        for name in BREAKS:
            with breaking_off(result, folder / BROKEN_LOGS / name):
                result.violations += check_broken_log(name, servers, folder / BROKEN_LOGS / name)
                result.faults += 1
    return result


def check_broken_log(name: str, servers: Servers, folder: Path) -> list[str]:
    """Break the log in one way; returns what was wrong about how the projector took it."""
    folder.mkdir(parents=True, exist_ok=True)
    topics = Topics(f"b{uuid.uuid4().hex[:10]}.")
    create_topics(servers.bootstrap_servers, topics)
    direct, _ = servers.new_database()
    member = Member("projector", "projector", folder, environment(servers.bootstrap_servers, direct, topics.prefix))
    member.start()
    admin = AdminClient({"bootstrap.servers": servers.bootstrap_servers, "log_level": 0})
    with open_connection(direct) as connection:
        scene = _Scene(admin, servers, topics, connection, member)
        try:
            wait_for(
                lambda: bool(connection.execute("SELECT to_regclass('tracker.rollup')").fetchone()[0]), "the tables"
            )
            scene.send("before")
            wait_for(scene.caught_up, "the table to be made")
            before = scene.table()
            sentence = BREAKS[name](scene)
            process = member.process
            assert process is not None
            wait_for(lambda: process.poll() is not None, f"the projector to stop ({name})")
            return _verdict(name, process.returncode, tail(member.log, 3), sentence, before == scene.table())
        finally:
            _end(member)


def _verdict(name: str, code: int, said: str, sentence: str, unchanged: bool) -> list[str]:
    found: list[str] = []
    if code != REFUSED or not any(part in said for part in sentence.split("|")):
        found.append(f"{name}: the projector ended with {code} and said: {said}")
    if not unchanged:
        found.append(f"{name}: the table changed though events were skipped")
    return found


def _end(member: Member) -> None:
    if member.process is not None and member.process.poll() is None:
        member.process.terminate()
        member.process.wait(60)
