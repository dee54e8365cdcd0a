"""The stored candidates of each record of the hub, so that a run scores only what changed."""

from collections.abc import Collection, Iterable

import msgspec
from psycopg import Connection
from psycopg.types.json import Jsonb

from matcher.domain.candidates import Candidate
from matcher.store.snapshots import Scope
from service_kit.database import refresh_statistics
from service_kit.sql_files import queries

_SQL = queries("matcher", "candidate_lists.sql")
_MANY = 1000
"""Rows after which the planner must learn of them."""
_decoder = msgspec.json.Decoder(list[Candidate])


def scored(conn: Connection, scope: Scope, job_id: str) -> list[str]:
    """The records of the hub that the job has scored."""
    return [one for (one,) in conn.execute(_SQL["scored"], scope.values(job_id=job_id))]


def others(conn: Connection, scope: Scope, scored: Collection[str]) -> list[Candidate]:
    """The stored candidates of all other records of the hub."""
    rows = conn.execute(_SQL["others"], scope.values(scored=list(scored)))
    return [one for (text,) in rows for one in _decoder.decode(text)]


def replace(conn: Connection, scope: Scope, scored: Collection[str], candidates: Iterable[Candidate]) -> None:
    """Store the candidates of the records that were scored; those of records that are gone are deleted."""
    lists: dict[str, list[Candidate]] = {}
    for one in candidates:
        lists.setdefault(one.hub_id, []).append(one)
    conn.execute(_SQL["incoming_list"])
    with conn.cursor().copy("copy incoming_list (hub_id, remote_ids, candidates) from stdin") as copy:
        for hub_id, found in lists.items():
            copy.write_row((hub_id, [one.remote_id for one in found], Jsonb(msgspec.to_builtins(found))))
    values = scope.values(scored=list(scored))
    conn.execute(_SQL["delete_others"], values)
    if conn.execute(_SQL["put"], values).rowcount > _MANY:
        refresh_statistics(conn, "candidate_list")
