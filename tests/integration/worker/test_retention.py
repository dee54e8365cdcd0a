"""What a service forgets, and that nothing it has forgotten can be asked of it again."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs
from psycopg_pool import ConnectionPool

from job_events.envelope import encode
from job_events.events import JobInfo, Requested, RequestedData
from job_events.topics import Topics
from service_kit.database import migrate, open_pool
from service_kit.sql_files import queries
from worker.retention import KEEP, REACH, sweep

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
INBOX = """
    insert into inbox (job_id, tenant, account, job_type, chain, priority, requested_at, received_at, request, state,
                       outcome, finished_at)
    values (%s, 't', 'shop', 'T', 'c', 1, %s, %s, '{}', %s, %s, %s)
"""
OTHERS = {
    "control_seen": "insert into control_seen (event_id, seen_at) values (%s, %s)",
    "chain_note": "insert into chain_note (chain, child_type, parent_type, parent_id, outcome, finished_at)"
    " values ('c', 'T', 'P', %s, 'success', %s)",
    "chain_child": "insert into chain_child (job_id, made_at) values (%s, %s)",
}
OLD, YOUNG = NOW - KEEP - timedelta(seconds=1), NOW - KEEP + timedelta(seconds=1)


@pytest.fixture
def service(database_url: str) -> Any:
    migrate(database_url, "puller", ["worker"])
    with open_pool(database_url, "puller", 2) as pool:
        yield pool


def ids(pool: ConnectionPool, table: str, column: str) -> list[str]:
    with pool.connection() as connection:
        return [row[0] for row in connection.execute(f"select {column} from {table} order by 1").fetchall()]  # pyright: ignore[reportArgumentType, reportCallIssue]


def test_only_what_is_done_and_old_goes(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.retention._ROWS", 2)  # several turns
    with service.connection() as connection:
        for name, age, state in (
            *((f"old-{n}", OLD, "finished") for n in range(5)),
            ("young", YOUNG, "finished"),
            ("old-but-queued", OLD, "queued"),
            ("old-but-running", OLD, "running"),
        ):
            done = state == "finished"
            connection.execute(INBOX, [name, age, age, state, "success" if done else None, NOW if done else None])
        for statement in OTHERS.values():
            for n in range(5):
                connection.execute(statement, [f"old-{n}", OLD])
            connection.execute(statement, ["young", YOUNG])
    assert dict(sweep(service, NOW)) == {f"forget_{name}": 5 for name in ("inbox", "controls", "notes", "children")}
    assert ids(service, "inbox", "job_id") == ["old-but-queued", "old-but-running", "young"]
    for table, column in (("control_seen", "event_id"), ("chain_note", "parent_id"), ("chain_child", "job_id")):
        assert ids(service, table, column) == ["young"]
    assert dict(sweep(service, NOW)) == {}


def test_what_is_forgotten_is_refused_by_its_age() -> None:
    """A request is received after it was appended: when its row goes, every copy of it is out of reach."""
    assert KEEP > REACH
    assert min(REACH, KEEP) > max(timedelta(days=spec.retention_days) for spec in Topics("").specs())


def test_a_batch_of_the_sweep_reads_no_more_rows_than_it_deletes(service: Any) -> None:
    """50,000 rows an hour are ten batches, whatever else the table holds."""
    with service.connection() as connection:
        connection.execute(
            "insert into inbox (job_id, tenant, account, job_type, chain, priority, requested_at, received_at, request,"
            " state, outcome, finished_at) select 'job-' || n, 't', 'shop', 'T', 'c', 1, at, at, '', 'finished',"
            " 'success', at from generate_series(1, 30000) as n"
            " cross join lateral (select %s::timestamptz + n * interval '1 second' as at) as times",
            [OLD - timedelta(seconds=2000)],
        )
        connection.execute("analyze inbox")
    with service.connection() as connection:
        values = {"before": NOW - KEEP, "rows": 500}
        statement = queries("worker", "retention.sql")["forget_inbox"]
        ((explained,),) = connection.execute(f"explain (analyze, format json) {statement}", values).fetchall()
        assert connection.execute("select count(*) from inbox").fetchone() == (29500,)
    assert "inbox_age" in str(explained) and "Seq Scan" not in str(explained)


def test_a_request_that_is_produced_again_from_the_archive_is_refused_by_its_age(
    bench: Any, wait_until: Callable[..., None]
) -> None:
    job_id = str(uuid.uuid4())
    event = bench.event(
        Requested, f"{job_id}/0/0", job_id, RequestedData(job=JobInfo("PULL_NHANH_PRODUCTS", "shop")), job_id
    )
    old = structs.replace(event, time=datetime.now(UTC) - REACH - timedelta(minutes=1))
    with bench.running({"PULL_NHANH_PRODUCTS": lambda _job: None}):
        bench.send(bench.topics.requests("puller"), encode(old))
        wait_until(lambda: bench.end_of(job_id))
    assert "may be a repeat" in bench.end_of(job_id).data.error.message
