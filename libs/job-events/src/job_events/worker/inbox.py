"""The inbox rows of a service. Every write of a running job is guarded by (attempt, lease owner)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from job_events.envelope import carried, encode_own
from job_events.errors import LeaseLost
from job_events.events import AnyEvent, Control, Event, Finished, Requested
from job_events.sql_files import queries

SQL = queries("job_events.worker", "inbox.sql")
PRIORITIES = {"low": 0, "normal": 1, "high": 2, "urgent": 3}


@dataclass(frozen=True, slots=True)
class Claim:
    """A row this process may run until its lease ends. `spent_ms`: earlier attempts' spans, milliseconds."""

    job_id: str
    request: str
    attempt: int
    cancel_requested: str | None
    cursor: Any
    tally: dict[str, Any] | None
    spent_ms: int


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a renewed lease tells of its row."""

    job_id: str
    attempt: int
    cancel_requested: str | None
    paused: bool


def insert_request(conn: Connection, event: Requested) -> bool:
    """Make the request a row; False where the job was known already."""
    return conn.execute(SQL["insert"], _row(event)).rowcount == 1


def insert_ended(conn: Connection, event: Requested | Finished, outcome: str) -> bool:
    """Note a job that ended before it could run, so that a replay does not end it again."""
    return conn.execute(SQL["insert_finished"], {**_row(event), "outcome": outcome}).rowcount == 1


def claim(conn: Connection, owner: str, job_types: list[str], lease: timedelta, per_account: int) -> Claim | None:
    """Take the next job, or nothing. Claims of one service queue up, so that the limits hold exactly."""
    conn.execute(SQL["lock_claims"])
    with conn.cursor(row_factory=class_row(Claim)) as cursor:
        values = {"owner": owner, "job_types": job_types, "lease": lease, "per_account": per_account}
        return cursor.execute(SQL["claim"], values).fetchone()


def renew(conn: Connection, owner: str, job_ids: list[str], lease: timedelta) -> list[Renewal]:
    """Extend the leases of `job_ids`; a row that is missing from the answer is no longer this owner's."""
    with conn.cursor(row_factory=class_row(Renewal)) as cursor:
        return cursor.execute(SQL["renew"], {"owner": owner, "job_ids": job_ids, "lease": lease}).fetchall()


@dataclass(frozen=True, slots=True)
class Guard:
    """Names the attempt that may write; any other owner's write is refused with LeaseLost."""

    job_id: str
    attempt: int
    owner: str

    def checkpoint(self, conn: Connection, cursor: Any, tally: Any, spent_ms: int) -> None:
        self._write(conn, "checkpoint", cursor=Jsonb(cursor), tally=Jsonb(carried(tally)), spent_ms=spent_ms)

    def finish(self, conn: Connection, outcome: str, tally: Any, spent_ms: int) -> None:
        self._write(conn, "finish", outcome=outcome, tally=Jsonb(carried(tally)), spent_ms=spent_ms)

    def release(self, conn: Connection, spent_ms: int) -> None:
        self._write(conn, "release", spent_ms=spent_ms)

    def _write(self, conn: Connection, statement: str, **values: Any) -> None:
        row = {"job_id": self.job_id, "attempt": self.attempt, "owner": self.owner, **values}
        if conn.execute(SQL[statement], row).rowcount != 1:
            raise LeaseLost(f"job {self.job_id}: attempt {self.attempt} is no longer this worker's")


def obey(conn: Connection, event: Control) -> bool:
    """Carry out a control message once; False where it was obeyed before or nothing was there to obey it."""
    if conn.execute(SQL["see_control"], {"event_id": event.id}).rowcount == 0:
        return False
    verb = type(event).__name__.lower()
    data = event.data
    account = data.target.account or ""
    reason = data.reason or f"asked for by {data.requested_by or 'somebody'}"
    match verb, data.target.kind:
        case "cancel", "job":
            conn.execute(SQL["cancel_job"], {"job_id": event.job_id, "reason": reason})
        case "cancel", "account":
            conn.execute(SQL["cancel_account"], {"tenant": event.tenant, "account": account, "reason": reason})
        case "cancel", _:
            conn.execute(SQL["cancel_queue"], {"reason": reason})
        case _, "job":
            conn.execute(SQL["pause_job"], {"job_id": event.job_id, "paused": verb == "pause"})
        case _, kind:
            whose = {"tenant": event.tenant, "account": account} if kind == "account" else {"tenant": "", "account": ""}
            values = {"kind": kind, **whose, "requested_by": data.requested_by, "reason": data.reason}
            conn.execute(SQL["hold" if verb == "pause" else "unhold"], values)
    return True


def put_event(conn: Connection, topic: str, key: str, event: AnyEvent) -> None:
    """Promise an event to Kafka in the same transaction as its cause."""
    conn.execute(SQL["put_outbox"], {"topic": topic, "key": key, "value": encode_own(event).decode()})


def is_known(conn: Connection, job_id: str) -> bool:
    """Whether the job was ever requested here."""
    return conn.execute(SQL["find"], {"job_id": job_id}).fetchone() is not None


def read_request(text: str) -> Requested:
    """The request event kept in a row."""
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
