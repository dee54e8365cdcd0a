"""A shadow takes the place of the live tables while projectors write and readers read.

One transaction:

1. keep vacuum off the tables, old and new; readers and writers go on.
2. lock the positions. Every projector compares and sets them first, so all of them wait here.
3. the shadow catches up to those positions, in transactions of its own.
4. wait until no transaction is left that began before that: it would find the new tables half empty.
5. lock the tables. If a projector has begun a partition meanwhile, which no lock prevents, unlock them and go to 2.
6. exchange the tables, recreate dependent objects, copy the positions, commit. The projectors go on from there.

Readers keep their tables to the end of a transaction; the next one finds the new ones, complete. Names of tables,
indexes and constraints are the same as before, and so is everything that other migrations rely on.
"""

import time
from collections.abc import Callable, Collection, Mapping
from datetime import datetime

import psycopg
from psycopg import sql

from job_tracker.errors import SwapBlocked, TrackerError
from job_tracker.log.records import TopicPartition
from job_tracker.rebuild import preserve_ddl
from job_tracker.rebuild.shadow import DEFAULT_DAY, REPLACED
from job_tracker.store.offsets import LivePosition, delete_ends, live_positions, lock_positions
from job_tracker.store.postgres import SCHEMA as LIVE
from job_tracker.store.postgres import Connection
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "shadow.sql")
_OLD = "tracker_replaced"
_TIMEOUT = 60.0  # seconds to wait for transactions of others, while the projectors wait for us
_LOOK = 0.05
# Readers lock tables in any order. A wait shorter than deadlock_timeout never becomes a deadlock.
_SHORT_LOCK_TIMEOUT = "SET LOCAL lock_timeout TO '200ms'"
# No reader's lock stands in the way of the rest. But PostgreSQL may be vacuuming a table, and gives way only to those
# who wait for a second.
_LONG_LOCK_TIMEOUT = f"SET LOCAL lock_timeout TO '{_TIMEOUT:.0f}s'"


class _NewPartition(TrackerError):
    """A projector has begun a partition that the shadow does not know."""


def refuse_blockers(connection: Connection) -> None:
    """Refuse a swap that would drop dependent objects which cannot be preserved.

    Raises:
        SwapBlocked
    """
    if found := preserve_ddl.blockers(connection):
        raise SwapBlocked(
            f"a swap would drop what stands on the tables that it replaces: {', '.join(found)}; "
            "drop it, swap, and make it again"
        )


