"""The retention benchmark: `python -m bench.retention --jobs 1152000`.

A job table at the rate of 1,000 accounts that each run four jobs in five minutes, 1.15 million a day: its size, its
lists through the real API, the time that the sweep behind the horizon takes, and what it costs projector and lists
meanwhile. Prints `figure NAME VALUE UNIT`; progress goes to the standard error.
"""

import argparse
import http.client
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from bench.fill import create
from bench.fill import fill as produce
from bench.reads import figure, get, quantile, say, serving
from bench.reads_data import fill_jobs, migrate_readers, sample
from bench.reads_requests import STATUSES, Known
from bench.workload import BEGIN, Shape, messages
from job_events.topics import Topics
from job_tracker import bootstrap
from job_tracker.api.jobs import JOBS
from job_tracker.api.list_statements import Count, ListQuery, cursor_after
from job_tracker.settings import Settings
from job_tracker.store.horizon import move_horizon, sweep_jobs, sweeps_locked
from job_tracker.store.postgres import connect
from local_stack import LocalStack

JOBS_A_DAY = 1_152_000  # 1,000 accounts, four jobs in five minutes
ROUNDS = 40  # of each request
DRAINS = 3
SWEEPS = 2 + DRAINS  # parts of the table that are swept: alone, beside the lists, beside each drain
_LOOK = 0.02  # seconds

MakePath = Callable[[random.Random, Known], str]


def _page(filters: Callable[[random.Random, Known], dict[str, str]], *, deep: bool = False) -> MakePath:
    def path(chance: random.Random, job: Known) -> str:
        asked = filters(chance, job)
        if deep:
            names = {"type": "job_type"}
            query = ListQuery(filters={names.get(name, name): [value] for name, value in asked.items()})
            row = {"created_at": job.created_at, "job_id": job.job_id}
            asked = asked | {"cursor": cursor_after(JOBS, query, row, Count(rows=1, whole=True))}
        return "/jobs?" + urlencode(asked)

    return path


