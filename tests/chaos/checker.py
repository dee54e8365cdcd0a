"""The verdict: compares the log with the tables after recovery."""

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, LiteralString, NamedTuple

import httpx
import psycopg
from tests.chaos.ledger import Entry, digest
from tests.chaos.oracle import DeadLetterKey, Expected, LogRecord, Position, Row
from tests.chaos.projections import ITEMS, JOBS, Projection
from tests.chaos.waiting import wait_for
from tests.chaos.watch import SQL, torn

_MOST = 10  # violations of one kind that are said one by one


class Tables(NamedTuple):
    """The rows of the tables: jobs and items by key, dead letters by position."""

    jobs: dict[str, Row]
    items: dict[str, Row]
    letters_by_key: dict[DeadLetterKey, Row]

    def dumped(self) -> dict[str, list[Row]]:
        """The rows in full, under the names of the history's files."""
        return {
            "table": [{JOBS.key: key, **row} for key, row in self.jobs.items()],
            "items": [{ITEMS.key: key, **row} for key, row in self.items.items()],
            "dead-letters": [{**place._asdict(), **row} for place, row in self.letters_by_key.items()],
        }


def read_tables(connection: psycopg.Connection[Any]) -> Tables:
    """Read all three tables."""
    return Tables(table(connection, JOBS), table(connection, ITEMS), dead_letters(connection))


def table(connection: psycopg.Connection[Any], projection: Projection) -> dict[str, Row]:
    """Every column of every row of the projection's table by its key; times as text."""
    rows = _rows(connection, f"SELECT * FROM tracker.{projection.table} ORDER BY {projection.key}")
    return {row.pop(projection.key): row for row in rows}


def dead_letters(connection: psycopg.Connection[Any]) -> dict[DeadLetterKey, Row]:
    """Every dead letter by its position and by the consumer that refused the record."""
    rows = _rows(connection, 'SELECT * FROM tracker.dead_letter ORDER BY topic, partition, "offset", consumer')
    return {DeadLetterKey(*(row.pop(name) for name in DeadLetterKey._fields)): row for row in rows}


def _rows(connection: psycopg.Connection[Any], query: LiteralString) -> list[Row]:
    cursor = connection.execute(query)
    assert cursor.description is not None
    names = [column.name for column in cursor.description]
    return [dict(zip(names, map(_plain, values), strict=True)) for values in cursor]


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return value


def check_tables(
    connection: psycopg.Connection[Any], log: list[LogRecord], projections: Iterable[Projection]
) -> list[str]:
    """I1, I3, I4, I5, I6, I7 and I9. The log holds the duplicates, replays and disorder that I5 is about."""
    whole = Expected()
    found: list[str] = []
    stands = positions(connection)
    for projection in projections:
        expected = projection.expect(projection.of(log))
        whole.history |= expected.history
        whole.dead |= expected.dead
        found += _differences(projection.table, expected.rows, table(connection, projection))
        ends = projection.ends(log)
        for (topic, number), next_offset in stands[projection.name].items():
            end = ends.get((topic, number), 0)
            if end != next_offset:
                found.append(f"I7: {topic}[{number}] stands at {next_offset}, its log ends at {end}")
    found += [*_history(connection, whole.history), *_dead_letter_differences(whole.dead, dead_letters(connection))]
    found += torn(connection)
    differences = connection.execute("SELECT * FROM tracker.rollup_differences()").fetchall()
    found += _some("I1", (f"a rollup differs from its rows: {row}" for row in differences))
    regress = connection.execute(SQL["regress"]).fetchall()
    found += [f"{invariant}: {key}: {said}" for invariant, key, said in regress]
    return found


def positions(connection: psycopg.Connection[Any]) -> dict[str, dict[tuple[str, int], int]]:
    """The position of each projection in each partition, by the projection's name."""
    found: dict[str, dict[tuple[str, int], int]] = defaultdict(dict)
    for name, topic, number, next_offset in connection.execute(SQL["positions"]):
        found[name][topic, number] = next_offset
    return found


