"""Plans and intents: what a job will write, in fixed batches, and what a batch is about to send.

Both are stored as JSON under the names of the last release (STORED_MATCH_NAMES): its processes read them during an
upgrade, and this release reads what they have stored.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from psycopg import Connection
from psycopg.types.json import Jsonb

from job_events.events import ErrorInfo
from job_events.job_params import STORED_MATCH_NAMES
from service_kit.sql_files import queries
from syncer.domain.plan import Change, Decision
from syncer.store.rows import Scope

_SQL = queries("syncer", "plans.sql")
_KEYS: Final = UUID("7a1c9a36-5a50-5c1e-9a2f-2b6f4c1d8e05")
"""Namespace of idempotency keys."""


class Item(Struct, frozen=True, rename=STORED_MATCH_NAMES):
    """An item that seems to differ: its desired values and the changes expected.

    known: a sync had written it, or found it as it should be, before this job. about: what people are shown of it.
    wrote: what the job that is taken back wrote, field by field; empty unless this is a revert.
    """

    hub_id: str
    remote_id: str
    desired: dict[str, str]
    expected: tuple[Change, ...]
    known: bool = False
    about: dict[str, str] = {}
    wrote: dict[str, str] = {}


class Intended(Struct, frozen=True, rename=STORED_MATCH_NAMES):
    """What a batch decided for one item after reading it. refs: the channel's ids that the write needs.

    held: why its changes, `decision.write`, are not written until somebody confirms them. withheld: these changes in
    an intent as it is stored.
    """

    hub_id: str
    remote_id: str
    decision: Decision = Decision()
    refs: dict[str, str] = {}
    error: ErrorInfo | None = None
    held: str | None = None
    withheld: tuple[Change, ...] = ()

    @property
    def writes(self) -> tuple[Change, ...]:
        """The changes that are sent."""
        return () if self.held or self.error else self.decision.write


class FieldOutcome(Struct, frozen=True, rename=STORED_MATCH_NAMES):
    """How the write of one field ended; error None = written. ms: the channel's response time."""

    remote_id: str
    field: str
    error: ErrorInfo | None = None
    ms: int = 0


class Intent(Struct, frozen=True, rename={"ended": "settled"}):
    """Everything that a resumed attempt needs to repeat a batch with the same values.

    Step 1 writes `items`. Step 2 writes `again`: fields whose value in the channel had changed between reading and
    writing, read anew; `ended` then holds how all other fields of step 1 ended.
    """

    step: int
    items: tuple[Intended, ...]
    ended: tuple[FieldOutcome, ...] = ()
    again: tuple[Intended, ...] = ()


def idempotency_key(job_id: str, batch: int, step: int, content: object) -> str:
    """The key of one call of a batch: the same for the same content, also in another attempt or release.

    step: of the intent. job_id: the job's own id, also of a retry: its values were read anew, and a channel that knows
    the old key would repeat its old answer without writing them.
    """
    return str(uuid5(_KEYS, f"{job_id}/{batch}/{step}/{content}"))


class PlanWriter:
    """Writes a job's plan anew, in batches of `batch_size`, from the batch `first` on.

    A job with two kinds has a plan for each, the second behind the first.
    """

    def __init__(self, conn: Connection, platform: str, job_id: str, batch_size: int, first: int = 0) -> None:
        self._conn = conn
        self._platform = platform
        self._job_id = job_id
        self._batch_size = batch_size
        self._first = first
        self.count = 0
        conn.execute(_SQL["delete_plan"], {"job_id": job_id})

    def add(self, items: Sequence[Item]) -> None:
        """Append items behind those added before."""
        rows = [
            {
                "job_id": self._job_id,
                "position": self._first * self._batch_size + position,
                "batch": self._first + position // self._batch_size,
                "platform": self._platform,
                "hub_id": item.hub_id,
                "remote_id": item.remote_id,
                "content": Jsonb(msgspec.to_builtins(item)),
            }
            for position, item in enumerate(items, start=self.count)
        ]
        with self._conn.cursor() as cursor:
            cursor.executemany(_SQL["put_plan_item"], rows)
        self.count += len(items)

    @property
    def batches(self) -> int:
        """The number behind the last batch so far."""
        return self._first - (-self.count // self._batch_size)


def batch(conn: Connection, scope: Scope, job_id: str, number: int) -> list[Item]:
    """The items of one batch in their order."""
    rows = conn.execute(_SQL["batch"], scope.values(job_id=job_id, batch=number)).fetchall()
    return [msgspec.convert(content, Item) for (content,) in rows]


def put_intent(conn: Connection, job_id: str, number: int, intent: Intent) -> None:
    """Store what is about to be sent; a later step replaces an earlier one."""
    values = {"job_id": job_id, "batch": number, "step": intent.step, "content": Jsonb(stored_form(intent))}
    conn.execute(_SQL["put_intent"], values)


def intent(conn: Connection, job_id: str, number: int) -> Intent | None:
    """What an earlier attempt was about to send, None if it stored nothing."""
    row = conn.execute(_SQL["intent"], {"job_id": job_id, "batch": number}).fetchone()
    return None if row is None else read_intent(row[0])


def stored_form(intent: Intent) -> dict[str, Any]:
    """An intent as it is stored.

    A process of a release that holds nothing back may carry it out: there a held item has an error and nothing to
    write.
    """

    def hide(one: Intended) -> Intended:
        if one.held is None or one.error is not None:
            return one
        error = ErrorInfo("CHANGE_TOO_LARGE", "HELD", one.held[:4096])
        return replace(one, decision=replace(one.decision, write=()), withheld=one.decision.write, error=error)

    return msgspec.to_builtins(
        replace(intent, items=tuple(map(hide, intent.items)), again=tuple(map(hide, intent.again)))
    )


def read_intent(content: Any) -> Intent:
    """The intent behind its stored form, which a release that held nothing back may have written."""

    def show(one: Intended) -> Intended:
        if not one.withheld:
            return one
        return replace(one, decision=replace(one.decision, write=one.withheld), withheld=(), error=None)

    intent = msgspec.convert(content, Intent)
    return replace(intent, items=tuple(map(show, intent.items)), again=tuple(map(show, intent.again)))


def prune(conn: Connection, keep: timedelta, rows: int) -> int:
    """Delete up to `rows` plan rows and as many intents of jobs that ended longer ago than `keep`."""
    values = {"keep": keep, "rows": rows}
    return conn.execute(_SQL["prune_plans"], values).rowcount + conn.execute(_SQL["prune_intents"], values).rowcount
