"""Lists on a real PostgreSQL: which index each reads, how many rows, and that pages hold each job exactly once."""

import asyncio
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from unittest import mock
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from bench.reads_data import fill_jobs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from tests.property_tests import examples

from job_tracker import bootstrap
from job_tracker.api import list_statements, listing
from job_tracker.api.dead_letters import DEAD_LETTERS
from job_tracker.api.freshness import Pool, reader_pool
from job_tracker.api.jobs import JOBS
from job_tracker.api.list_statements import Bounds, ListQuery, Statement, cursor_after, list_statements_of
from job_tracker.api.rollup_totals import rollup_totals
from job_tracker.domain.list_plans import JOB_LISTS, SCAN_ROWS, IndexedFilter
from job_tracker.errors import Problem
from job_tracker.settings import Settings

FILLED = 30_000
UNTIL = datetime(2026, 11, 1, tzinfo=UTC)
LIMIT = 50
# What a page may be made of: neither a sort nor a scan of the table.
MERGES = {
    *("Limit", "Merge Append", "Append", "Subquery Scan", "Index Scan", "Index Only Scan"),
    *("Aggregate", "WindowAgg", "Result"),
}


@pytest.fixture(scope="module")
def database(postgres_server: str) -> Iterator[str]:
    """A migrated database of the module's own; no broker is needed to read."""
    name = f"test_{uuid.uuid4().hex}"
    url = urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}"))
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        bootstrap.prepare_schema(
            Settings(kafka_bootstrap_servers="none", database_url=url), lambda seconds: threading.Event().wait(seconds)
        )
        yield url
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def table(database: str) -> Iterator[psycopg.Connection[Any]]:
    """Thirty thousand jobs of twenty tenants, analysed; read as the API's connections read."""
    with psycopg.connect(database, autocommit=True, options="-c timezone=UTC") as writer:
        fill_jobs(writer, FILLED, UNTIL, lambda _: None)
        writer.execute("ANALYZE")
    options: Any = reader_pool(database, 1).kwargs
    with psycopg.connect(database, autocommit=True, prepare_threshold=None, options=options["options"]) as reader:
        yield reader
    with psycopg.connect(database, autocommit=True) as writer:
        writer.execute("TRUNCATE tracker.job, tracker.rollup")


def explained(table: psycopg.Connection[Any], question: Statement) -> list[dict[str, Any]]:
    """Every node of the plan that the API's own statement gets, with what it did."""
    text = question.text.decode()
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", text)))
    for number, name in enumerate(names, 1):
        text = text.replace(f"%({name})s", f"${number}")
    given = sql.SQL(", ").join(sql.Literal(question.values[name]) for name in names)
    with table.transaction():
        table.execute(listing.IN_INDEX_ORDER)
        table.execute(f"PREPARE asked AS {text}".encode())
        run = sql.SQL("EXECUTE asked ({})").format(given) if names else sql.SQL("EXECUTE asked")
        ((found,),) = table.execute(sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON) ") + run).fetchall()
        table.execute("DEALLOCATE asked")
    nodes, waiting = [], [found[0]["Plan"]]
    while waiting:
        node = waiting.pop()
        nodes.append(node)
        waiting += node.get("Plans", [])
    return nodes


def rows_read(nodes: list[dict[str, Any]]) -> float:
    return sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in nodes
        if "Index Name" in node
    )


def values_of(table: psycopg.Connection[Any], served: IndexedFilter) -> dict[str, list[str]]:
    """Filters that fit many jobs, and two values where a list takes several."""
    (job,) = table.execute(
        "SELECT j.chain, j.parent, (SELECT min(retry_of) FROM tracker.job) AS retry_of FROM tracker.job AS j "
        "WHERE parent IS NOT NULL ORDER BY job_id LIMIT 1"
    ).fetchall()
    several = {"tenant": ["tenant-01"], "account": ["shop-1"], "status": ["COMPLETED", "FAILED"]}
    several |= {
        "job_type": ["PRODUCT_SYNC", "CUSTOMER_SYNC"],
        "chain": [job[0]],
        "parent": [job[1]],
        "retry_of": [job[2]],
    }
    return {column: several[column] for column in served.filters}


