"""The inbox rows of a service. Every write of a running job names its attempt and lease owner; others are refused."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from psycopg import Connection, Cursor
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from job_events.envelope import encode_own, storable
from job_events.events import AnyEvent, Control, Event, Finished, JobInfo, Requested
from service_kit.sql_files import queries
from worker.deferral import Deferral
from worker.eligibility import PRIORITIES, Eligibility
from worker.errors import LeaseLost

SQL = queries("worker", "inbox.sql")


@dataclass(frozen=True, slots=True)
class Renewal:
    """The state of a row whose lease was renewed."""

    job_id: str
    attempt: int
    cancel_requested: str | None
    paused: bool


def insert_request(conn: Connection, event: Requested) -> bool:
    """Insert the request as a row; False if the job is known already."""
    row = _row(event)
    job_type = event.data.job.type
    eligibility = Eligibility.of(job_type, event.data.params)
    columns = eligibility.columns(job_type, PRIORITIES[event.data.priority])
    return conn.execute(SQL["insert"], {**row, **columns}).rowcount == 1


@dataclass(frozen=True, slots=True)
class Unread:
    """Why a request waits for another version than `version`."""

    reason: str
    version: str


def insert_kept(conn: Connection, event: Event, job: JobInfo, unread: Unread, value: bytes) -> bool:
    """Keep a request that this version cannot read, byte for byte; False if the job is known already."""
    try:
        request = value.decode()
    except UnicodeDecodeError:  # in a field that no version reads
        request = msgspec.json.encode(event).decode()
    params = event.data.params if isinstance(event, Requested) else {}
    priority = PRIORITIES[event.data.priority if isinstance(event, Requested) else "normal"]
    row = {
        "job_id": event.job_id,
        "tenant": event.tenant,
        "account": job.account,
        "job_type": job.type,
        "chain": event.correlationid,
        "priority": priority,
        "requested_at": event.time,
        "request": request,
        "reason": unread.reason[:512],
        "version": unread.version,
        **Eligibility.of(job.type, params).columns(job.type, priority),
    }
    return conn.execute(SQL["insert_kept"], row).rowcount == 1


def insert_ended(conn: Connection, event: Requested | Finished, outcome: str) -> bool:
    """Insert a job that ended before it could run, so that a replay does not end it again."""
    return conn.execute(SQL["insert_finished"], {**_row(event), "outcome": outcome}).rowcount == 1


def renew(conn: Connection, owner: str, job_ids: list[str], lease: timedelta) -> list[Renewal]:
    """Extend the leases of `job_ids`; a row that is missing in the result has another owner."""
    with conn.cursor(row_factory=class_row(Renewal)) as cursor:
        return cursor.execute(SQL["renew"], {"owner": owner, "job_ids": job_ids, "lease": lease}).fetchall()


@dataclass(frozen=True, slots=True)
class Guard:
    """The attempt that may write the row; a write of any other attempt raises LeaseLost."""

    job_id: str
    attempt: int
    owner: str

    def checkpoint(self, conn: Connection, cursor: Any, counters: Any, spent_ms: int) -> bool:
        """Move the checkpoint; returns whether this attempt has made progress by now."""
        values = {"cursor": Jsonb(cursor), "counters": Jsonb(storable(counters)), "spent_ms": spent_ms}
        ((stepped,),) = self._write(conn, "checkpoint", **values).fetchall()
        return stepped

    def finish(self, conn: Connection, outcome: str, counters: Any, spent_ms: int) -> None:
        self._write(conn, "finish", outcome=outcome, counters=Jsonb(storable(counters)), spent_ms=spent_ms)

    def release(self, conn: Connection, spent_ms: int, failures: int = 0, wait: timedelta = timedelta()) -> None:
        """Requeue the row; it is not claimed again before `wait` has passed."""
        self._write(conn, "release", spent_ms=spent_ms, failures=failures, wait=wait)

    def defer(self, conn: Connection, deferral: Deferral, counters: Any, spent_ms: int, failures: int) -> None:
        """Requeue the row until its wait is over; it says why it waits."""
        self._write(
            conn,
            "defer",
            counters=Jsonb(storable(counters)),
            spent_ms=spent_ms,
            failures=failures,
            wait=deferral.wait,
            reason=deferral.reason,
            waited_ms=deferral.waited_ms,
        )

    def correct(self, conn: Connection, eligibility: Eligibility) -> None:
        """Undo the claim: the row was under a key or limit that is not that of this version."""
        self._write(conn, "correct", concurrency_key=eligibility.key, concurrency_limit=eligibility.limit)

    def keep(self, conn: Connection, unread: Unread) -> None:
        """Undo the claim: the row waits for a version that can read its request."""
        self._write(conn, "keep", reason=unread.reason[:512], version=unread.version)

    def _write(self, conn: Connection, statement: str, **values: Any) -> Cursor[Any]:
        row = {"job_id": self.job_id, "attempt": self.attempt, "owner": self.owner, **values}
        written = conn.execute(SQL[statement], row)
        if written.rowcount != 1:
            raise LeaseLost(f"job {self.job_id}: attempt {self.attempt} is no longer this worker's")
        return written


def apply_control(conn: Connection, event: Control) -> bool:
    """Apply a control message once; False if it was applied before."""
    if conn.execute(SQL["see_control"], {"event_id": event.id}).rowcount == 0:
        return False
    verb = type(event).__name__.lower()
    data = event.data
    account = data.target.account or ""
    reason = data.reason or f"requested by {data.requested_by or 'an unknown user'}"
    match verb, data.target.kind:
        case "cancel", kind:
            values = {"job_id": event.job_id, "tenant": event.tenant, "account": account, "reason": reason}
            conn.execute(SQL[f"cancel_{kind}"], values)
            # Kept chain steps end with their job.
            conn.execute(SQL[f"drop_kept_{kind}"], values)
        case _, "job":
            conn.execute(SQL["pause_job"], {"job_id": event.job_id, "paused": verb == "pause"})
        case _, kind:
            scope = {"tenant": event.tenant, "account": account} if kind == "account" else {"tenant": "", "account": ""}
            values = {"kind": kind, **scope, "requested_by": data.requested_by, "reason": data.reason}
            conn.execute(SQL["pause_scope" if verb == "pause" else "resume_scope"], values)
    return True


def drop_kept(conn: Connection, job_id: str) -> None:
    """Delete the kept chain steps of unknown types that follow this job."""
    conn.execute(SQL["drop_kept_job"], {"job_id": job_id})


def put_event(conn: Connection, topic: str, key: str, event: AnyEvent) -> None:
    """Put an event into the outbox, in the transaction of its cause."""
    put_message(conn, topic, key, encode_own(event).decode())


def put_message(conn: Connection, topic: str, key: str | None, value: str) -> None:
    """Put a message into the outbox of the connection's schema; it is sent to Kafka after the commit."""
    conn.execute(SQL["put_outbox"], {"topic": topic, "key": key, "value": value})


def is_known(conn: Connection, job_id: str) -> bool:
    """Whether the job was ever requested from this service."""
    return conn.execute(SQL["find"], {"job_id": job_id}).fetchone() is not None


def read_request(text: str) -> Requested:
    """The request event of a row."""
    return msgspec.json.decode(text, type=Requested)


def _row(event: Event) -> dict[str, object]:
    data: Any = event.data  # pyright: ignore[reportAttributeAccessIssue]  # Requested or Finished, both describe the job
    time: datetime = event.time
    return {
        "job_id": event.job_id,
        "tenant": event.tenant,
        "account": data.job.account,
        "job_type": data.job.type,
        "chain": event.correlationid,
        "priority": PRIORITIES[getattr(data, "priority", "normal")],
        "requested_at": time,
        "request": msgspec.json.encode(event).decode(),
    }