def _differences(kind: str, expected: dict[str, Row], rows: dict[str, Row]) -> list[str]:
    def differences() -> Iterable[str]:
        for key in expected.keys() & rows.keys():
            wanted, row = expected[key], rows[key]
            for column in wanted.keys() | row.keys():
                if column not in wanted or column not in row:
                    yield f"{kind} {key}: nobody checks or keeps the column {column}"
                elif wanted[column] != row[column]:
                    yield f"{kind} {key}: {column} is {_cut(row[column])}, the log says {_cut(wanted[column])}"

    missing = (f"{kind} {key} has events but no row" for key in sorted(expected.keys() - rows.keys()))
    invented = (f"{kind} {key} has a row but no event" for key in sorted(rows.keys() - expected.keys()))
    return [*_some("I1", differences()), *_some("I1", missing), *_some("I6", invented)]


def _history(connection: psycopg.Connection[Any], expected: set[Position]) -> list[str]:
    held: set[Position] = set(connection.execute('SELECT topic, partition, "offset" FROM tracker.event').fetchall())
    return [
        *_some("I9", (f"the event at {p} is not in the history" for p in sorted(expected - held))),
        *_some("I9", (f"the history has a record at {p} that is no event" for p in sorted(held - expected))),
    ]


def _dead_letter_differences(expected: dict[DeadLetterKey, Row], held: dict[DeadLetterKey, Row]) -> list[str]:
    wrong = (
        f"the dead letter of {place} has the {column} {_cut(held[place][column])}, not {_cut(value)}"
        for place in sorted(expected.keys() & held.keys())
        for column, value in expected[place].items()
        if held[place][column] != value
    )
    return [
        *_some(
            "I9", (f"the unreadable record at {p} is no dead letter" for p in sorted(expected.keys() - held.keys()))
        ),
        *_some("I9", (f"the good event at {p} was buried" for p in sorted(held.keys() - expected.keys()))),
        *_some("I9", wrong),
    ]


def check_ledger(acknowledged: list[Entry], log: list[LogRecord], prefix: str, rows: dict[str, Row]) -> list[str]:
    """I2, and that the log holds every acknowledged record where the broker said it is. `rows` are the jobs."""
    at = {record.position: record for record in log}
    lost: list[str] = []
    for entry in acknowledged:
        assert entry.partition is not None and entry.offset is not None
        record = at.get((entry.topic, entry.partition, entry.offset))
        if record is None or digest(record.key, record.value) != entry.digest:
            lost.append(f"acknowledged at {entry.topic}[{entry.partition}]@{entry.offset}, but the log has another")
    expected = JOBS.expect(JOBS.under(prefix).of(log)).rows
    finished = sorted(job_id for job_id, row in expected.items() if row["state"] == "finished")
    said = (f"{job_id} was finished, the table says {_state(rows, job_id)}" for job_id in finished)
    return [*_some("I2", lost), *_some("I2", (one for one in said if not one.endswith("finished")))]


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
    """I12: database sessions of the tracker's processes that remain after the processes ended."""

    def left() -> list[tuple[str, str]]:
        return connection.execute(
            "SELECT application_name, state FROM pg_stat_activity "
            "WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).fetchall()

    with contextlib.suppress(TimeoutError):  # a session notices a moment later that its client is gone
        wait_for(lambda: not left(), "the sessions to end")
    return [f"I12: a session of {name or 'somebody'} is still open ({state})" for name, state in left()]


def _some(invariant: str, said: Iterable[str]) -> list[str]:
    """The first few, and the number of the others."""
    everything = list(said)
    more = [f"{invariant}: and {len(everything) - _MOST} more"] if len(everything) > _MOST else []
    return [f"{invariant}: {one}" for one in everything[:_MOST]] + more


def _cut(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "…"