@pytest.mark.parametrize("served", JOB_LISTS, ids=lambda one: "+".join(one.filters) or "none")
@pytest.mark.parametrize("place", ["first", "middle", "days"])
def test_a_supported_list_reads_its_page_from_its_index(
    *, table: psycopg.Connection[Any], served: IndexedFilter, place: str
) -> None:
    (middle,) = table.execute(
        "SELECT created_at, job_id FROM tracker.job ORDER BY job_id OFFSET 15000 LIMIT 1"
    ).fetchall()
    row = {"created_at": middle[0], "job_id": middle[1]}
    wanted = ListQuery(filters=values_of(table, served), limit=LIMIT)
    if place == "middle":
        wanted.cursor = cursor_after(JOBS, wanted, row, list_statements.Count(1, whole=True))
    if place == "days":
        wanted.ranges = {"created_at": (middle[0], middle[0] + timedelta(days=9))}
    asked = list_statements_of(JOBS, wanted)
    nodes = explained(table, asked.rows)
    assert {node["Node Type"] for node in nodes} <= MERGES
    assert {node["Index Name"] for node in nodes if "Index Name" in node} == {served.index}
    assert rows_read(nodes) <= LIMIT + 1 + len(asked.plan.ranges)
    counting = explained(table, asked.total)
    assert {node["Node Type"] for node in counting} <= MERGES
    assert {node["Index Name"] for node in counting if "Index Name" in node} == {served.index}
    assert rows_read(counting) <= list_statements.COUNT_TO + 1


@pytest.fixture(scope="module")
def letters(database: str) -> Iterator[psycopg.Connection[Any]]:
    """Twenty thousand dead letters, every other one acknowledged; read as the API's connections read."""
    with psycopg.connect(database, autocommit=True) as writer:
        writer.execute(
            """INSERT INTO tracker.dead_letter
                (topic, partition, "offset", consumer, appended_at, reason, job_id, value_bytes)
            SELECT 'topic-' || n % 4, n % 3, n, 'consumer-' || n % 5, timestamptz '2026-01-01Z' + n * interval '1 s',
                'no', CASE WHEN n % 10 = 0 THEN 'job-' || n % 100 END, 0
            FROM generate_series(1, 20000) AS n"""
        )
        writer.execute(
            """INSERT INTO tracker.dead_letter_ack
            SELECT topic, partition, "offset", consumer, appended_at, 'lan', '' FROM tracker.dead_letter
            WHERE "offset" % 2 = 0"""
        )
        writer.execute("ANALYZE tracker.dead_letter, tracker.dead_letter_ack")
    options: Any = reader_pool(database, 1).kwargs
    with psycopg.connect(database, autocommit=True, prepare_threshold=None, options=options["options"]) as reader:
        yield reader


@pytest.mark.parametrize("open_only", [False, True])
@pytest.mark.parametrize("served", DEAD_LETTERS.served, ids=lambda one: "+".join(one.filters) or "none")
def test_dead_letters_are_read_from_an_index(
    *, letters: psycopg.Connection[Any], served: IndexedFilter, open_only: bool
) -> None:
    filters = {"consumer": ["consumer-1"], "topic": ["topic-1"], "job_id": ["job-10"]}
    chosen = {column: filters[column] for column in served.filters}
    wanted = ListQuery(filters=chosen | ({"acknowledged": ["false"]} if open_only else {}), limit=LIMIT)
    asked = list_statements_of(DEAD_LETTERS, wanted)
    for question in (asked.rows, asked.total):
        nodes = explained(letters, question)
        assert not {"Sort", "Incremental Sort", "Seq Scan"} & {
            node["Node Type"] for node in nodes if node.get("Relation Name") != "dead_letter_ack"
        }
        used = {node["Index Name"] for node in nodes if "Index Name" in node}
        assert used <= {served.index, "dead_letter_ack_pkey"} and served.index in used


SCANS: list[tuple[dict[str, list[str]], str | None]] = [
    ({"status": ["FAILED"]}, None),
    ({"tenant": ["tenant-01"], "account": ["shop-4"], "job_type": ["CUSTOMER_SYNC"]}, None),
    ({"tenant": ["tenant-02"], "job_type": ["CUSTOMER_SYNC"]}, "batch-7"),
    ({"tenant": ["tenant-01"]}, "batch-2"),
    ({}, "BATCH-3 "),
    ({}, "100%_nothing"),
]


