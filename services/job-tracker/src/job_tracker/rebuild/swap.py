"""A shadow takes the place of the live tables while projectors write and readers read.

One transaction:

1. lock the positions. Every projector compares and sets them first, so all of them wait here.
2. the shadow catches up to those positions, in transactions of its own.
3. wait until no transaction is left that began before that: it would find the new tables half empty.
4. exchange the tables, carry the positions over, commit. The projectors go on from the same positions.

Readers keep their tables while they hold them; the next statement finds the new ones, complete. Names of tables,
indexes and constraints are the same as before, and so is everything that other migrations rely on.
"""

import time
from collections.abc import Callable, Mapping

import psycopg
from psycopg import sql

from job_events.sql_files import queries
from job_tracker.projector.postgres import SCHEMA as LIVE
from job_tracker.projector.records import Connection, TopicPartition
from job_tracker.rebuild.plan import Live
from job_tracker.rebuild.shadow import REPLACED, as_positions

_SQL = queries("job_tracker", "shadow.sql")
_OLD = "tracker_replaced"
_PATIENCE = 60.0  # seconds to wait for transactions of others, while the projectors wait for us
_LOOK = 0.05
# Readers lock tables in any order. Who waits for less than a deadlock takes to be noticed never becomes one.
_BRIEFLY = "SET LOCAL lock_timeout TO '200ms'"
# What comes after needs no reader's lock. But PostgreSQL may be vacuuming the shadow, and takes a second to give way.
_PATIENTLY = f"SET LOCAL lock_timeout TO '{_PATIENCE:.0f}s'"


class SwapHindered(Exception):
    """A transaction of somebody else stands in the way; the live table is as it was."""


class Swap:
    """Exchanges the shadow `shadow` for the live tables of `projection`.

    `connection` commits by itself and does nothing else; `watch` is another one, on which other sessions are seen.
    """

    def __init__(self, connection: Connection, watch: Connection, shadow: str, projection: str) -> None:
        self._connection = connection
        self._watch = watch
        self._shadow = shadow
        self._projection = projection

    def run(self, topics: list[str], catch_up: Callable[[Mapping[TopicPartition, Live]], None]) -> None:
        """`catch_up` brings the shadow to the given positions while the projectors wait.

        Raises:
            SwapHindered
        """
        with self._connection.transaction():
            self._connection.execute(_SQL["hold_days"])
            held = self._connection.execute(_SQL["hold_projectors"], {"projection": self._projection}).fetchall()
            catch_up(as_positions(held))
            self._wait_for_older_readers()
            self._lock_tables()
            self._exchange(topics)
        self.drop_replaced()

    def drop_replaced(self) -> None:
        """Forget the tables that were replaced, now or by a run that was killed just then."""
        self._run("DROP SCHEMA IF EXISTS {old} CASCADE")

    def _exchange(self, topics: list[str]) -> None:
        live = [f"{LIVE}.{table}" for table in REPLACED]
        views = self._connection.execute(_SQL["dependents"], {"tables": live}).fetchall()
        self._run("CREATE SCHEMA {old}")
        for source, target in ((LIVE, _OLD), (self._shadow, LIVE)):
            days = self._connection.execute(_SQL["day_tables"], {"table": f"{source}.event"}).fetchall()
            for table in (*REPLACED, *(str(day) for (day,) in days)):
                self._run(
                    "ALTER TABLE {source}.{table} SET SCHEMA {target}",
                    source=sql.Identifier(source),
                    table=sql.Identifier(table),
                    target=sql.Identifier(target),
                )
        for name, definition in views:
            # Written down before the exchange, so the old names now mean the new tables.
            self._connection.execute(sql.SQL(f"CREATE OR REPLACE VIEW {name} AS {definition}"))  # pyright: ignore[reportArgumentType] - from the catalogue
        self._connection.execute(_SQL["unbury"], {"topics": topics})
        self._connection.execute(_SQL["bury_new"])
        self._connection.execute(_SQL["carry_positions"])

    def _wait_for_older_readers(self) -> None:
        """Transactions that hold a snapshot from before the shadow's last commit would read a part of it only."""
        (since,) = self._watch.execute("SELECT clock_timestamp()").fetchone() or (None,)
        until = time.monotonic() + _PATIENCE
        wanted = {"since": since, "own": self._connection.info.backend_pid}
        while readers := self._watch.execute(_SQL["older_readers"], wanted).fetchall():
            if time.monotonic() > until:
                pid, name, begun = readers[0]
                raise SwapHindered(
                    f"a transaction of {name or 'an unnamed program'} (process {pid}) has been reading since {begun}; "
                    "end it, or swap when it is done"
                )
            time.sleep(_LOOK)

    def _lock_tables(self) -> None:
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                with self._connection.transaction():  # a savepoint: what it has locked is free when it fails
                    self._run(_BRIEFLY)
                    self._run("LOCK TABLE {live}.job, {live}.rollup, {live}.event IN ACCESS EXCLUSIVE MODE")
                    self._run(_PATIENTLY)
                    return
            except psycopg.errors.LockNotAvailable:
                if time.monotonic() > until:
                    raise SwapHindered(
                        f"others kept the job table busy for {_PATIENCE:.0f} s; try again when they are done"
                    ) from None
            time.sleep(_LOOK)

    def _run(self, statement: str, **names: sql.Composable) -> None:
        text = sql.SQL(statement)  # pyright: ignore[reportArgumentType] - written in this module
        self._connection.execute(text.format(live=sql.Identifier(LIVE), old=sql.Identifier(_OLD), **names))
