"""Scores one chunk in a child process: read the row, score, write the result once."""

import os
import socket
from collections import OrderedDict
from typing import Any, Literal, Protocol

import msgspec
import psycopg
import structlog
from psycopg import Connection, OperationalError

from matcher.domain.candidates import ChunkResult
from matcher.store import chunks, snapshots
from matcher.versions import scoring_version
from platforms import registry
from service_kit.bootstrap import configure_logging
from service_kit.database import watched

log = structlog.get_logger(__name__)

Outcome = Literal["written", "known", "nothing to do", "held", "broken", "database away"]
INDEXES = 2
"""Jobs whose indexes a process keeps in memory."""
MAX_TRIES = 10
"""Agents that may crash while they score one chunk before it counts as unscorable."""


class Index(Protocol):
    """The records of both platforms of a job, ready to score."""

    def score(self, first: int, last: int) -> ChunkResult: ...


class Scorer:
    """Scores chunks over one connection, which is opened again after a loss."""

    def __init__(self, database_url: str) -> None:
        self._database_url = watched(database_url)
        self._connection: Connection | None = None
        self._indexes: OrderedDict[str, Index] = OrderedDict()
        self._name = f"{socket.gethostname()}:{os.getpid()}"

    def score(self, job_id: str, chunk_no: int) -> Outcome:
        """Score a chunk unless it is finished; never raises for what the chunk holds."""
        try:
            return self._score(self._connect(), job_id, chunk_no)
        except OperationalError as error:
            log.warning("database unreachable", reason=str(error).strip())
            self._connection = None
            return "database away"

    def _connect(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self._database_url,
                autocommit=True,
                options="-c search_path=matcher -c timezone=UTC",
                application_name="matcher-agent",
            )
        return self._connection

    def _score(self, conn: Connection, job_id: str, chunk_no: int) -> Outcome:
        task = chunks.begin(conn, job_id, chunk_no)
        if task is None:
            return "nothing to do"
        if task.held:
            chunks.put_back(conn, job_id, chunk_no)
            return "held"
        if task.tries > MAX_TRIES:
            chunks.fail(
                conn, job_id, chunk_no, f"{MAX_TRIES} agents crashed while they scored chunk {chunk_no}", self._name
            )
            return "broken"
        try:
            result = self._index(conn, job_id, task.job_type).score(task.first_position, task.last_position)
        except OperationalError:
            raise
        except Exception as error:
            # The same records would fail again, so the job's owner ends the job.
            log.exception("chunk cannot be scored", job=job_id, chunk=chunk_no)
            chunks.fail(conn, job_id, chunk_no, f"{type(error).__name__} while scoring chunk {chunk_no}", self._name)
            return "broken"
        written = chunks.write(conn, job_id, chunk_no, result, self._name, scoring_version())
        return "written" if written else "known"

    def _index(self, conn: Connection, job_id: str, job_type: str) -> Index:
        index = self._indexes.pop(job_id, None)
        if index is None:
            index = _build(job_type, snapshots.records(conn, job_id))
        self._indexes[job_id] = index
        while len(self._indexes) > INDEXES:
            self._indexes.popitem(last=False)
        return index


def _build(job_type: str, records: dict[str, dict[str, Any]]) -> Index:
    """The index of a job's records by platform: of the hub and of one channel."""
    # scikit-learn is not imported in the parent process, which only receives messages.
    from matcher.domain.customers import Customer, CustomerIndex
    from matcher.domain.product_codes import Product
    from matcher.domain.products import ProductIndex

    hub, platforms = registry.hub(), registry.platforms()
    channel = next((name for name in records if name != hub.name), "")
    titles = (hub.title, platforms[channel].title if channel in platforms else channel)
    of_hub, of_channel = records.get(hub.name, {}), records.get(channel, {})
    if job_type == "AUTO_MATCH_PRODUCTS":
        products = dict[str, Product]
        return ProductIndex(msgspec.convert(of_hub, products), msgspec.convert(of_channel, products), titles)
    customers = dict[str, Customer]
    return CustomerIndex(msgspec.convert(of_hub, customers), msgspec.convert(of_channel, customers), titles)


_scorers: dict[str, Scorer] = {}


def score_chunk(database_url: str, job_id: str, chunk_no: int) -> Outcome:
    """Score a chunk by the scorer of this process, which is made for its first chunk. Called by the pool."""
    if database_url not in _scorers:
        configure_logging("matcher-agent")
        _scorers[database_url] = Scorer(database_url)
    return _scorers[database_url].score(job_id, chunk_no)


def warm_up() -> None:
    """Import what scoring needs, so that the first chunk does not wait for it."""
    _build("AUTO_MATCH_PRODUCTS", {})
