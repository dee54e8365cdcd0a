"""Drain a full topic into the final table: the rate, and the rows that are wrong.

The clock runs from the first readable rows until the last job of every partition is finished. Events that the first
rows already hold are subtracted, so that a large first batch is no advantage. The time for starting up, joining the
group and creating tables is reported apart as `startup`.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, LiteralString, cast

import psycopg

from bench.candidate import Candidate, Place
from bench.workload import ITEMS_A_STEP, Row

_POLL = 0.02  # seconds


@dataclass(frozen=True, slots=True)
class Drain:
    """`rate` in events a second, `startup` in seconds until the first rows, `peak_bytes` of the processes' memory."""

    rate: float
    startup: float
    peak_bytes: int


def drain(candidate: Candidate, place: Place, events: int, last_jobs: Sequence[str], limit: float = 600) -> Drain:
    """Run a candidate until it has read the whole topic. It keeps running and its table stays full.

    Raises:
        RuntimeError: the candidate exited, or was not finished after `limit` seconds.
    """
    candidate.prepare(place)
    began = time.monotonic()
    candidate.start(place)
    with psycopg.connect(place.database_url, autocommit=True) as connection:
        first = _wait(candidate, began + limit, lambda: _seen(connection, candidate.final))
        first_at = time.monotonic()
        _wait(candidate, began + limit, lambda: _all_finished(connection, candidate.final, last_jobs))
        end = time.monotonic()
    # A topic that is smaller than the first batch is measured from the start.
    rate = (events - first) / (end - first_at) if first < events else events / (end - began)
    return Drain(rate, first_at - began, candidate.peak_bytes())


def wrong(candidate: Candidate, place: Place, expected: dict[str, Row]) -> dict[str, Row | None]:
    """The jobs whose final row is wrong or missing, with that row."""
    with psycopg.connect(place.database_url, options="-c timezone=UTC") as connection:
        found = {job: Row(*rest) for job, *rest in connection.execute(_text(candidate.final))}
    return {job: found.get(job) for job, row in expected.items() if found.get(job) != row}


def _wait(candidate: Candidate, deadline: float, look: Any) -> int:
    """Poll `look` until it returns a number other than 0."""
    while True:
        try:
            if found := look():
                return int(found)
        except psycopg.errors.UndefinedTable:
            pass  # a candidate that creates its own tables is still starting
        candidate.check()
        if time.monotonic() > deadline:
            raise RuntimeError(f"{candidate.name} was not finished in time")
        time.sleep(_POLL)


def _seen(connection: psycopg.Connection, final: str) -> int:
    """How many events the table holds: each job's counter says how many of its events were read."""
    if connection.execute(_text(f"SELECT 1 FROM ({final}) AS final LIMIT 1")).fetchone() is None:
        return 0
    query = f"SELECT sum(coalesce(processed, 0) / {ITEMS_A_STEP} + 1) FROM ({final}) AS final"
    found = connection.execute(_text(query)).fetchone()
    return int(found[0]) if found else 0


def _all_finished(connection: psycopg.Connection, final: str, jobs: Sequence[str]) -> bool:
    query = f"SELECT count(*) FROM ({final}) AS final WHERE job_id = ANY(%s) AND state = 'finished'"
    found = connection.execute(_text(query), [list(jobs)]).fetchone()
    return found is not None and found[0] == len(jobs)


def _text(query: str) -> LiteralString:
    return cast("LiteralString", query)  # composed from the candidates' own constants
