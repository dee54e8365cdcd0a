"""Which row is claimed: limits that hold exactly over processes, ageing, and a cost that blocked rows do not raise."""

import json
import subprocess
import sys
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bench.claims import claimer, fill_queue, rows_read, seconds_of_claims
from bench.databases import fresh_database
from psycopg_pool import ConnectionPool

from job_events.events import JobInfo, Priority, Requested, RequestedData
from job_events.job_types import JOB_TYPES, Policy
from service_kit.database import migrate, open_pool
from worker import claims, inbox
from worker.claims import Claimer
from worker.inbox import Guard
from worker.job import RunningJob
from worker.job_result import JobResult

WaitUntil = Callable[..., None]
PROCESS = Path(__file__).with_name("claim_process.py")
PULL, OTHER, SIMULATED = "PULL_NHANH_PRODUCTS", "PULL_NHANH_CUSTOMERS", "SIMULATE_PULL"
PER_ACCOUNT = 3
LANES = "select coalesce(concurrency_key, job_type), count(*) from inbox where state = 'running' group by 1"
DERIVED = """
select q.tenant, q.account from account_queue q
where q.running <> (
        select count(*) from inbox r where (r.tenant, r.account, r.state) = (q.tenant, q.account, 'running'))
   or q.next_turn is distinct from (
       select min(i.turn) from inbox i
       where (i.tenant, i.account, i.state) = (q.tenant, q.account, 'queued') and not i.paused and not i.kept
         and i.not_before is null and i.cancel_requested is null and i.concurrency_key is not null
         and not exists (select from hold h where h.kind = 'account' and h.account = q.account)
         and i.concurrency_limit > (
             select count(*) from inbox r
             where (r.tenant, r.account, r.state) = (q.tenant, q.account, 'running')
               and coalesce(r.concurrency_key, r.job_type) = i.concurrency_key))
"""


@pytest.fixture
def pool(database_url: str) -> Any:
    migrate(database_url, "puller", ["worker"])
    with open_pool(database_url, "puller", 2) as made:
        yield made


def request_of(
    job_type: str = PULL, account: str = "shop", priority: Priority = "normal", ago: timedelta = timedelta()
) -> Requested:
    """A request as the consumer stores it, `ago` before now by the clock of who asks."""
    job_id = str(uuid.uuid4())
    return Requested(
        specversion="1.0",
        id=f"{job_id}/0/0",
        source="test",
        job_id=job_id,
        time=datetime.now(UTC) - ago,
        tenant="t",
        correlationid=job_id,
        data=RequestedData(job=JobInfo(job_type, account), priority=priority),
    )


def claim_all(pool: ConnectionPool, asking: Claimer) -> list[str]:
    """The ids of the rows in the order in which one process claims and ends them."""
    found: list[str] = []
    while True:
        with pool.connection() as conn:
            claim = claims.claim(conn, asking, only_ends=False)
            if claim is None:
                return found
            Guard(claim.job_id, claim.attempt, asking.owner).finish(conn, "success", None, 1)
        found.append(claim.job_id)


def overlap(spans: list[tuple[float, float]]) -> int:
    """How many of the spans hold at one moment at most."""
    edges = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    most = now = 0
    for _, step in edges:
        now += step
        most = max(most, now)
    return most