@pytest.mark.parametrize(("filters", "text"), SCANS)
def test_any_other_list_is_a_bounded_scan_that_its_pages_complete(
    *, table: psycopg.Connection[Any], database: str, filters: dict[str, list[str]], text: str | None
) -> None:
    wanted = ListQuery(filters=filters, text=text, limit=LIMIT)
    asked = list_statements_of(JOBS, wanted)
    for question in (asked.rows, asked.total):
        nodes = explained(table, question)
        assert {node["Node Type"] for node in nodes} <= MERGES
        assert {node["Index Name"] for node in nodes if "Index Name" in node} == {asked.plan.served.index}
        assert rows_read(nodes) <= SCAN_ROWS + len(asked.plan.ranges)
    conditions = [f"{column} = ANY(%({column})s)" for column in filters]
    words = "concat_ws(' ', job_id, job_type, account, chain, batch, requested_by, p_phase, e_error_category)"
    conditions += [f"position(lower(%(text)s) IN lower({words})) > 0"] if text else []
    query = f"SELECT job_id FROM tracker.job WHERE {' AND '.join(conditions)} ORDER BY created_at DESC, job_id DESC"
    whole = table.execute(query.encode(), filters | {"text": text}).fetchall()
    pages = asyncio.run(walk(database, wanted))
    assert [job["job_id"] for page in pages for job in page["jobs"]] == [job for (job,) in whole]
    for page in pages[:-1]:
        assert page["partial"] is True
        looked = page["scanned_to"]
        assert all(
            (job["created_at"], job["job_id"]) >= (looked["created_at"], looked["job_id"]) for job in page["jobs"]
        )
    assert (pages[-1]["partial"], pages[-1]["scanned_to"]) == (False, None)
    assert pages[0]["total"] <= len(whole)
    assert not pages[0]["total_exact"] or pages[0]["total"] == len(whole)


def test_a_scan_tells_that_it_is_partial_even_where_it_found_nothing(*, table: Any, database: str) -> None:
    first, *_, last = asyncio.run(walk(database, ListQuery(text="nowhere to be found")))
    assert (first["jobs"], first["partial"], first["total"], first["total_text"]) == ([], True, 0, "0+")
    assert first["next"]
    assert (last["jobs"], last["partial"], last["next"]) == ([], False, None)


def test_totals_are_exact_up_to_ten_thousand(*, table: psycopg.Connection[Any], database: str) -> None:
    def total(**filters: list[str]) -> tuple[int, bool, str]:
        page = asyncio.run(one_page(database, ListQuery(filters=filters, limit=1)))
        return page["total"], page["total_exact"], page["total_text"]

    counted = table.execute("SELECT account, count(*) FROM tracker.job WHERE tenant = 'tenant-01' GROUP BY account")
    several = {account: (jobs, True, f"{jobs:,}") for account, jobs in counted if jobs <= 10_000}
    assert several == {account: total(tenant=["tenant-01"], account=[account]) for account in several}
    assert total(tenant=["tenant-01"]) == (10_000, False, "10,000+")
    assert total() == (10_000, False, "10,000+")


def test_the_rollups_know_the_totals_that_counting_gives(*, table: psycopg.Connection[Any]) -> None:
    """By tenant, type and status, and by tenant, account and status; of anything else they say nothing."""
    columns = ("tenant", "account", "job_type", "status")
    for kept in (
        *(("tenant",), ("job_type",), ("status",), ("tenant", "job_type", "status"), ("job_type", "status")),
        *(("tenant", "account"), ("tenant", "account", "status")),
    ):
        names = ", ".join(kept)
        counted = table.execute(f"SELECT {names}, count(*) FROM tracker.job GROUP BY {names} LIMIT 300").fetchall()  # pyright: ignore[reportArgumentType]
        for *values, jobs in counted:
            question = rollup_totals(
                JOBS, ListQuery(filters={name: [value] for name, value in zip(kept, values, strict=True)})
            )
            assert question is not None
            assert table.execute(question.text, question.values).fetchone() == (jobs, True)
    for unknown in ({"account": ["shop"]}, {name: ["x"] for name in columns}, {"chain": ["c"]}):
        assert rollup_totals(JOBS, ListQuery(filters=unknown)) is None


def ago(**parts: float) -> datetime:
    return UNTIL - timedelta(**parts)


