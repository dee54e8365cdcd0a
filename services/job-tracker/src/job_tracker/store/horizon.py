"""The stored horizon: its rules, where it stands, and the deletion of the rows behind it."""

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import LiteralString, NamedTuple

from job_tracker.domain.horizon import NEVER, HorizonRule, Lateness
from job_tracker.log.records import TopicPartition
from job_tracker.store.job_statements import JOB_STATEMENTS
from job_tracker.store.postgres import Connection, connect
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "horizon.sql")
_LOCK_SWEEPS = queries("job_tracker.store", "retention.sql")["lock"]
_FORGOTTEN = _SQL["is_forgotten"]
_ROLL: LiteralString = _SQL["forgotten_changes"] + JOB_STATEMENTS["roll"]
_DELETE_OLDEST: LiteralString = (
    _SQL["delete_forgotten"].format(is_forgotten=_FORGOTTEN) + _ROLL + _SQL["deleted_of_oldest"]
)
_ANY_LEFT: LiteralString = _SQL["any_left"].format(is_forgotten=_FORGOTTEN)
_DELETE_OF_SHADOW: LiteralString = (
    _SQL["delete_forgotten_of_shadow"].format(is_forgotten=_FORGOTTEN) + _ROLL + _SQL["deleted"]
)
# Looked at in one transaction. The fewer, the more rollups change for each of them; the more, the longer projectors
# wait for the rollups.
ROWS = 10_000


class StoredHorizon(NamedTuple):
    """`ended_before`: a midnight in UTC, NEVER while there is no horizon. `swept`: no row behind it is left."""

    ended_before: datetime = NEVER
    swept: bool = True


def stored_rules(connection: Connection) -> tuple[HorizonRule, ...]:
    """All rules, sorted by time."""
    rows = connection.execute(_SQL["rules"]).fetchall()
    return tuple(HorizonRule(_utc(begins), int(str(days)), _utc(floor)) for begins, days, floor in rows)


def stored_lateness(connection: Connection) -> Lateness:
    """Which events change no row, by the stored rules alone."""
    return Lateness(stored_rules(connection))


def store_rule(connection: Connection, rule: HorizonRule) -> None:
    connection.execute(_SQL["insert_rule"], rule._asdict())


def stored_horizon(connection: Connection) -> StoredHorizon:
    """Where the horizon of the live table stands."""
    row = connection.execute(_SQL["horizon"]).fetchone()
    return StoredHorizon(_utc(row[0]), bool(row[1])) if row else StoredHorizon()


def move_horizon(connection: Connection, ended_before: datetime) -> None:
    """Move the horizon on; it never moves back."""
    connection.execute(_SQL["move_horizon"], {"ended_before": ended_before})


def unread_partitions(
    connection: Connection, projection: str, topics: Sequence[str], until: datetime
) -> list[TopicPartition]:
    """The partitions of which `projection` may not have read all that was appended before `until`."""
    wanted = {"projection": projection, "topics": list(topics), "until": until}
    rows = connection.execute(_SQL["unread"], wanted).fetchall()
    return [(str(topic), int(str(partition))) for topic, partition in rows]


def sweep_jobs(connection: Connection, rows: int = ROWS) -> Counter[str]:
    """Delete the rows behind the stored horizon, `rows` at a time, with their part of the rollups.

    `connection` commits each statement by itself. Nothing to do while no horizon is stored or none of it is left.
    """
    gone: Counter[str] = Counter()
    horizon = stored_horizon(connection)
    if horizon.swept:
        return gone
    behind = {"ended_before": horizon.ended_before, "rows": rows}
    place: tuple[object, object] = (NEVER, "")
    while (
        row := connection.execute(_DELETE_OLDEST, {**behind, "after_at": place[0], "after_id": place[1]}).fetchone()
    ) is not None:
        looked, deleted = int(str(row[0])), int(str(row[1]))
        gone["forgotten_jobs"] += deleted
        place = row[2], row[3]
        if looked < rows:
            break
    while (deleted := connection.execute(_SQL["delete_forgotten_tombstones"], behind).rowcount) > 0:
        gone["forgotten_tombstones"] += deleted
    while connection.execute(_SQL["delete_empty_rollups"], behind).rowcount > 0:
        pass
    swept = connection.execute(_ANY_LEFT, behind).fetchone() == (False,)  # false: some were in use
    connection.execute(_SQL["record_sweep"], {"swept": swept, "deleted": gone["forgotten_jobs"] > 0})
    return +gone


@contextmanager
def sweeps_locked(database_url: str) -> Generator[None]:
    """Wait for the end of a sweep, and let none begin."""
    with connect(database_url) as connection:
        connection.execute(_LOCK_SWEEPS)
        yield


def delete_forgotten_of_shadow(connection: Connection, ended_before: datetime, *, lossy: bool) -> int:
    """Delete from the shadow that `connection` finds what the live table has forgotten; how many rows."""
    row = connection.execute(_DELETE_OF_SHADOW, {"ended_before": ended_before, "lossy": lossy}).fetchone()
    return int(str(row[0])) if row else 0


def kept_jobs(connection: Connection, ended_before: datetime) -> frozenset[str]:
    """The jobs whose events from before the horizon a rebuild needs."""
    rows = connection.execute(_SQL["kept_jobs"], {"ended_before": ended_before}).fetchall()
    return frozenset(str(job_id) for (job_id,) in rows)


def _utc(moment: object) -> datetime:
    assert isinstance(moment, datetime)  # noqa: S101 - the column's type
    return moment.astimezone(UTC)
