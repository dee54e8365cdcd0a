"""Plans what an automatic match scores: everything, or only what changed since the stored candidates were made.

The candidates of customers depend on keys alone, so a change concerns the customers that share a key with it. Those of
products depend on the names of the whole catalogue (rare words weigh more than common ones), so a product that comes,
goes or changes its name concerns all of them, while a changed code or brand concerns those that share a code with it
or have it as a candidate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from psycopg import Connection

from job_events.job_params import MatchParams
from matcher.store import chunks, known_records, snapshots
from matcher.store.known_records import Catalogue
from matcher.store.snapshots import Scope
from matcher.versions import scoring_version
from worker.errors import JobFailed

MOST = 0.2
"""Share of changed records above which everything is scored: to look up what they concern would cost as much."""


class Cursor(Struct, frozen=True, omit_defaults=True):
    """The cursor of a planned match. generation, time: of the catalogue as read; everything: all records are scored.

    A job that a release before this one planned has neither: its candidates are not stored.
    """

    step: str
    generation: int | None = None
    time: datetime | None = None
    everything: bool = True


@dataclass(frozen=True, slots=True)
class ScoringPlan:
    """What is scored. numbers: of the chunks; metadata: what the job says of it."""

    catalogue: Catalogue
    cursor: Cursor
    numbers: list[int]
    metadata: dict[str, Any]


def plan_scoring(
    conn: Connection,
    scope: Scope,
    job_id: str,
    params: MatchParams,
    settings: str,
    *,
    chunk_size: int,
    check: Callable[[], None],
) -> ScoringPlan:
    """Read the catalogue, and store the snapshot and the chunks of what must be scored.

    settings: under which the match decides; another run's means that everything is scored. check: as `read_catalogue`
    calls it.

    Raises:
        JobFailed: `since` is no time.
        psycopg.errors.UndefinedTable, InvalidSchemaName: the puller has never run on this database.
    """
    snapshots.drop_finished(conn)
    since = _since(params.since)
    catalogue = known_records.read_catalogue(conn, scope, scoring_version(), check)
    metadata: dict[str, Any] = {}
    everything = True
    if params.since is not None or params.only:
        asked = None if params.since is None else settings
        changed, reason = _why_everything(conn, scope, catalogue, since, asked)
        everything = reason is not None
        metadata = {"changed": changed, "fullRun": everything} | ({"fullRunReason": reason} if reason else {})
    if everything:
        known_records.take_all(conn, scope, job_id)
        numbers = chunks.plan(conn, job_id, catalogue.of_hub, chunk_size)
    else:
        numbers = _plan_affected(conn, scope, job_id, catalogue, chunk_size)
    cursor = Cursor("scoring", catalogue.generation, catalogue.time, everything)
    return ScoringPlan(catalogue, cursor, numbers, metadata)


def _why_everything(
    conn: Connection, scope: Scope, catalogue: Catalogue, since: datetime | None, settings: str | None
) -> tuple[int, str | None]:
    """How many records changed, and why everything must be scored although only changes were asked for."""
    memory = known_records.memory(conn, scope)
    everything = catalogue.of_hub + catalogue.of_channel
    if memory.snapshot_at is None:
        return everything, "no match has run before"
    if memory.version != scoring_version():
        return everything, "the last match ran with other rules"
    if settings is not None and memory.settings != settings:
        return everything, "the settings changed since the last match"
    changed, names = known_records.note_changes(conn, scope, None if since and since >= memory.snapshot_at else since)
    if names and scope.kind == "product":
        return changed, f"{names} products came, went or changed their names, on which all scores of names depend"
    if changed > max(1, everything * MOST) and changed > 100:
        return changed, f"{changed} of {everything} records changed"
    return changed, None


def _plan_affected(conn: Connection, scope: Scope, job_id: str, catalogue: Catalogue, chunk_size: int) -> list[int]:
    known_records.note_affected(conn, scope)
    if scope.kind == "customer":
        size = known_records.take_affected(conn, scope, job_id)
        return chunks.plan(conn, job_id, size, chunk_size)
    positions = known_records.affected_positions(conn, scope)
    if positions:
        known_records.take_all(conn, scope, job_id)
    return chunks.plan(conn, job_id, catalogue.of_hub, chunk_size, positions)


def _since(text: str | None) -> datetime | None:
    if text is None or text == "last":
        return None
    try:
        time = datetime.fromisoformat(text.upper())
    except ValueError as error:
        raise JobFailed("VALIDATION_FAILED", "NO_TIME", f"params.since: {text!r} is no time ({error})") from None
    return time.astimezone(UTC)
