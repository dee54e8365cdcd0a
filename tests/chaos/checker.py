"""The verdict: what the log says, against what the tables hold, after everything has healed."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
from tests.chaos.ledger import Entry, digest
from tests.chaos.oracle import Expected, LogRecord, Position, Row, expect
from tests.chaos.watch import SQL, torn

_MOST = 10  # violations of one kind that are said one by one


def table(connection: psycopg.Connection[Any]) -> dict[str, Row]:
    """Every column of every row of the job table; times as text."""
    cursor = connection.execute("SELECT * FROM tracker.job ORDER BY job_id")
    assert cursor.description is not None
    names = [column.name for column in cursor.description]
    rows = [dict(zip(names, map(_plain, values), strict=True)) for values in cursor]
    return {row.pop("job_id"): row for row in rows}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return value


def check_tables(connection: psycopg.Connection[Any], log: list[LogRecord], projection: str) -> list[str]:
    """I1, I3, I4, I5, I6, I7 and I9. The log holds the duplicates, replays and disorder that I5 is about."""
    expected = expect(log)
    found = [*_rows(expected, table(connection)), *_positions(connection, expected)]
    found += torn(connection, projection)
    ends: Counter[tuple[str, int]] = Counter()
    for record in log:
        ends[record.topic, record.partition] = record.offset + 1
    for name, topic, number, next_offset in connection.execute(SQL["positions"]):
        if name == projection and ends[topic, number] != next_offset:
            found.append(f"I7: {topic}[{number}] stands at {next_offset}, its log ends at {ends[topic, number]}")
    differences = connection.execute("SELECT * FROM tracker.rollup_differences()").fetchall()
    found += _some("I1", (f"a rollup differs from its rows: {row}" for row in differences))
    regress = connection.execute(SQL["regress"]).fetchall()
    found += [f"{invariant}: {job_id}: {said}" for invariant, job_id, said in regress]
    return found


def _rows(expected: Expected, rows: dict[str, Row]) -> list[str]:
    def differences() -> Iterable[str]:
        for job_id in expected.jobs.keys() & rows.keys():
            wanted, row = expected.jobs[job_id], rows[job_id]
            for column in wanted.keys() | row.keys():
                if column not in wanted or column not in row:
                    yield f"{job_id}: nobody checks or keeps the column {column}"
                elif wanted[column] != row[column]:
                    yield f"{job_id}: {column} is {_cut(row[column])}, the log says {_cut(wanted[column])}"

    missing = (f"{job_id} has events but no row" for job_id in sorted(expected.jobs.keys() - rows.keys()))
    invented = (f"{job_id} has a row but no event" for job_id in sorted(rows.keys() - expected.jobs.keys()))
    return [*_some("I1", differences()), *_some("I1", missing), *_some("I6", invented)]


def _positions(connection: psycopg.Connection[Any], expected: Expected) -> list[str]:
    history = _set(connection, "event")
    dead = _set(connection, "dead_letter")
    return [
        *_some("I9", (f"the event at {p} is not in the history" for p in sorted(expected.history - history))),
        *_some("I9", (f"the history has a record at {p} that is no event" for p in sorted(history - expected.history))),
        *_some("I9", (f"the unreadable record at {p} is no dead letter" for p in sorted(expected.dead - dead))),
        *_some("I9", (f"the good event at {p} was buried" for p in sorted(dead - expected.dead))),
    ]


def _set(connection: psycopg.Connection[Any], name: str) -> set[Position]:
    return set(connection.execute(f'SELECT topic, partition, "offset" FROM tracker.{name}').fetchall())


def check_ledger(acknowledged: list[Entry], log: list[LogRecord], rows: dict[str, Row]) -> list[str]:
    """I2, and that the log holds every acknowledged record where the broker said it is."""
    at = {record.position: record for record in log}
    found: list[str] = []
    lost: list[str] = []
    for entry in acknowledged:
        assert entry.partition is not None and entry.offset is not None
        record = at.get((entry.topic, entry.partition, entry.offset))
        if record is None or digest(record.key, record.value) != entry.digest:
            lost.append(f"acknowledged at {entry.topic}[{entry.partition}]@{entry.offset}, but the log has another")
    finished = expect_finished(log)
    unfinished = (f"{job_id} was finished, the table says {_state(rows, job_id)}" for job_id in sorted(finished))
    found += _some("I2", lost)
    found += _some("I2", (said for said in unfinished if not said.endswith("finished")))
    return found


def expect_finished(log: list[LogRecord]) -> set[str]:
    """Jobs of which the log holds an end."""
    return {job_id for job_id, row in expect(log).jobs.items() if row["state"] == "finished"}


def _state(rows: dict[str, Row], job_id: str) -> str:
    return str(rows[job_id]["state"]) if job_id in rows else "nothing"


def check_list(api_url: str, rows: dict[str, Row]) -> list[str]:
    """I10: paging through the list of jobs shows each job exactly once."""
    seen: Counter[str] = Counter()
    cursor: str | None = None
    with httpx.Client(base_url=api_url, timeout=60) as client:
        while True:
            answer = client.get(
                "/jobs", params={"limit": 200, "tenant": "demo"} | ({"cursor": cursor} if cursor else {})
            )
            answer.raise_for_status()
            page = answer.json()
            seen.update(job["job_id"] for job in page["jobs"])
            cursor = page["next"]
            if cursor is None:
                break
    living = {job_id for job_id, row in rows.items() if not row["deleted"]}
    doubled = (f"the list shows {job_id} {count} times" for job_id, count in seen.items() if count > 1)
    missing = (f"the list does not show {job_id}" for job_id in sorted(living - seen.keys()))
    dead = (f"the list shows {job_id}, which was deleted" for job_id in sorted(seen.keys() - living))
    return [*_some("I10", doubled), *_some("I10", missing), *_some("I10", dead)]


def open_sessions(connection: psycopg.Connection[Any]) -> list[str]:
    """I12: sessions of the tracker's processes that are still there after their end."""
    rows = connection.execute(
        "SELECT application_name, state FROM pg_stat_activity "
        "WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    ).fetchall()
    return [f"I12: a session of {name or 'somebody'} is still open ({state})" for name, state in rows]


def duplicates(log: list[LogRecord]) -> int:
    """Records whose value the log already held."""
    return len(log) - len({record.value for record in log})


def _some(invariant: str, said: Iterable[str]) -> list[str]:
    """The first few of them, and how many more there were."""
    everything = list(said)
    more = [f"{invariant}: and {len(everything) - _MOST} more"] if len(everything) > _MOST else []
    return [f"{invariant}: {one}" for one in everything[:_MOST]] + more


def _cut(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "…"
