"""Chunk rows: the job's owner plans and polls them, agents score them. A message only refers to a row."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import msgspec
from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from matcher.domain.candidates import ChunkResult
from service_kit.sql_files import queries

_SQL = queries("matcher", "chunks.sql")


@dataclass(frozen=True, slots=True)
class ChunkState:
    """How far a job's chunks are.

    `scored`: records in finished chunks; `failure`: why one can never be finished; `overdue`: to be sent again.
    """

    total: int
    finished: int
    scored: int
    failure: str | None
    overdue: list[int]


@dataclass(frozen=True, slots=True)
class ChunkTask:
    """What an agent has to do: score the positions first..last, both counted. held: the job is paused."""

    job_type: str
    first_position: int
    last_position: int
    tries: int
    held: bool


def plan(conn: Connection, job_id: str, records: int, size: int, positions: Iterable[int] | None = None) -> list[int]:
    """Cut `records` positions into chunks of `size`; the numbers of those that hold one of `positions` (None: all)."""
    conn.execute(_SQL["drop_old"])
    wanted = None if positions is None else {position // size for position in positions}
    numbers = [number for number in range(-(-records // size)) if wanted is None or number in wanted]
    rows = [
        {"job_id": job_id, "chunk_no": number, "first": number * size, "last": min((number + 1) * size, records) - 1}
        for number in numbers
    ]
    with conn.cursor() as cursor:
        cursor.executemany(_SQL["insert"], rows)
    return numbers


def state(conn: Connection, job_id: str, overdue: timedelta) -> ChunkState:
    """How far the job's chunks are; overdue: time without a result after the first sending."""
    values = {"job_id": job_id, "overdue": overdue}
    with conn.cursor(row_factory=class_row(ChunkState)) as cursor:
        return cursor.execute(_SQL["state"], values).fetchone() or ChunkState(0, 0, 0, None, [])


def resend(conn: Connection, job_id: str, numbers: list[int]) -> list[int]:
    """Mark those of the chunks that are still open as sent now; their numbers."""
    rows = conn.execute(_SQL["resend"], {"job_id": job_id, "numbers": numbers}).fetchall()
    return sorted(number for (number,) in rows)


def results(conn: Connection, job_id: str) -> list[ChunkResult]:
    """The results of all chunks, in their order."""
    rows = conn.execute(_SQL["results"], {"job_id": job_id}).fetchall()
    return [msgspec.convert(result, ChunkResult) for (result,) in rows]


def begin(conn: Connection, job_id: str, chunk_no: int) -> ChunkTask | None:
    """Begin a chunk; None where it is finished or its job has ended, so that there is nothing to do."""
    with conn.cursor(row_factory=class_row(ChunkTask)) as cursor:
        return cursor.execute(_SQL["begin"], {"job_id": job_id, "chunk_no": chunk_no}).fetchone()


def put_back(conn: Connection, job_id: str, chunk_no: int) -> None:
    """Give a chunk back unscored: the owner sends it again as soon as the job goes on."""
    conn.execute(_SQL["put_back"], {"job_id": job_id, "chunk_no": chunk_no})


def all_of_version(conn: Connection, job_id: str, version: str) -> bool:
    """Whether code of this version has scored every chunk."""
    row = conn.execute(_SQL["all_of_version"], {"job_id": job_id, "version": version}).fetchone()
    return row is not None and row[0]


def write(conn: Connection, job_id: str, chunk_no: int, result: ChunkResult, agent: str, version: str) -> bool:
    """Write a result once; False where another agent had written it. version: of the code that scored it."""
    values = {
        "job_id": job_id,
        "chunk_no": chunk_no,
        "result": Jsonb(msgspec.to_builtins(result)),
        "agent": agent,
        "version": version,
    }
    return conn.execute(_SQL["write"], values).rowcount == 1


def fail(conn: Connection, job_id: str, chunk_no: int, failure: str, agent: str) -> None:
    """Note that the chunk cannot be scored; its job's owner ends the job."""
    conn.execute(_SQL["fail"], {"job_id": job_id, "chunk_no": chunk_no, "failure": failure, "agent": agent})
