"""One phase: scheduled faults while producers send, then recovery, then the verdict."""

import random
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from tests.api_answers import answers
from tests.chaos import checker
from tests.chaos.driver import Driver
from tests.chaos.faults import FAULTS, World
from tests.chaos.history import History
from tests.chaos.log import read_log
from tests.chaos.members import Fleet, environment
from tests.chaos.oracle import LogRecord
from tests.chaos.phases import Phase
from tests.chaos.projections import PROJECTIONS, TOPICS, Projection
from tests.chaos.result import Result, breaking_off, describe_error
from tests.chaos.scope import EACH_PHASE, lacking, scope
from tests.chaos.servers import Servers
from tests.chaos.waiting import until, wait_for
from tests.chaos.watch import SQL, Watch, open_connection

from job_tracker.bootstrap import prepare_servers
from job_tracker.settings import Settings
from local_stack import free_port

_HEALING = 240.0  # seconds until the lag must be zero; on a loaded machine too
_POLL = 0.1  # seconds


def run_phase(
    phase: Phase,
    servers: Servers,
    folder: Path,
    seed: str,
    *,
    mutant: str = "",
    say: Callable[[str], None] = lambda _: None,
) -> Result:
    """Run a phase in a fresh database under a prefix of its own; everything about it is saved in `folder`.

    Whatever breaks it off is a violation, and what there is by then is saved all the same.
    """
    result = Result(phase.name, points=dict.fromkeys(phase.points, 0))
    history = History(seed, phase.name, schedule=phase.schedule(seed))
    with breaking_off(result, folder):
        Course(phase, servers, folder, seed, mutant, result, history).run(say)
    history.save(folder, result.violations)
    return result


