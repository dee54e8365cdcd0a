"""One turn of a scheduler in PostgreSQL: plan due schedules, decide their runs, send the requests of the runs.

Several schedulers may do the same at the same time: each locks the rows that it works on and skips those of others. A
row moves to its next state in the transaction that makes what the state says, so a kill at any point loses no run; and
the ids of jobs follow from the plan, so a request that is sent twice is one job.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString, NamedTuple, TypeVar

import msgspec
import structlog
from confluent_kafka import KafkaError, KafkaException, Message
from cronsim import CronSimError
from psycopg.rows import class_row

from job_events.chains import CHAINS
from job_events.envelope import HEADERS
from job_events.errors import InvalidRequest
from job_events.job_types import JOB_TYPES
from job_events.topics import Topics, request_key
from job_tracker.scheduler.planning import Decision, decide, jitter, looked_back, run_id
from job_tracker.scheduler.requests import run_requests, target_of
from job_tracker.scheduler.timing import Timing
from job_tracker.store.postgres import Cursor
from service_kit.kafka import ReconnectingProducer
from service_kit.sql_files import queries

log = structlog.get_logger()
_SQL = queries("job_tracker.store", "schedules.sql")
SCHEDULES, RUNS = 100, 500
"""Schedules and runs of one transaction at most."""
_PLANNING_SECONDS = 2.0  # of one transaction; the rest of its schedules is left to the next
RETRY = timedelta(seconds=5)
"""Between two looks at a run that waits for the one before it, and two tries to send a request."""
COMES_WITHIN = timedelta(hours=6)
"""A job of a run, or its next step, that is not in the job table for so long does not come any more."""
FLUSH_SECONDS = 6.0  # longer than a message may wait for its acknowledgement, shorter than a transaction may be idle
PAUSED = "the schedule is paused"
NO_ACCOUNT = "the tenant has no such account"
_ALL = ""  # the account of a run that was skipped before it was divided
_KNOWN = {"types": list(JOB_TYPES), "chains": list(CHAINS)}
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class DueSchedule:
    """A schedule whose next run is due."""

    schedule_id: str
    tenant: str
    account: str | None
    cron: str | None
    every_seconds: int | None
    timezone: str
    anchor: datetime
    jitter_seconds: int
    catch_up: Any
    catch_up_limit: int
    next_run_at: datetime

    @property
    def timing(self) -> Timing:
        return Timing(self.cron, self.every_seconds, self.timezone, self.anchor)

    def decisions(self, now: datetime) -> list[Decision]:
        """What becomes of its instants up to now."""
        due = self.timing.newest(self.next_run_at, now, looked_back(self.catch_up, self.catch_up_limit))
        return decide(due, now, self.catch_up, self.catch_up_limit)


class NewRun(NamedTuple):
    """A row of `tracker.schedule_run` as it is inserted."""

    schedule_id: str
    account: str
    planned_at: datetime
    state: str
    reason: str
    in_turn: bool
    not_before: datetime
    run_id: str


@dataclass(frozen=True, slots=True)
class WaitingRun:
    """A run to decide; busy_since: the instant of the run before it, if that one is still at work."""

    schedule_id: str
    account: str
    planned_at: datetime
    in_turn: bool
    run_id: str
    tenant: str
    job_type: str | None
    chain: str | None
    params: str
    paused: bool
    busy_since: datetime | None


@dataclass(frozen=True, slots=True)
class UnsentRun:
    """A run whose requests are not acknowledged."""

    schedule_id: str
    account: str
    planned_at: datetime
    tenant: str
    services: list[str]
    events: list[str]


def plan_runs(cursor: Cursor, now: datetime) -> int:
    """Divide the due instants of up to SCHEDULES schedules into runs, and move their next runs; how many there were."""
    due = _rows(cursor, DueSchedule, "lock_due", {"now": now, "limit": SCHEDULES, **_KNOWN})
    if not due:
        return 0
    accounts = _accounts(cursor, due)
    runs: list[NewRun] = []
    moved: list[tuple[str, datetime | None]] = []
    began = time.monotonic()
    for schedule in due:
        try:
            decisions, next_run = schedule.decisions(now), schedule.timing.next_after(now)
        except (InvalidRequest, CronSimError) as error:  # of a version that knows other zones or expressions
            log.error("schedule paused", schedule_id=schedule.schedule_id, reason=str(error))
            cursor.execute(
                _SQL["pause"], {"schedule_id": schedule.schedule_id, "reason": f"cannot be planned: {error}"}
            )
            continue
        for decision in decisions:
            runs += _divided(schedule, decision, accounts)
        moved.append((schedule.schedule_id, next_run))
        if time.monotonic() - began > _PLANNING_SECONDS:
            break
    if runs:
        columns = zip(*runs, strict=True)
        names = ("schedule_ids", "accounts", "planned_at", "states", "reasons", "in_turn", "not_before", "run_ids")
        cursor.execute(_SQL["insert_runs"], dict(zip(names, map(list, columns), strict=True)))
    ids, next_runs = [schedule_id for schedule_id, _ in moved], [next_run for _, next_run in moved]
    cursor.execute(_SQL["move_next_runs"], {"schedule_ids": ids, "next_runs": next_runs})
    for run in runs:
        if run.reason:
            log.warning(
                "run skipped", schedule_id=run.schedule_id, planned_at=run.planned_at.isoformat(), reason=run.reason
            )
    return len(due)


def decide_runs(cursor: Cursor, now: datetime) -> int:
    """Decide up to RUNS planned runs: each asks for its jobs, is skipped, or waits its turn; how many there were."""
    values = {"now": now, "limit": RUNS, "comes_within": COMES_WITHIN, **_KNOWN}
    waiting = _rows(cursor, WaitingRun, "lock_runs", values)
    postponed: list[WaitingRun] = []
    decided: list[dict[str, Any]] = []
    for run in waiting:
        if run.busy_since is not None and run.in_turn and not run.paused:
            postponed.append(run)
        else:
            decided.append(_decided(run, now))
    if decided:
        cursor.executemany(_SQL["decide_run"], decided)
    _postpone(cursor, postponed, now)
    return len(waiting)


def send_requests(cursor: Cursor, now: datetime, producer: ReconnectingProducer, topics: Topics) -> int:
    """Send the requests of up to RUNS runs and mark those that Kafka has acknowledged.

    Returns how many there were; 0 if Kafka does not acknowledge all, so that a turn waits for it once.
    """
    unsent = _rows(cursor, UnsentRun, "lock_requests", {"now": now, "limit": RUNS})
    reports = [_Reports(len(run.events)) for run in unsent]
    for run, report in zip(unsent, reports, strict=True):
        key = request_key(run.tenant, run.account)
        for service, event in zip(run.services, run.events, strict=True):
            try:
                producer.produce(
                    topics.requests(service), event.encode(), key, headers=HEADERS, on_delivery=report.delivered
                )
            except (KafkaException, BufferError) as error:
                report.reason = str(error)
    if unsent:
        producer.flush(FLUSH_SECONDS)
    sent = [run for run, report in zip(unsent, reports, strict=True) if report.missing == 0]
    late = [run for run, report in zip(unsent, reports, strict=True) if report.missing]
    if sent:
        cursor.execute(_SQL["mark_sent"], _keys(sent) | {"now": now})
    if late:
        reason = next(report.reason for report in reports if report.missing)
        log.warning("requests not acknowledged; sent again soon", runs=len(late), reason=reason)
        _postpone(cursor, late, now)
    return 0 if late else len(unsent)


def delete_old_runs(cursor: Cursor, before: datetime, rows: int) -> int:
    """Delete up to `rows` runs that were planned before this time and are over; how many."""
    return cursor.execute(_SQL["delete_old_runs"], {"before": before, "rows": rows}).rowcount


@dataclass(slots=True)
class _Reports:
    """How many messages of a run are not acknowledged, and why."""

    missing: int
    reason: str = "no delivery report"

    def delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self.missing -= 1
        else:
            self.reason = error.str()


def _divided(schedule: DueSchedule, decision: Decision, accounts: dict[str, list[str]]) -> Iterable[NewRun]:
    """The runs of an instant: one for each account."""
    there = accounts.get(schedule.tenant, [])

    def run(account: str, reason: str | None) -> NewRun:
        at = decision.planned_at
        start = at + jitter(schedule.schedule_id, account, at, schedule.jitter_seconds)
        state = "planned" if reason is None else "skipped"
        name = run_id(schedule.schedule_id, account, at)
        return NewRun(schedule.schedule_id, account, at, state, reason or "", decision.in_turn, start, name)

    if schedule.account is not None:
        reason = decision.skipped or (None if schedule.account in there else NO_ACCOUNT)
        return [run(schedule.account, reason)]
    return [run(_ALL, decision.skipped)] if decision.skipped else [run(account, None) for account in there]


def _accounts(cursor: Cursor, due: Sequence[DueSchedule]) -> dict[str, list[str]]:
    """The accounts that exist now, by tenant: all of those tenants, or the single ones that the schedules name."""
    found: dict[str, list[str]] = {}
    if cursor.execute("SELECT to_regclass('accounts.api_accounts')").fetchone() == (None,):
        return found  # no service that keeps accounts has ever started
    single = [(one.tenant, one.account) for one in due if one.account is not None]
    values = {
        "tenants": sorted({one.tenant for one in due if one.account is None}),
        "of_tenants": [tenant for tenant, _ in single],
        "accounts": [account for _, account in single],
    }
    for tenant, account in cursor.execute(_SQL["accounts"], values):
        found.setdefault(str(tenant), []).append(str(account))
    return found


def _decided(run: WaitingRun, now: datetime) -> dict[str, Any]:
    reason = ""
    if run.paused:
        reason = PAUSED
    elif run.busy_since is not None:
        reason = f"the run of {run.busy_since.isoformat()} is not finished"
    values: dict[str, Any] = {
        "schedule_id": run.schedule_id,
        "account": run.account,
        "planned_at": run.planned_at,
        "state": "skipped" if reason else "requested",
        "reason": reason,
        **{name: list[str]() for name in ("job_ids", "job_types", "services", "events")},
    }
    if reason:
        log.info("run skipped", schedule_id=run.schedule_id, account=run.account, reason=reason)
        return values
    made = run_requests(
        schedule_id=run.schedule_id,
        run_id=run.run_id,
        tenant=run.tenant,
        account=run.account,
        target=target_of(run.job_type, run.chain, msgspec.json.decode(run.params)),
        planned_at=run.planned_at,
        now=now,
    )
    lists = {"job_ids": made.job_ids, "job_types": made.job_types, "services": made.services, "events": made.events}
    return values | lists


def _postpone(cursor: Cursor, runs: Sequence[WaitingRun | UnsentRun], now: datetime) -> None:
    if runs:
        cursor.execute(_SQL["postpone_runs"], _keys(runs) | {"not_before": now + RETRY})


def _keys(runs: Sequence[WaitingRun | UnsentRun]) -> dict[str, list[Any]]:
    return {
        "schedule_ids": [run.schedule_id for run in runs],
        "accounts": [run.account for run in runs],
        "planned_at": [run.planned_at for run in runs],
    }


def _rows(cursor: Cursor, kind: type[Row], statement: LiteralString, values: dict[str, Any]) -> list[Row]:
    with cursor.connection.cursor(row_factory=class_row(kind)) as rows:
        return rows.execute(_SQL[statement], values).fetchall()