LISTS: dict[str, MakePath] = {
    "default": _page(lambda _, __: {}),
    "deep": _page(lambda _, __: {}, deep=True),
    "tenant": _page(lambda _, job: {"tenant": job.tenant}),
    "tenant_deep": _page(lambda _, job: {"tenant": job.tenant}, deep=True),
    "account": _page(lambda chance, job: {"tenant": job.tenant, "account": f"shop-{1 + chance.randrange(4)}"}),
    "status": _page(lambda chance, job: {"tenant": job.tenant, "status": chance.choice(STATUSES)}),
    "type": _page(lambda _, job: {"tenant": job.tenant, "type": "PRODUCT_SYNC"}),
    "failed": _page(lambda _, __: {"status": "FAILED"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.retention", description=__doc__)
    parser.add_argument("--jobs", type=int, default=JOBS_A_DAY, help="rows in the table")
    parser.add_argument("--events", type=int, help="events of each drain; a tenth of the jobs by default")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="jobtrail-bench-retention-") as folder:
        Path(folder).chmod(0o755)
        with LocalStack(Path(folder)) as stack, database(stack.database_url) as url:
            prefix = f"retention-{uuid.uuid4().hex[:8]}."
            settings = Settings(
                kafka_bootstrap_servers=stack.bootstrap_servers, database_url=url, jobtrail_topic_prefix=prefix
            )
            measure(settings, Path(folder), asked.jobs, asked.events or asked.jobs // 10)


def measure(settings: Settings, folder: Path, jobs: int, events: int) -> None:
    """Print all figures of a table with so many jobs."""
    url, days = settings.database_url, jobs / JOBS_A_DAY
    bootstrap.prepare_schema(settings, threading.Event().wait)
    create(settings.kafka_bootstrap_servers, Topics(settings.jobtrail_topic_prefix))
    migrate_readers(url)
    begun = time.monotonic()
    with psycopg.connect(url, autocommit=True, options="-c timezone=UTC") as connection:
        fill_jobs(
            connection, jobs, BEGIN, lambda done: say(f"{done} ({time.monotonic() - begun:.0f} s)"), days, "accounts"
        )
        for name, size in (("rows", "pg_table_size"), ("indexes", "pg_indexes_size")):
            (found,) = connection.execute(f"SELECT {size}('tracker.job')".encode()).fetchone() or (0,)
            figure(f"retention_{name}_day", int(found) / days / 1e9, "GB")
    chance = random.Random(4)  # noqa: S311 - reproducible, not secret
    known = [Known(*row) for row in sample(url, sorted(chance.sample(range(jobs), 1000)), "accounts")]
    horizons = iter(BEGIN - timedelta(days=days * (1 - part / (SWEEPS + 1))) for part in range(1, SWEEPS + 1))
    with sweeps_locked(url):  # the projectors' own sweeps would come between
        rows, seconds = sweep(url, next(horizons))
        figure("retention_sweep_million", seconds * 1e6 / rows, "s")
        drains(settings, folder, events, horizons)
        with serving(settings, folder, "api") as port:
            alone = lists(port, chance, known, lambda: False)
            for name, times in alone.items():
                figure(f"retention_list_{name}_p99", quantile(times, 0.99) * 1000, "ms")
            with ThreadPoolExecutor(1) as thread:
                sweeping = thread.submit(sweep, url, next(horizons))
                beside = lists(port, chance, known, sweeping.done)
            for name in ("default", "deep", "account"):
                figure(f"retention_list_{name}_p99_sweep", quantile(beside[name], 0.99) * 1000, "ms")
    with psycopg.connect(url) as connection:
        if connection.execute("SELECT * FROM tracker.rollup_differences()").fetchall():
            raise RuntimeError("the rollups are not those of the rows that are left")


def sweep(url: str, ended_before: datetime) -> tuple[int, float]:
    """Delete the rows behind a horizon; how many, and in how many seconds."""
    with connect(url) as connection:
        move_horizon(connection, ended_before)
        begun = time.monotonic()
        rows = sweep_jobs(connection)["forgotten_jobs"]
        return rows, time.monotonic() - begun


def drains(settings: Settings, folder: Path, events: int, horizons: Generator[datetime]) -> None:
    """The projector's rate on a full topic, in turn alone and beside a sweep."""
    alone: list[float] = []
    beside: list[float] = []
    topic = Topics(settings.jobtrail_topic_prefix).events
    with ThreadPoolExecutor(1) as thread:
        for number in range(DRAINS):
            for rates in (alone, beside):
                shape = Shape(jobs=events // 15, seed=100 + 2 * number + (rates is beside))
                produce(settings.kafka_bootstrap_servers, topic, messages(shape))
                sweeping: Future[tuple[int, float]] | None = None
                if rates is beside:
                    sweeping = thread.submit(sweep, settings.database_url, next(horizons))
                rates.append(drain(settings, folder, shape.events))
                if sweeping is not None:
                    say(f"the sweep {'had ended before the drain' if sweeping.done() else 'lasted longer'}")
                    rows, seconds = sweeping.result()
                    say(f"{rows:,} rows swept in {seconds:.1f} s")
    figure("retention_drain", statistics.median(alone), "events/s")
    figure("retention_drain_sweep", statistics.median(beside), "events/s")
    figure("retention_sweep_vs_none", statistics.median(b / a for a, b in zip(alone, beside, strict=True)), "ratio")


def drain(settings: Settings, folder: Path, events: int) -> float:
    """Start a projector; its events a second from its first commit to the last of `events`."""
    with connect(settings.database_url) as connection, projector(settings, folder):
        before = position(connection)
        first = rest = 0
        begun = time.monotonic()
        while (now := position(connection)) < before + events:
            if not first and now > before:
                first, rest, begun = now, before + events - now, time.monotonic()
            time.sleep(_LOOK)
        return rest / (time.monotonic() - begun) if rest else float(events)


def position(connection: psycopg.Connection[tuple[object, ...]]) -> int:
    """How many events are in the table."""
    row = connection.execute("SELECT coalesce(sum(next_offset), 0)::bigint FROM tracker.consumer_offset").fetchone()
    return int(str(row[0])) if row else 0


@contextmanager
def projector(settings: Settings, folder: Path) -> Generator[None]:
    environment = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "DATABASE_URL": settings.database_url,
        "JOBTRAIL_TOPIC_PREFIX": settings.jobtrail_topic_prefix,
    }
    with (folder / "projector.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "job_tracker", "projector"], env=environment, stdout=log, stderr=log
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


def lists(
    port: int, chance: random.Random, known: Sequence[Known], ended: Callable[[], bool]
) -> dict[str, list[float]]:
    """Seconds of each request of each list, in rounds, until enough of them are made or `ended` says so."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for make_path in LISTS.values():
        get(client, make_path(chance, known[0]))
    taken: dict[str, list[float]] = {name: [] for name in LISTS}
    for _ in range(ROUNDS):
        for name, make_path in LISTS.items():
            taken[name] += [get(client, make_path(chance, chance.choice(known))) for _ in range(5)]
        if ended():
            break
    return taken


@contextmanager
def database(server: str) -> Generator[str]:
    """A new database; dropped at the end."""
    name = f"retention_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


if __name__ == "__main__":
    main()