class Course:
    """A phase under way, with its servers' database, its members, its producers and who watches them."""

    def __init__(
        self, phase: Phase, servers: Servers, folder: Path, seed: str, mutant: str, result: Result, history: History
    ) -> None:
        self._phase, self._servers, self._result, self._history = phase, servers, result, history
        self._prefix = history.prefix = f"c{uuid.uuid4().hex[:10]}."
        self._database, through_proxy = servers.new_database()
        replication = min(3, servers.brokers)
        if not phase.on_nothing:
            settings = Settings(
                kafka_bootstrap_servers=servers.bootstrap_servers,
                database_url=self._database,
                jobtrail_topic_prefix=self._prefix,
                jobtrail_replication=replication,
            )
            prepare_servers(settings, lambda _: False)
        api_port = free_port()
        self._api = f"http://127.0.0.1:{api_port}"
        self._fleet = Fleet(
            folder / "members",
            environment(
                servers.bootstrap_servers,
                through_proxy,
                self._prefix,
                JOBTRAIL_API_PORT=str(api_port),
                JOBTRAIL_REPLICATION=str(replication),
                CHAOS_MUTANT=mutant,
                # A missing guard may have a batch written twice, and then each of its records is refused alone.
                **({"JOBTRAIL_BATCH_EVENTS": "50"} if mutant else {}),
            ),
        )
        self._driver = Driver(
            servers.bootstrap_servers,
            self._prefix,
            history.ledger,
            seed=f"{seed}/{phase.name}",
            producers=phase.producers,
            rate=phase.rate,
            mix=phase.mix,
        )
        self._watch = Watch(self._database)
        self._world = World(servers, self._fleet, self._driver, self._watch, self._prefix, points=result.points)
        self._projections = [projection.under(self._prefix) for projection in PROJECTIONS]

    def run(self, say: Callable[[str], None]) -> None:
        """Run the whole phase. After an exception, all processes are ended and the result so far is kept."""
        try:
            self._start()
            self._break(say)
            self._heal()
            self._judge()
        finally:
            self._end()

    def _start(self) -> None:
        parts = {projection.part: self._phase.members for projection in self._projections}
        self._fleet.start(parts | {"api": 1})
        _install(self._database)
        self._watch.start()
        self._watch.read_through(self._api, [f"tame-p0-{number}" for number in range(1, 30)])
        self._driver.start()
        _await_first_commit(self._watch, f"{self._prefix}jobs.events")

    def _break(self, say: Callable[[str], None]) -> None:
        for step in self._history.schedule:
            time.sleep(step.wait)
            say(step.fault)
            try:
                FAULTS[step.fault](self._world, random.Random(step.seed))  # noqa: S311 - reproducible, not secret
            except Exception as error:
                self._result.violations.append(f"the fault {step.fault} had no effect: {describe_error(error)}")
            else:
                self._result.faults += 1

    def _heal(self) -> None:
        self._driver.finish()
        healed = time.monotonic()
        self._servers.wait_postgres()
        log = self._read_log()
        with open_connection(self._database) as connection:
            self._result.violations += _await_zero_lag(connection, log, self._projections)
            self._result.zero_lag = time.monotonic() - healed
            tables = self._read_tables(connection)
            # After a short phase on a loaded machine it may still be starting.
            wait_for(lambda: answers(f"{self._api}/healthz"), "the API to answer")
            self._result.violations += checker.check_list(self._api, tables.jobs)
        acknowledged = self._history.ledger.acknowledged
        self._result.violations += checker.check_ledger(acknowledged, log, self._prefix, tables.jobs)
        self._result.seen = scope(len(acknowledged), log, tables)
        self._result.violations += lacking(self._result.seen, EACH_PHASE)

    def _judge(self) -> None:
        until(lambda: not self._watch.blind() or bool(self._watch.problems))  # the API may have started a moment ago
        self._watch.stop()
        self._fleet.close()
        self._result.violations += self._watch.blind()
        assert self._history.log is not None
        with open_connection(self._database) as connection:
            self._result.violations += checker.check_tables(connection, self._history.log, self._projections)
            self._result.violations += checker.open_sessions(connection)
        self._result.violations += [
            f"I8: no batch of a zombie of the part {part} was refused, so nothing was shown"
            for part in self._phase.must_refuse
            if self._world.refused[part] == 0
        ]
        ends = {record.position[:2]: record.offset + 1 for record in self._history.log}
        self._result.violations += self._watch.positions.unrecovered(self._fleet.deaths, ends)

    def _end(self) -> None:
        result = self._result
        self._driver.stop()
        self._watch.stop()
        self._fleet.kill_all()
        result.violations += [*self._watch.problems, *self._fleet.problems]
        result.refused = self._world.refused.total()
        seen, told_of = len(self._fleet.deaths), self._world.killed_members
        if seen != told_of:
            result.violations.append(f"{seen} members were seen to die of SIGKILL, the faults tell of {told_of}")
        result.kills = seen + self._world.killed_servers
        ledger = self._history.ledger
        result.acknowledged, result.unknown = len(ledger.acknowledged), ledger.unknown
        result.recoveries = self._watch.positions.recoveries(self._fleet.deaths)
        self._salvage()

    def _salvage(self) -> None:
        """After a failure, read what the history still lacks."""
        if self._history.log is None:
            with breaking_off(self._result, self._fleet.folder):
                self._read_log()
        if not self._history.tables:
            with breaking_off(self._result, self._fleet.folder), open_connection(self._database) as connection:
                self._read_tables(connection)

    def _read_log(self) -> list[LogRecord]:
        topics = [self._prefix + name for name in TOPICS]
        self._history.log = read_log(self._servers.bootstrap_servers, topics)
        return self._history.log

    def _read_tables(self, connection: psycopg.Connection[Any]) -> checker.Tables:
        tables = checker.read_tables(connection)
        self._history.tables = tables.dumped()
        return tables


def _install(database_url: str) -> None:
    """Put the watch's triggers on the tables as soon as the members, who start side by side, have made it."""

    def install() -> bool:
        with open_connection(database_url) as connection:
            found = connection.execute("SELECT to_regclass('tracker.item') IS NOT NULL").fetchone()
            if found != (True,):
                return False
            try:
                connection.execute(SQL["install"])
            except psycopg.errors.DeadlockDetected:  # with a later migration
                return False
            return True

    wait_for(install, "the members to make their tables")


def _await_first_commit(watch: Watch, topic: str) -> None:
    wait_for(lambda: any(watch.positions.last((topic, number)) for number in range(6)), "a projector to write anything")


def _await_zero_lag(
    connection: psycopg.Connection[Any], log: list[LogRecord], projections: list[Projection]
) -> list[str]:
    """I11: every position of every projection comes to the end of its partition."""
    deadline = time.monotonic() + _HEALING
    while True:
        held = checker.positions(connection)
        behind = {
            partition: (held[projection.name].get(partition), end)
            for projection in projections
            for partition, end in projection.ends(log).items()
            if held[projection.name].get(partition) != end
        }
        if not behind:
            return []
        if time.monotonic() > deadline:
            return [f"I11: the lag is still there {_HEALING:.0f} s after the last fault: {behind}"]
        time.sleep(_POLL)