class Swap:
    """Exchanges the shadow `shadow` for the live tables of `projection`.

    `connection` commits by itself and does nothing else; `watch` is another one, on which other sessions are seen.
    """

    def __init__(self, connection: Connection, watch: Connection, shadow: str, projection: str) -> None:
        self._connection = connection
        self._watch = watch
        self._shadow = shadow
        self._projection = projection

    def run(
        self,
        topics: list[str],
        detached: Collection[TopicPartition],
        catch_up: Callable[[Mapping[TopicPartition, LivePosition]], None],
        dead_letters_since: datetime,
    ) -> None:
        """`catch_up` brings the shadow to the given positions while the projectors wait; `detached` are the partitions
        whose live positions it does not follow. Retention has deleted dead letters of before `dead_letters_since`.

        Raises:
            SwapBlocked
        """
        with self._connection.transaction():
            self._connection.execute(_SQL["lock_days"])
            self._block_vacuum()
            while True:
                held = lock_positions(self._connection, self._projection)
                catch_up(held)
                self._wait_for_older_readers()
                if self._lock_tables(held):
                    break
            try:
                self._exchange(topics, detached, dead_letters_since)
            except (psycopg.ProgrammingError, psycopg.NotSupportedError) as error:
                raise SwapBlocked(f"PostgreSQL refuses to exchange the tables: {error}") from None
        drop_replaced(self._connection)

    def _exchange(self, topics: list[str], detached: Collection[TopicPartition], dead_letters_since: datetime) -> None:
        refuse_blockers(self._connection)
        dependents = preserve_ddl.dependents(self._connection)
        self._run("CREATE SCHEMA {old}")
        for source, target in ((LIVE, _OLD), (self._shadow, LIVE)):
            for table in (*REPLACED, *self._day_tables(source)):
                self._run(
                    "ALTER TABLE {source}.{table} SET SCHEMA {target}",
                    source=sql.Identifier(source),
                    table=sql.Identifier(table),
                    target=sql.Identifier(target),
                )
        preserve_ddl.grants(self._connection, _OLD)
        for statement in dependents:
            self._connection.execute(statement)
        self._connection.execute(_SQL["delete_dead_letters"], {"topics": topics})
        self._connection.execute(_SQL["copy_dead_letters"], {"since": dead_letters_since})
        self._connection.execute(_SQL["delete_positions"], {"projection": self._projection})
        self._connection.execute(_SQL["copy_positions"])
        self._connection.execute(_SQL["copy_earlier"])
        delete_ends(self._connection, detached)

    def _wait_for_older_readers(self) -> None:
        """Transactions that hold a snapshot from before the shadow's last commit would read a part of it only."""
        (since,) = self._watch.execute("SELECT clock_timestamp()").fetchone() or (None,)
        until = time.monotonic() + _TIMEOUT
        wanted = {"since": since, "own": self._connection.info.backend_pid}
        while readers := self._watch.execute(_SQL["older_readers"], wanted).fetchall():
            if time.monotonic() > until:
                pid, name, begun = readers[0]
                raise SwapBlocked(
                    f"a transaction of {name or 'an unnamed program'} (process {pid}) has been reading since {begun}; "
                    "end it, or swap when it is done"
                )
            time.sleep(_LOOK)

    def _block_vacuum(self) -> None:
        self._run(_LONG_LOCK_TIMEOUT)
        try:
            self._run("LOCK TABLE {live}.job, {live}.rollup, {live}.event IN SHARE UPDATE EXCLUSIVE MODE")
            # Of the shadow the large ones: catching up may empty the rollups, and divide the history's default table.
            for table in ("job", *self._day_tables(self._shadow)):
                if table != DEFAULT_DAY:
                    self._run(
                        "LOCK TABLE {shadow}.{table} IN SHARE UPDATE EXCLUSIVE MODE",
                        shadow=sql.Identifier(self._shadow),
                        table=sql.Identifier(table),
                    )
        except psycopg.errors.LockNotAvailable:
            raise SwapBlocked(
                f"somebody vacuums, analyzes or indexes the job table for more than {_TIMEOUT:.0f} s; try again when "
                "that is done"
            ) from None
        self._run("SET LOCAL lock_timeout TO DEFAULT")  # the positions are waited for as long as it takes

    def _lock_tables(self, held: Mapping[TopicPartition, LivePosition]) -> bool:
        """Whether the positions are still the ones that are held; if not, nothing is locked."""
        until = time.monotonic() + _TIMEOUT
        while True:
            try:
                with self._connection.transaction():  # a savepoint: what it has locked is free when it fails
                    self._run(_SHORT_LOCK_TIMEOUT)
                    self._run("LOCK TABLE {live}.job, {live}.rollup, {live}.event IN ACCESS EXCLUSIVE MODE")
                    self._run(_LONG_LOCK_TIMEOUT)
                    if live_positions(self._connection, self._projection) != held:
                        raise _NewPartition
                    return True
            except _NewPartition:
                return False
            except psycopg.errors.LockNotAvailable:
                if time.monotonic() > until:
                    raise SwapBlocked(
                        f"others kept the job table busy for {_TIMEOUT:.0f} s; try again when they are done"
                    ) from None
            time.sleep(_LOOK)

    def _day_tables(self, schema: str) -> list[str]:
        days = self._connection.execute(_SQL["day_tables"], {"table": f"{schema}.event"}).fetchall()
        return [str(day) for (day,) in days]

    def _run(self, statement: str, **names: sql.Composable) -> None:
        _execute(self._connection, statement, **names)


def drop_replaced(connection: Connection) -> None:
    """Drop the tables that were replaced, now or by a run that was killed before it dropped them.

    Without CASCADE: dependent objects were preserved, or the swap was refused.
    """
    _execute(connection, "DROP TABLE IF EXISTS {old}.job, {old}.rollup, {old}.event")
    _execute(connection, "DROP SCHEMA IF EXISTS {old}")


def _execute(connection: Connection, statement: str, **names: sql.Composable) -> None:
    text = sql.SQL(statement)  # pyright: ignore[reportArgumentType] - written in this module
    connection.execute(text.format(live=sql.Identifier(LIVE), old=sql.Identifier(_OLD), **names))
