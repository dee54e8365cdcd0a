"""Connections to PostgreSQL: one that retries while the server is away, and reports that."""

from collections.abc import Callable
from datetime import timedelta
from typing import LiteralString, TypeVar

import psycopg
import structlog

from job_tracker.store.status import Status
from service_kit.clock import backoff
from service_kit.database import KEEPALIVES, watched
from service_kit.errors import Stopping

log = structlog.get_logger()
CHANNEL = "tracker_commit"
# A notification may be lost, so the server need not wait for its disk.
_NOTIFY: LiteralString = "BEGIN; SET LOCAL synchronous_commit TO off; NOTIFY tracker_commit; COMMIT"
SCHEMA = "tracker"
APPLICATION = "job-tracker"
LONGEST = timedelta(seconds=30)
"""The time limit of a transaction of a RetryingConnection; only a COPY whose client is silent can exceed it."""

# A paused process, or a machine that is gone, must not keep its locks from the next owner: PostgreSQL terminates a
# session that is idle in a transaction, whose transaction takes too long, or whose connection is dead.
_NOT_FOREVER = (
    f"-c idle_in_transaction_session_timeout=10s -c transaction_timeout={LONGEST.total_seconds():.0f}s {KEEPALIVES}"
)
_ENDED = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.TransactionTimeout,
)
Result = TypeVar("Result")
Cursor = psycopg.Cursor[tuple[object, ...]]
Connection = psycopg.Connection[tuple[object, ...]]

# SQLSTATE class 22 (data exception) and 23 (integrity), a text too long for an index, and what the driver refuses
# before sending.
DATA_ERRORS = (
    *(psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded),
    *(UnicodeError, OverflowError),
)


class RetryingConnection:
    """Owned by one thread. `wait` sleeps the given seconds and returns True as soon as the process is asked to end.

    `schema` is where unqualified tables are found; `session` is run by each new connection.
    """

    def __init__(
        self,
        database_url: str,
        status: Status,
        wait: Callable[[float], bool],
        *,
        schema: str = SCHEMA,
        session: LiteralString = "",
    ) -> None:
        self._database_url = database_url
        self._status = status
        self._wait = wait
        self._schema = schema
        self._session: LiteralString = session
        self._connection: Connection | None = None
        self.retries = 0

    def transact(self, work: Callable[[Cursor], Result], *, whole: bool = True) -> Result:
        """Run `work` in one transaction; again after serialisation failures, deadlocks and lost connections.

        `work` must be safe to run again after a commit whose reply was lost; the compare-and-set ensures that.
        `whole`: it cannot be divided, so it is also retried after a time-out.

        Raises:
            Stopping: the process is asked to end and PostgreSQL is still away.
            psycopg.errors.TransactionTimeout: it took too long, and is not `whole`.
            psycopg.Error: anything else, rolled back.
        """
        attempt = 0
        while True:
            try:
                connection = self._connected()
                with connection.transaction(), connection.cursor() as cursor:
                    result = work(cursor)
            except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected) as error:
                log.info("transaction retried", reason=type(error).__name__)
            except DATA_ERRORS:
                raise  # one of them is among those that end a connection in psycopg's order
            except _ENDED as error:
                self._away(error)
                if isinstance(error, psycopg.errors.TransactionTimeout) and not whole:
                    if self._wait(pause(1)):
                        raise Stopping from None
                    raise
            else:
                self._status.record_present("PostgreSQL")
                return result
            self.retries += 1
            attempt += 1
            if self._wait(pause(attempt)):
                raise Stopping

    def notify(self) -> None:
        """Wake the readers. A lost notification delays them by a second: they also poll."""
        try:
            self._connected().execute(_NOTIFY)
        except _ENDED as error:
            self._away(error)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            connection = connect(self._database_url, self._schema, _NOT_FOREVER)
            if self._session:
                connection.execute(self._session)
            self._connection = connection
        return self._connection

    def _away(self, error: Exception) -> None:
        self._status.record_away(
            "PostgreSQL", str(error).strip().splitlines()[0] if str(error) else type(error).__name__
        )
        self.close()


def connect(database_url: str, schema: str = SCHEMA, options: str = "") -> Connection:
    """An autocommit connection that finds its tables in `schema` and counts in UTC.

    NO_REQUEST_TIME has no representation in time zones ahead of UTC.
    """
    return psycopg.connect(
        watched(database_url),
        autocommit=True,
        options=f"-c timezone=UTC -c search_path={schema} {options}",
        application_name=APPLICATION,
    )


def pause(attempt: int) -> float:
    """Seconds to wait after failed try number `attempt` (from 1)."""
    return backoff(attempt, 0.05, 2.0)