@pytest.mark.parametrize("kinds", [("new",) * 4, ("new", "old", "new", "old")], ids=["new", "beside the last release"])
def test_limits_hold_exactly_while_four_processes_claim(
    pool: ConnectionPool, monkeypatch: pytest.MonkeyPatch, kinds: tuple[str, ...]
) -> None:
    monkeypatch.setitem(JOB_TYPES, OTHER, replace(JOB_TYPES[OTHER], policy=replace(JOB_TYPES[OTHER].policy, limit=2)))
    accounts = {f"account-{n}": n for n in range(2)}
    what: dict[str, tuple[str, str]] = {}
    with pool.connection() as conn:
        for number in range(108):
            job_type, account = (PULL, OTHER, OTHER, SIMULATED)[number % 4], f"account-{number // 4 % 2}"
            event = request_of(job_type, account)
            assert inbox.insert_request(conn, event)
            what[event.job_id] = account, job_type
    url = pool.conninfo
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [
        subprocess.Popen([sys.executable, str(PROCESS), url, f"p{n}", kind], **pipes) for n, kind in enumerate(kinds)
    ]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 4
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    held = [span for output in outputs for span in json.loads(output)]
    assert Counter(job_id for job_id, _, _ in held) == Counter(list(what))
    by_lane: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    by_account: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for job_id, begin, end in held:
        by_lane[what[job_id]].append((begin, end))
        by_account[what[job_id][0]].append((begin, end))
    limits = {PULL: 1, OTHER: 2, SIMULATED: 20}
    for (account, job_type), spans in by_lane.items():
        assert overlap(spans) <= limits[job_type], (account, job_type)
    if "old" not in kinds:
        assert all(overlap(spans) <= PER_ACCOUNT for spans in by_account.values())
        # And they are used: else this test would pass with one job at a time.
        assert max(overlap(by_lane[account, OTHER]) for account in accounts) == 2
        assert max(map(overlap, by_account.values())) == PER_ACCOUNT
    with pool.connection() as conn:
        assert conn.execute(DERIVED).fetchall() == []