@pytest.mark.parametrize(
    "bounds",
    [
        (ago(days=3), ago(days=1)),
        (ago(days=3, hours=5), ago(hours=7)),
        (ago(days=80, hours=1), ago(hours=1)),
        (ago(days=2, minutes=1), None),
        (None, ago(days=40, minutes=1)),
        (None, ago(days=80)),
        (ago(hours=30), ago(hours=25)),
        (ago(hours=30).astimezone(timezone(timedelta(hours=7))), ago(hours=1)),
        (ago(days=1), ago(days=2)),
        (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=timezone(timedelta(hours=-9)))),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"tenant": ["tenant-03"]},
        {"tenant": ["tenant-01"], "status": ["FAILED", "RUNNING"]},
        {"tenant": ["tenant-01"], "job_type": ["PRODUCT_SYNC"]},
    ],
    ids=lambda one: "+".join(one) or "none",
)
def test_totals_between_two_moments_are_what_counting_gives(
    *, table: psycopg.Connection[Any], bounds: Bounds, chosen: dict[str, list[str]]
) -> None:
    wanted = ListQuery(filters=chosen, ranges={"created_at": bounds})
    question = rollup_totals(JOBS, wanted) or list_statements_of(JOBS, wanted).total
    since, until = bounds
    where = "".join([f" AND {column} = ANY(%({column})s)" for column in chosen])
    ((counted,),) = table.execute(
        f"SELECT count(*) FROM tracker.job WHERE created_at >= %(since)s AND created_at < %(until)s{where}",  # pyright: ignore[reportArgumentType]
        {**chosen, "since": since or "-infinity", "until": until or "infinity"},
    ).fetchall()
    (told,) = table.execute(question.text, question.values).fetchall()
    assert min(told[0], 10_001) == min(counted, 10_001)
    assert told[1] is True


def test_a_total_of_many_days_reads_few_rows(*, table: psycopg.Connection[Any]) -> None:
    """31 days of the rollups hold more than 10,000 jobs: what lies around them is not looked at."""
    since = ListQuery(ranges={"created_at": (ago(days=80, hours=1), None)})
    question = rollup_totals(JOBS, since)
    assert question is not None
    assert not [
        node for node in explained(table, question) if node.get("Relation Name") == "job" and node["Actual Loops"]
    ]


async def one_page(database: str, wanted: ListQuery) -> dict[str, Any]:
    async with opened(database) as pool:
        return await page_of(pool, wanted)


async def walk(database: str, wanted: ListQuery) -> list[dict[str, Any]]:
    """All pages of a list, first to last."""
    pages: list[dict[str, Any]] = []
    async with opened(database) as pool:
        while True:
            pages.append(await page_of(pool, wanted))
            wanted.cursor = pages[-1]["next"]
            if wanted.cursor is None:
                return pages


def opened(database: str) -> Pool:
    return reader_pool(database, 1)


async def page_of(pool: Pool, wanted: ListQuery) -> dict[str, Any]:
    async with pool.connection() as connection, connection.transaction():
        return await listing.page(connection, JOBS, wanted, dict, "jobs")


# Paging while the table changes.

BEGUN = "s_attempt = 0, s_seq = 1, s_body = '{}', s_at = r_time, s_worker = 'w'"
ENDED = (
    "e_attempt = 0, e_seq = 2, e_body = '{}', e_at = r_time, e_outcome = 'success', e_processed = 1, e_successful = 1, "
    "e_failed = 0, e_skipped = 0, e_duration_ms = 1"
)
INSERT = """
INSERT INTO tracker.job (job_id, r_time, r_id, r_body, tenant, account, job_type, chain)
VALUES (%(job_id)s, %(at)s, %(job_id)s, '{}', %(tenant)s, %(account)s, %(type)s, %(chain)s)
"""
ONE = {"at": UNTIL, "tenant": "a", "account": "x", "type": "T", "chain": "c"}
jobs = st.fixed_dictionaries(
    {
        "at": st.integers(0, 3).map(lambda minutes: UNTIL + timedelta(minutes=minutes)),
        "tenant": st.sampled_from(["a", "a", "b"]),
        "account": st.sampled_from(["x", "y"]),
        "type": st.sampled_from(["T", "U", "V"]),
        "chain": st.sampled_from(["c", "d"]),
    }
)
changes = st.one_of(
    jobs.map(lambda job: ("insert", job)),
    st.integers(0, 60).map(lambda number: ("begin", number)),
    st.integers(0, 60).map(lambda number: ("end", number)),
)
filters = st.fixed_dictionaries(
    {},
    optional={
        "tenant": st.just(["a"]),
        "account": st.just(["x"]),
        "chain": st.just(["c"]),
        "job_type": st.lists(st.sampled_from(["T", "U", "V"]), min_size=1, max_size=2, unique=True),
        "status": st.lists(st.sampled_from(["PENDING", "RUNNING", "COMPLETED"]), min_size=1, max_size=3, unique=True),
    },
)
WORDS = "concat_ws(' ', job_id, job_type, account, chain) ILIKE %(text)s"


