"""One connection to PostgreSQL that waits while the server is away, and says so."""

from collections.abc import Callable
from datetime import timedelta
from typing import LiteralString, TypeVar

import psycopg
import structlog

from job_tracker.errors import Stopped
from job_tracker.store.status import Status
from service_kit.database import KEEPALIVES, watched

log = structlog.get_logger()
CHANNEL = "tracker_commit"
# Nothing is lost with a poke, so the server need not wait for its disk.
_POKE: LiteralString = "BEGIN; SET LOCAL synchronous_commit TO off; NOTIFY tracker_commit; COMMIT"
SCHEMA = "tracker"
APPLICATION = "job-tracker"
LONGEST = timedelta(seconds=30)
"""What a transaction of a Link takes at most; only one that is silent in the middle of a COPY gets older."""

# A paused process, or a machine that vanished, must not hold its rows' locks against the next owner: PostgreSQL
# ends its session when it says nothing within a transaction, when one takes too long, or when the network is silent.
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
    """Owned by one thread. `wait` sleeps the given seconds and answers True as soon as the process shall end.

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

        `work` must be safe to run again after a commit whose answer was lost: the compare-and-set sees to that.
        `whole` says that it cannot be done in smaller parts, so that it is tried again even if it took too long.

        Raises:
            Stopped: the process shall end and PostgreSQL is still away.
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
                log.info("transaction again", reason=type(error).__name__)
            except DATA_ERRORS:
                raise  # one of them is among those that end a connection in psycopg's order
            except _ENDED as error:
                self._away(error)
                if isinstance(error, psycopg.errors.TransactionTimeout) and not whole:
                    if self._wait(pause(1)):
                        raise Stopped from None
                    raise
            else:
                self._status.present("PostgreSQL")
                return result
            self.retries += 1
            attempt += 1
            if self._wait(pause(attempt)):
                raise Stopped

    def poke(self) -> None:
        """Wake the readers. A poke that is lost costs them a second: they also look by themselves."""
        try:
            self._connected().execute(_POKE)
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
        self._status.away("PostgreSQL", str(error).strip().splitlines()[0] if str(error) else type(error).__name__)
        self.close()


def connect(database_url: str, schema: str = SCHEMA, options: str = "") -> Connection:
    """An autocommit connection that finds its tables in `schema` and counts in UTC.

    In zones ahead of UTC there is no place for NO_REQUEST_TIME.
    """
    return psycopg.connect(
        watched(database_url),
        autocommit=True,
        options=f"-c timezone=UTC -c search_path={schema} {options}",
        application_name=APPLICATION,
    )


def pause(attempt: int) -> float:
    """Seconds before try number `attempt` + 1: 0.05 doubled each time, at most 2."""
    return min(2.0, 0.05 * 2 ** min(attempt - 1, 10))
