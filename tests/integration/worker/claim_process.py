"""A process that claims, holds and ends rows until none is left, and prints when it held which.

It prints `ready` and begins with the first line of its input, so that several begin together.

Arguments: database URL, name, `new` or `old`. `old` claims by the statements of release 0.7, which knows no keys.
"""

import json
import random
import sys
import time
from datetime import timedelta

from psycopg import Connection

from service_kit.database import open_pool
from worker import claims
from worker.claims import Claimer
from worker.inbox import Guard

TYPES = ["PULL_NHANH_PRODUCTS", "PULL_NHANH_CUSTOMERS", "SIMULATE_PULL"]
PER_ACCOUNT = 3

OLD_LOCK = "select pg_advisory_xact_lock(hashtext(current_schema() || ' claim'))"
OLD_CLAIM = """
with candidate as (
    select i.job_id
    from inbox i
    where i.state = 'queued'
      and i.job_type = any(%(job_types)s)
      and (i.not_before is null or i.not_before <= now())
      and not i.paused
      and not exists (
          select from inbox r
          where r.state = 'running' and r.lease_until > now()
            and r.tenant = i.tenant and r.account = i.account and r.job_type = i.job_type
      )
      and (
          select count(*) from inbox r
          where r.state = 'running' and r.lease_until > now() and r.tenant = i.tenant and r.account = i.account
      ) < %(per_account)s
    order by i.priority desc, i.requested_at, i.job_id
    for update skip locked
    limit 1
)
update inbox i
set state = 'running', attempt = i.attempt + 1, stepped = false, not_before = null, waiting_reason = null,
    lease_owner = %(owner)s, lease_until = now() + %(lease)s
from candidate
where i.job_id = candidate.job_id
returning i.job_id, i.attempt
"""


def claim(conn: Connection, asking: Claimer, how: str) -> tuple[str, int] | None:
    """Job id and attempt of the claimed row."""
    if how == "old":
        conn.execute(OLD_LOCK)
        return conn.execute(OLD_CLAIM, asking.values()).fetchone()
    found = claims.claim(conn, asking, only_ends=False)
    return None if found is None else (found.job_id, found.attempt)


def main() -> None:
    """Run until no row is unfinished."""
    url, name, how = sys.argv[1:]
    asking = Claimer(name, TYPES, "version", timedelta(minutes=10), PER_ACCOUNT)
    chance = random.Random(name)  # noqa: S311
    held: list[tuple[str, float, float]] = []
    with open_pool(url, "puller", 1) as pool:
        pool.wait(60)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        while True:
            with pool.connection() as conn:
                found = claim(conn, asking, how)
            if found is None:
                with pool.connection() as conn:
                    if conn.execute("select from inbox where state <> 'finished' limit 1").fetchone() is None:
                        break
                time.sleep(0.005)
                continue
            # Inside the time that the row was running: a violation that shows here is one.
            began = time.monotonic()
            time.sleep(chance.uniform(0.02, 0.08))
            held.append((found[0], began, time.monotonic()))
            with pool.connection() as conn:
                Guard(*found, name).finish(conn, "success", None, 1)
    sys.stdout.write(json.dumps(held))


if __name__ == "__main__":
    main()