@pytest.fixture(scope="module")
def moving(database: str) -> Iterator[tuple[asyncio.Runner, Pool, psycopg.Connection[Any]]]:
    """A loop, readers, and somebody who writes between two pages."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        pool = reader_pool(database, 1)
        runner.run(pool.open())
        stack.callback(lambda: runner.run(pool.close()))
        yield runner, pool, stack.enter_context(psycopg.connect(database, autocommit=True, options="-c timezone=UTC"))


@settings(max_examples=examples(120), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=st.lists(jobs, max_size=25),
    steps=st.lists(st.lists(changes, max_size=4), max_size=30),
    chosen=filters,
    text=st.sampled_from([None, None, "x", "t"]),
    limit=st.integers(1, 6),
    bound=st.integers(2, 9),
)
def test_pages_hold_each_job_once_while_the_table_changes(
    *,
    moving: tuple[asyncio.Runner, Pool, psycopg.Connection[Any]],
    first: list[dict[str, Any]],
    steps: list[list[tuple[str, Any]]],
    chosen: dict[str, list[str]],
    text: str | None,
    limit: int,
    bound: int,
) -> None:
    runner, pool, writer = moving
    writer.execute("TRUNCATE tracker.job")
    names: list[str] = []

    def insert(job: dict[str, Any]) -> None:
        names.append(f"job-{uuid.UUID(int=(len(names) * 2654435761) % 2**32)}")
        writer.execute(INSERT, job | {"job_id": names[-1]})

    def change(kind: str, what: Any) -> None:
        if kind == "insert":
            insert(what)
        elif names:
            values = BEGUN if kind == "begin" else ENDED
            writer.execute(f"UPDATE tracker.job SET {values} WHERE job_id = %s".encode(), [names[what % len(names)]])

    def fitting() -> set[str]:
        conditions = ["true", *(f"{column} = ANY(%({column})s)" for column in chosen), *([WORDS] if text else [])]
        query = f"SELECT job_id FROM tracker.job WHERE {' AND '.join(conditions)}"
        return {job for (job,) in writer.execute(query.encode(), chosen | {"text": f"%{text}%"})}

    for job in first:
        insert(job)
    always, ever = fitting(), fitting()
    seen: list[str] = []
    wanted = ListQuery(filters=chosen, text=text, limit=limit)
    waiting = list(steps)
    # A bound of a few rows, so that scans stop again and again.
    with mock.patch.object(list_statements, "SCAN_ROWS", bound), mock.patch.object(listing, "SCAN_ROWS", bound):
        while True:
            page = runner.run(page_of(pool, wanted))
            seen += [job["job_id"] for job in page["jobs"]]
            wanted.cursor = page["next"]
            if wanted.cursor is None:
                break
            for kind, what in waiting.pop(0) if waiting else []:
                change(kind, what)
                always &= fitting()
                ever |= fitting()
    assert len(seen) == len(set(seen))
    assert always <= set(seen) <= ever


@pytest.mark.parametrize("more", [0, 1])
def test_a_scan_is_partial_only_where_rows_are_left(
    *, moving: tuple[asyncio.Runner, Pool, psycopg.Connection[Any]], more: int
) -> None:
    runner, pool, writer = moving
    writer.execute("TRUNCATE tracker.job")
    for number in range(4 + more):
        writer.execute(INSERT, ONE | {"job_id": f"job-{number}"})
    with mock.patch.object(list_statements, "SCAN_ROWS", 4), mock.patch.object(listing, "SCAN_ROWS", 4):
        page = runner.run(page_of(pool, ListQuery(text="nothing has this")))
        assert (page["partial"], page["total_exact"], page["next"] is None) == (bool(more), not more, not more)
        found = runner.run(page_of(pool, ListQuery(text="job-", limit=4)))
        assert (len(found["jobs"]), found["total_exact"], found["next"] is None) == (4, not more, not more)


def test_a_cursor_goes_on_in_its_own_list_only(moving: tuple[asyncio.Runner, Pool, psycopg.Connection[Any]]) -> None:
    runner, pool, writer = moving
    writer.execute("TRUNCATE tracker.job")
    for number in range(3):
        writer.execute(INSERT, ONE | {"job_id": f"job-{number}"})
    first = ListQuery(filters={"chain": ["c"]}, limit=1)
    first.cursor = runner.run(page_of(pool, first))["next"]
    assert first.cursor is not None
    assert len(runner.run(page_of(pool, first))["jobs"]) == 1
    for other in (replace(first, filters={"chain": ["other"]}), replace(first, text="x"), replace(first, filters={})):
        with pytest.raises(Problem, match="another list"):
            runner.run(page_of(pool, other))
