"""What is kept of how items came out of their syncs, where several jobs tell."""

from collections.abc import Iterator
from typing import Any

import pytest
from psycopg import Connection
from psycopg_pool import ConnectionPool

from job_events.events import ErrorInfo
from service_kit.database import open_pool
from syncer.store.outcomes import ItemOutcome, settle, stage
from syncer.store.rows import Scope

SCOPE = Scope("demo", "lan-shop", "product", "shopify", "nhanh")
RIGHT = ItemOutcome("41", "gid://1", synced=True)
FAILED = ItemOutcome("41", "gid://1", failure=ErrorInfo("TIMEOUT", "T", "no answer"))


@pytest.fixture
def syncer_pool(database_url: str) -> Iterator[ConnectionPool]:
    with open_pool(database_url, "syncer", 2) as made:
        yield made


def tell(conn: Connection, outcome: ItemOutcome, job_id: str, *, of_sync: bool = True) -> None:
    stage(conn, [outcome])
    settle(conn, SCOPE, job_id, of_sync=of_sync)


def kept(pool: ConnectionPool) -> tuple[list[Any], list[Any]]:
    with pool.connection() as conn:
        synced = conn.execute("select remote_id, hub_id from synced_item").fetchall()
        return synced, conn.execute("select job_id, times, failed_in from api_failed_items").fetchall()


def test_failures_in_a_row_are_counted_and_their_last_jobs_named(syncer_pool: ConnectionPool) -> None:
    for number in range(25):
        with syncer_pool.connection() as conn:
            tell(conn, FAILED, f"job-{number}")
    assert kept(syncer_pool) == ([], [("job-24", 25, [f"job-{number}" for number in range(5, 25)])])
    with syncer_pool.connection() as conn:
        tell(conn, RIGHT, "job-25")
    assert kept(syncer_pool) == ([("gid://1", "41")], [])


@pytest.mark.parametrize(("early", "late"), [(RIGHT, FAILED), (FAILED, RIGHT)], ids=["right first", "failed first"])
def test_a_long_plan_does_not_overrule_what_another_job_found_meanwhile(
    syncer_pool: ConnectionPool, early: ItemOutcome, late: ItemOutcome
) -> None:
    with syncer_pool.connection() as plan:
        plan.execute("select 1")  # its transaction, and its view of the catalogue, begin here
        with syncer_pool.connection() as other:
            tell(other, late, "other")
        tell(plan, early, "plan")
    _, failures = kept(syncer_pool)
    assert failures == ([("other", 1, ["other"])] if late is FAILED else [])


def test_a_revert_neither_syncs_nor_fails_an_item(syncer_pool: ConnectionPool) -> None:
    for outcome in (RIGHT, FAILED):
        with syncer_pool.connection() as conn:
            tell(conn, outcome, "revert", of_sync=False)
    assert kept(syncer_pool) == ([], [])