def test_two_jobs_of_one_key_run_at_once_where_its_limit_is_two(
    bench: Any, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(JOB_TYPES, PULL, replace(JOB_TYPES[PULL], policy=replace(JOB_TYPES[PULL].policy, limit=2)))
    go: set[str] = set()

    def work(job: RunningJob) -> JobResult | None:
        while job.id not in go:
            job.pause_between_polls(0.02, "the test")
        return None

    with bench.running({PULL: work, OTHER: work}, threads=4):
        jobs = [bench.request() for _ in range(3)]
        wait_until(lambda: bench.rows(LANES) == [("pull nhanh products", 2)])
        other = bench.request(OTHER)
        wait_until(lambda: len(bench.rows("select from inbox where state = 'running'")) == 3)
        assert bench.rows("select count(*) from inbox where state = 'queued'") == [(1,)]
        go |= {*jobs, other}
        wait_until(lambda: all(bench.end_of(job_id) for job_id in [*jobs, other]))


def test_a_queued_job_rises_by_one_priority_each_ageing(pool: ConnectionPool) -> None:
    ageing = Policy().ageing
    asked = {
        "low, waits since 3.1": request_of(priority="low", ago=3.1 * ageing),
        "urgent, now": request_of(priority="urgent"),
        "high, waits since 0.9": request_of(priority="high", ago=0.9 * ageing),
        "normal, waits since 1.5": request_of(priority="normal", ago=1.5 * ageing),
        "low, waits since 2.7": request_of(priority="low", ago=2.7 * ageing),
        "low, now": request_of(priority="low"),
        "normal, of a clock that is ahead": request_of(priority="normal", ago=-timedelta(hours=20)),
        # A clock of years ago does not win over everybody: it has waited for a day at most.
        "urgent, waits since a day": request_of(priority="urgent", ago=timedelta(days=1)),
        "low, of a clock of years ago": request_of(priority="low", ago=timedelta(days=3000)),
    }
    names = {event.job_id: name for name, event in asked.items()}
    with pool.connection() as conn:
        for event in asked.values():
            inbox.insert_request(conn, event)
    assert [names[job_id] for job_id in claim_all(pool, claimer("one"))] == [
        "urgent, waits since a day",
        "low, of a clock of years ago",
        "low, waits since 3.1",
        "urgent, now",
        "high, waits since 0.9",
        "low, waits since 2.7",
        "normal, waits since 1.5",
        "normal, of a clock that is ahead",
        "low, now",
    ]


def test_a_row_of_the_last_release_gets_its_key_before_it_is_claimed(pool: ConnectionPool) -> None:
    event = request_of()
    row = [event.job_id, event.time, '{"data":{"params":{}}}']
    with pool.connection() as conn:
        conn.execute(
            "insert into inbox (job_id, tenant, account, job_type, chain, priority, requested_at, request)"
            f" values (%s, 't', 'shop', '{PULL}', 'c', 1, %s, %s)",
            row,
        )
    asking = claimer("one")
    with pool.connection() as conn:
        assert claims.claim(conn, asking, only_ends=False) is None
    with pool.connection() as conn:
        assert claims.adopt(conn, asking.version) == 1
    with pool.connection() as conn:
        claim = claims.claim(conn, asking, only_ends=False)
    assert claim is not None
    assert (claim.job_id, claim.concurrency_key, claim.attempt) == (event.job_id, "pull nhanh products", 1)


@pytest.fixture(scope="module")
def hostile(postgres_server: str) -> Any:
    """100,000 queued rows, nine tenths of which may not run."""
    with fresh_database(postgres_server) as url:
        fill_queue(url, 100_000)
        with open_pool(url, "puller", 2) as made:
            yield made


def test_a_claim_reads_few_rows_however_many_may_not_run(hostile: ConnectionPool) -> None:
    with hostile.connection() as conn:
        assert conn.execute("select count(*) >= 99000 from inbox where state = 'queued'").fetchone() == (True,)
        assert conn.execute(DERIVED).fetchall() == []
    asking = claimer("one")
    for _ in range(20):
        with hostile.connection() as conn:
            before = rows_read(conn)
            claims.wake(conn)
            claim = claims.claim(conn, asking, only_ends=False)
            conn.execute("set constraints all immediate")  # what the commit does
            read = rows_read(conn) - before
        assert claim is not None
        assert 0 < read < 100
        with hostile.connection() as conn:
            before = rows_read(conn)
            Guard(claim.job_id, claim.attempt, asking.owner).finish(conn, "success", None, 1)
            conn.execute("set constraints all immediate")
            assert 0 < rows_read(conn) - before < 100


def test_the_account_is_found_by_its_index_and_the_row_by_its_own(hostile: ConnectionPool) -> None:
    values = {**claimer("one").values(), "turn": "-infinity", "tenant": "", "account": ""}
    with hostile.connection() as conn:
        conn.execute("analyze account_queue")
        explained = conn.execute(
            "explain (analyze, buffers, format json) " + claims.SQL["lock_next_account"], values
        ).fetchone()
        assert explained is not None
        ((plan,),) = explained
        nodes = list(_nodes(plan["Plan"]))
        assert "account_queue_turn" in {node.get("Index Name") for node in nodes}
        assert not [node for node in nodes if node["Node Type"] == "Seq Scan" and node["Relation Name"] != "hold"]
        assert plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"] < 100
        conn.rollback()


def _nodes(plan: dict[str, Any]) -> Any:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def test_claims_under_load_go_on_until_nothing_may_run(hostile: ConnectionPool) -> None:
    assert len(seconds_of_claims(hostile, 50)) == 50
    with hostile.connection() as conn:
        assert conn.execute(DERIVED).fetchall() == []


def test_a_control_of_many_rows_derives_their_account_once(pool: ConnectionPool) -> None:
    rows = 400
    with pool.connection() as conn:
        for _ in range(rows):
            inbox.insert_request(conn, request_of())
    with pool.connection() as conn:
        before = rows_read(conn)
        conn.execute(inbox.SQL["cancel_account"], {"tenant": "t", "account": "shop", "reason": "closed"})
        conn.execute("set constraints all immediate")
        # Once for each row, all of the account's rows would be read hundreds of times.
        assert rows_read(conn) - before < 10 * rows
    with pool.connection() as conn:
        assert conn.execute(DERIVED).fetchall() == []
