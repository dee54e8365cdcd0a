"""Which queued row runs next.

1. Cancelled and crashed rows get their end, before anything else.
2. `account_queue` has one row per account with the turn of its first row that may run, and the number of rows that run.
   A claim locks the account whose turn it is; no other claim of that account can happen meanwhile.
3. It claims that row: the limits were compared behind the lock.
No statement reads rows that may not run (deferred, paused, held, kept, above a limit), so a claim costs the same
however many of those wait. Locks of others are passed over, never waited for.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, LiteralString

import msgspec
from psycopg import Connection
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from job_events.job_types import JOB_TYPES
from service_kit.sql_files import queries
from worker.eligibility import DEFAULT_POLICY, Eligibility, policy_of

_COLUMNS: LiteralString = (
    "i.job_id, i.request, i.attempt, i.cancel_requested, i.cursor, i.tally as counters, i.spent_ms, i.crashes,"
    " i.failures, i.suspect, i.tenant, i.account, i.job_type, i.chain, i.concurrency_key, i.concurrency_limit,"
    " i.deferrals, i.waited_ms"
)
SQL: dict[str, LiteralString] = {
    name: text.replace("{columns}", _COLUMNS) for name, text in queries("worker", "claims.sql").items()
}
_ROWS = 100  # rows woken, or given a key, by one statement


@dataclass(frozen=True, slots=True)
class Claim:
    """A row that this process may run until its lease ends.

    spent_ms: duration of earlier attempts.
    crashes, failures: attempts in a row that moved no checkpoint and crashed, or were refused by PostgreSQL for now.
    suspect: a process died while it ran this job.
    tenant, account, job_type, chain: describe the job where its request cannot be read.
    deferrals, waited_ms: attempts in a row that gave their thread back without a step, and how long they waited.
    """

    job_id: str
    request: str
    attempt: int
    cancel_requested: str | None
    cursor: Any
    counters: dict[str, Any] | None
    spent_ms: int
    crashes: int = 0
    failures: int = 0
    suspect: bool = False
    tenant: str = ""
    account: str = ""
    job_type: str = ""
    chain: str = ""
    concurrency_key: str | None = None
    concurrency_limit: int = 1
    deferrals: int = 0
    waited_ms: int = 0

    @property
    def only_ends(self) -> bool:
        """Whether no code of the job runs, because its result is already known."""
        return self.cancel_requested is not None or self.crashes >= policy_of(self.job_type).attempts

    @property
    def eligibility(self) -> Eligibility:
        """Under which the row was claimed."""
        return Eligibility(self.concurrency_key or self.job_type, self.concurrency_limit)


@dataclass(frozen=True, slots=True)
class Claimer:
    """A process that claims rows: its job types, the contract version that it reads, its lease and its limit."""

    owner: str
    job_types: list[str]
    version: str
    lease: timedelta
    per_account: int
    attempts: dict[str, int] = field(
        default_factory=lambda: {name: known.policy.attempts for name, known in JOB_TYPES.items()}
    )

    def values(self) -> dict[str, object]:
        return {
            "owner": self.owner,
            "job_types": self.job_types,
            "version": self.version,
            "lease": self.lease,
            "per_account": self.per_account,
            "attempts": Jsonb(self.attempts),
            "default_attempts": DEFAULT_POLICY.attempts,
        }


class _Stored(msgspec.Struct):
    """What is read of a request of an older release."""

    class Data(msgspec.Struct):
        params: dict[str, Any] = {}

    data: Data = msgspec.field(default_factory=Data)


def note_crashes(conn: Connection) -> list[tuple[str, int, int]]:
    """Requeue jobs whose lease expired, and count the crash of a job that ran alone.

    Returns job id, attempt and crashes in a row.
    """
    return conn.execute(SQL["note_crashes"]).fetchall()


def wake(conn: Connection) -> int:
    """Make deferred rows claimable whose time has come; returns how many."""
    return conn.execute(SQL["wake"], {"rows": _ROWS}).rowcount


def adopt(conn: Connection, version: str) -> int:
    """Make rows claimable that a process of another release has inserted or could not read; returns how many."""
    rows = conn.execute(SQL["unkeyed"], {"rows": _ROWS}).fetchall()
    for job_id, job_type, priority, request in rows:
        try:
            params = msgspec.json.decode(request, type=_Stored).data.params
        except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
            params = {}  # the claim ends such a job
        columns = Eligibility.of(job_type, params).columns(job_type, priority)
        conn.execute(SQL["set_key"], {**columns, "job_id": job_id, "version": version})
    return len(rows) + conn.execute(SQL["wake_kept"], {"version": version}).rowcount


def claim(conn: Connection, claimer: Claimer, *, only_ends: bool) -> Claim | None:
    """Claim the next job, if there is one; `only_ends`: only jobs whose result is already known."""
    values = claimer.values()
    with conn.cursor(row_factory=class_row(Claim)) as cursor:
        ending = cursor.execute(SQL["claim_end"], values).fetchone()
    if ending is not None or only_ends:
        return ending
    place: dict[str, object] = {"turn": "-infinity", "tenant": "", "account": ""}
    while True:
        with conn.cursor(row_factory=dict_row) as cursor:
            account = cursor.execute(SQL["lock_next_account"], {**values, **place}).fetchone()
        if account is None:
            return None
        place = account
        with conn.cursor(row_factory=class_row(Claim)) as cursor:
            found = cursor.execute(SQL["claim"], {**values, **place}).fetchone()
        if found is not None:
            return found
        # Only rows that another version can run, or that others hold at this moment.
