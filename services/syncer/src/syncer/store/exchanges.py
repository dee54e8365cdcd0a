"""The request log: every HTTP exchange of a job with its bodies, kept for 14 days."""

from datetime import timedelta
from typing import Final

from psycopg import Connection
from psycopg_pool import ConnectionPool

from platforms.results import Exchange
from service_kit.sql_files import queries

_SQL = queries("syncer", "exchanges.sql")
KEEP: Final = timedelta(days=14)


class ExchangeLog:
    """Stores the exchanges that a client reports, without secrets and with bounded bodies.

    batch: the number of the batch that is carried out now.
    """

    def __init__(self, pool: ConnectionPool, job_id: str) -> None:
        self._pool = pool
        self._job_id = job_id
        self.batch: int | None = None

    def __call__(self, exchange: Exchange) -> None:
        """Store one exchange in a transaction of its own: it stays if the batch is rolled back."""
        values = {
            "job_id": self._job_id,
            "batch": self.batch,
            "method": exchange.method,
            "url": _storable(exchange.url),
            "request_body": _storable(exchange.request_body),
            "status": exchange.status,
            "response_body": _storable(exchange.response_body),
            "duration_ms": exchange.duration_ms,
            "error": None if exchange.error is None else _storable(exchange.error),
        }
        with self._pool.connection() as conn:
            conn.execute(_SQL["put"], values)


def prune(conn: Connection, keep: timedelta, rows: int) -> int:
    """Delete up to `rows` exchanges older than `keep`; how many there were."""
    return conn.execute(_SQL["prune"], {"keep": keep, "rows": rows}).rowcount


def _storable(text: str) -> str:
    """PostgreSQL's text holds neither NUL nor lone surrogates."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
