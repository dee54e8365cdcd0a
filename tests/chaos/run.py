"""One phase: faults by schedule while producers send, then healing, then the verdict."""

import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
from tests.chaos import checker, history
from tests.chaos.driver import LIFECYCLE_TOPICS, Driver
from tests.chaos.faults import FAULTS, World
from tests.chaos.ledger import Ledger
from tests.chaos.log import read_log
from tests.chaos.members import Fleet, environment
from tests.chaos.oracle import LogRecord
from tests.chaos.phases import Phase
from tests.chaos.servers import Servers, wait_for
from tests.chaos.watch import SQL, Watch, open_connection

from job_tracker.bootstrap import prepare_servers
from job_tracker.settings import Settings
from local_stack import free_port

_HEALING = 240.0  # seconds until the lag must be zero; on a loaded machine too
_POLL = 0.1  # seconds


@dataclass(slots=True)
class Result:
    """What a phase showed."""

    phase: str
    violations: list[str] = field(default_factory=list)
    kills: int = 0
    faults: int = 0
    acknowledged: int = 0
    unknown: int = 0
    duplicates: int = 0
    refused: int = 0
    recoveries: list[float] = field(default_factory=list)
    zero_lag: float = 0.0
    points: dict[str, int] = field(default_factory=dict)


def run_phase(
    phase: Phase,
    servers: Servers,
    folder: Path,
    seed: str,
    *,
    mutant: str = "",
    say: Callable[[str], None] = lambda _: None,
) -> Result:
    """Run a phase in a fresh database under a prefix of its own; everything about it is saved in `folder`."""
    prefix = f"c{uuid.uuid4().hex[:10]}."
    direct, through_proxy = servers.new_database()
    replication = min(3, servers.brokers)
    if not phase.on_nothing:
        settings = Settings(
            kafka_bootstrap_servers=servers.bootstrap_servers,
            database_url=direct,
            jobtrail_topic_prefix=prefix,
            jobtrail_replication=replication,
        )
        prepare_servers(settings, lambda _: False)
    projection = f"{prefix}tracker-jobs"
    api_port = free_port()
    fleet = Fleet(
        folder / "members",
        environment(
            servers.bootstrap_servers,
            through_proxy,
            prefix,
            JOBTRAIL_API_PORT=str(api_port),
            JOBTRAIL_REPLICATION=str(replication),
            CHAOS_MUTANT=mutant,
            # A missing guard may have a batch written twice, and then each of its records is refused alone.
            **({"JOBTRAIL_BATCH_EVENTS": "50"} if mutant else {}),
        ),
    )
    ledger = Ledger()
    driver = Driver(
        servers.bootstrap_servers,
        prefix,
        ledger,
        seed=f"{seed}/{phase.name}",
        producers=phase.producers,
        rate=phase.rate,
        mix=phase.mix,
    )
    watch = Watch(direct, projection)
    world = World(servers, fleet, driver, watch, prefix)
    result = Result(phase.name)
    topics = [prefix + name for name in LIFECYCLE_TOPICS]
    try:
        fleet.start({"projector": phase.members, "items": 1, "api": 1})
        _install(direct)
        watch.start()
        watch.read_through(f"http://127.0.0.1:{api_port}", [f"tame-p0-{number}" for number in range(1, 30)])
        driver.start()
        _await_first_commit(watch, topics[-1])
        schedule = phase.schedule(seed)
        for step in schedule:
            time.sleep(step.wait)
            say(step.fault)
            FAULTS[step.fault](world, random.Random(step.seed))  # noqa: S311 - reproducible, not secret
        driver.finish()
        healed = time.monotonic()
        servers.wait_postgres()
        log = read_log(servers.bootstrap_servers, topics)
        with open_connection(direct) as connection:
            result.violations += _await_zero_lag(connection, log, projection)
            result.zero_lag = time.monotonic() - healed
            rows = checker.table(connection)
            # After a short phase on a loaded machine it may still be starting.
            wait_for(lambda: _answers(f"http://127.0.0.1:{api_port}"), "the API to answer")
            result.violations += checker.check_list(f"http://127.0.0.1:{api_port}", rows)
        watch.stop()
        fleet.close()
        with open_connection(direct) as connection:
            result.violations += checker.check_tables(connection, log, projection)
            result.violations += checker.open_sessions(connection)
    finally:
        watch.stop()
        fleet.kill_all()
    result.violations += checker.check_ledger(ledger.acknowledged, log, rows)
    result.violations += [*watch.troubles, *fleet.troubles]
    result.refused = fleet.refused_batches(of_paused=True)
    if phase.must_refuse and result.refused == 0:
        result.violations.append("I8: no batch of a zombie was refused, so nothing was shown")
    result.kills, result.faults = world.killed, len(schedule)
    result.points = world.points
    result.acknowledged, result.unknown = len(ledger.acknowledged), ledger.unknown
    result.duplicates = checker.duplicates(log)
    result.recoveries = watch.recoveries(fleet.deaths)
    history.save(folder, schedule=schedule, ledger=ledger.entries, log=log, rows=rows, violations=result.violations)
    return result


def _install(database_url: str) -> None:
    """Put the watch's trigger on the job table as soon as the members, who start side by side, have made it."""

    def install() -> bool:
        with open_connection(database_url) as connection:
            found = connection.execute("SELECT to_regclass('tracker.projector') IS NOT NULL").fetchone()
            if found == (True,):
                connection.execute(SQL["install"])
            return found == (True,)

    wait_for(install, "the members to make their tables")


def _answers(api: str) -> bool:
    try:
        return httpx.get(f"{api}/healthz", timeout=10).is_success
    except httpx.TransportError:
        return False


def _await_first_commit(watch: Watch, topic: str) -> None:
    deadline = time.monotonic() + _HEALING
    while not any(watch.position((topic, number)) for number in range(6)):
        if time.monotonic() > deadline:
            raise TimeoutError("no projector has written anything")
        time.sleep(_POLL)


def _await_zero_lag(connection: psycopg.Connection[Any], log: list[LogRecord], projection: str) -> list[str]:
    """I11: every position comes to the end of its partition."""
    ends: dict[tuple[str, int], int] = {}
    for record in log:
        ends[record.topic, record.partition] = record.offset + 1
    deadline = time.monotonic() + _HEALING
    while True:
        held = {
            (topic, number): offset
            for name, topic, number, offset in connection.execute(SQL["positions"])
            if name == projection
        }
        behind = {
            partition: (held.get(partition), end) for partition, end in ends.items() if held.get(partition) != end
        }
        if not behind:
            return []
        if time.monotonic() > deadline:
            return [f"I11: the lag is still there {_HEALING:.0f} s after the last fault: {behind}"]
        time.sleep(_POLL)
