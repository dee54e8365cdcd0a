"""The claim of a job while 100,000 rows are queued, most of which may not run."""

import time
from collections.abc import Sequence
from datetime import timedelta

import psycopg
from psycopg import Connection
from psycopg_pool import ConnectionPool

from job_events.job_types import contract_version
from service_kit.database import migrate
from worker import claims
from worker.claims import Claimer
from worker.inbox import Guard

ACCOUNTS = 1000
TYPES = ["PULL_NHANH_PRODUCTS", "PULL_NHANH_CUSTOMERS", "PULL_SHOPIFY_PRODUCTS", "PULL_SHOPIFY_CUSTOMERS"]
# Of each ten accounts: six have a running job of the key that all their rows have, two are throttled, one has as many
# running jobs as an account may have, and of the last one every second is held by an operator.
FILL = """
insert into inbox (job_id, tenant, account, job_type, chain, priority, requested_at, received_at, request, state,
                   attempt, lease_owner, lease_until, not_before, concurrency_key, concurrency_limit, turn)
select 'job-' || a || '-' || n, 't', 'account-' || a, type, 'c', priority, asked, asked, '{}',
       case when running then 'running' else 'queued' end, running::int,
       case when running then 'another' end, case when running then now() + interval '1 day' end,
       case when a %% 10 in (6, 7) then now() + (n + 10) * interval '1 minute' end,
       type, 1, asked + (3 - priority) * interval '15 minutes'
from generate_series(0, %(accounts)s - 1) as a
cross join generate_series(0, %(rows)s - 1) as n
cross join lateral (
    select a %% 10 < 6 and n = 0 or a %% 10 = 8 and n < 4 as running,
           case when a %% 10 < 6 then (%(types)s::text[])[1]
                when a %% 10 = 8 and n < 4 then 'OTHER_' || n
                else (%(types)s::text[])[1 + n %% 4] end as type,
           (a * 7 + n * 13) %% 4 as priority,
           now() - ((a * 7919 + n * 104729) %% 7200) * interval '1 second' as asked
) as row
"""


def fill_queue(database_url: str, rows: int) -> None:
    """`rows` rows of 1,000 accounts in the schema `puller`, which is made."""
    migrate(database_url, "puller", ["worker"])
    with psycopg.connect(database_url, options="-c search_path=puller") as connection:
        # Row by row the triggers would do the same a hundred times for each account.
        connection.execute("set local session_replication_role = replica")
        connection.execute(
            "insert into hold (kind, tenant, account, requested_by, reason)"
            " select 'account', 't', 'account-' || a, 'lan', 'a holiday' from generate_series(9, %s, 20) as a",
            [ACCOUNTS],
        )
        connection.execute(FILL, {"accounts": ACCOUNTS, "rows": rows // ACCOUNTS, "types": TYPES})
        connection.execute(
            "select refresh_account('t', 'account-' || a) from generate_series(0, %s - 1) as a", [ACCOUNTS]
        )
    with psycopg.connect(database_url, options="-c search_path=puller", autocommit=True) as connection:
        connection.execute("vacuum analyze inbox, account_queue, hold")


def claimer(owner: str) -> Claimer:
    """A process that runs all types of the filled table."""
    return Claimer(owner, TYPES, contract_version(), timedelta(minutes=10), 4)


def seconds_of_claims(pool: ConnectionPool, number: int) -> Sequence[float]:
    """Seconds of each claim with its commit; the job ends before the next claim."""
    asking, times = claimer("bench"), list[float]()
    for _ in range(number):
        began = time.perf_counter()
        with pool.connection() as connection:
            claims.wake(connection)
            claim = claims.claim(connection, asking, only_ends=False)
        times.append(time.perf_counter() - began)
        if claim is None:
            raise RuntimeError(f"no row left after {len(times)} claims")
        with pool.connection() as connection:
            Guard(claim.job_id, claim.attempt, asking.owner).finish(connection, "success", None, 1)
    return times


def rows_read(connection: Connection) -> int:
    """Rows of the inbox that this connection has read, by whatever way: a number to subtract an earlier one from."""
    query = "select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables where relid = 'inbox'::regclass"
    ((read,),) = connection.execute(query).fetchall()
    return int(read)
