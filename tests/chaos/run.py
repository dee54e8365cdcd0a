"""One phase: faults by schedule while producers send, then healing, then the verdict."""

import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from tests.answers import answers
from tests.chaos import checker, history
from tests.chaos.driver import Driver
from tests.chaos.faults import FAULTS, World
from tests.chaos.ledger import Ledger
from tests.chaos.log import read_log
from tests.chaos.members import Fleet, environment
from tests.chaos.oracle import LogRecord
from tests.chaos.phases import Phase
from tests.chaos.projections import ITEMS, JOBS, PROJECTIONS, TOPICS, Projection
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
    watch = Watch(direct)
    world = World(servers, fleet, driver, watch, prefix, points=dict.fromkeys(phase.points, 0))
    result = Result(phase.name)
    projections = [projection.under(prefix) for projection in PROJECTIONS]
    try:
        fleet.start({**{projection.part: phase.members for projection in projections}, "api": 1})
        _install(direct)
        watch.start()
        watch.read_through(f"http://127.0.0.1:{api_port}", [f"tame-p0-{number}" for number in range(1, 30)])
        driver.start()
        _await_first_commit(watch, f"{prefix}jobs.events")
        schedule = phase.schedule(seed)
        for step in schedule:
            time.sleep(step.wait)
            say(step.fault)
            FAULTS[step.fault](world, random.Random(step.seed))  # noqa: S311 - reproducible, not secret
        driver.finish()
        healed = time.monotonic()
        servers.wait_postgres()
        log = read_log(servers.bootstrap_servers, [prefix + name for name in TOPICS])
        with open_connection(direct) as connection:
            result.violations += _await_zero_lag(connection, log, projections)
            result.zero_lag = time.monotonic() - healed
            rows, items = checker.table(connection, JOBS), checker.table(connection, ITEMS)
            graves = checker.dead_letters(connection)
            # After a short phase on a loaded machine it may still be starting.
            wait_for(lambda: answers(f"http://127.0.0.1:{api_port}/healthz"), "the API to answer")
            result.violations += checker.check_list(f"http://127.0.0.1:{api_port}", rows)
        watch.stop()
        fleet.close()
        with open_connection(direct) as connection:
            result.violations += checker.check_tables(connection, log, projections)
            result.violations += checker.open_sessions(connection)
    finally:
        watch.stop()
        fleet.kill_all()
    result.violations += checker.check_ledger(ledger.acknowledged, log, prefix, rows)
    result.violations += [*watch.troubles, *fleet.troubles, *world.troubles]
    result.refused = sum(fleet.refused_batches(projection.part) for projection in projections)
    result.violations += [
        f"I8: no batch of a zombie of the part {part} was refused, so nothing was shown"
        for part in phase.must_refuse
        if fleet.refused_batches(part) == 0
    ]
    result.kills, result.faults = world.killed, len(schedule)
    result.points = world.points
    result.acknowledged, result.unknown = len(ledger.acknowledged), ledger.unknown
    result.duplicates = checker.duplicates(log)
    result.recoveries = watch.recoveries(fleet.deaths)
    history.save(
        folder,
        schedule=schedule,
        ledger=ledger.entries,
        log=log,
        tables={
            "table": [{"job_id": job_id, **row} for job_id, row in rows.items()],
            "items": [{"event_id": event_id, **row} for event_id, row in items.items()],
            "dead-letters": [{**place._asdict(), **row} for place, row in graves.items()],
        },
        violations=result.violations,
    )
    return result


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
    deadline = time.monotonic() + _HEALING
    while not any(watch.position((topic, number)) for number in range(6)):
        if time.monotonic() > deadline:
            raise TimeoutError("no projector has written anything")
        time.sleep(_POLL)


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
