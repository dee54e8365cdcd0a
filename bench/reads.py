"""The read benchmark: `python -m bench.reads --sizes 10000,1000000`.

Every list, filter, search, detail and statistic through the real API at several sizes of the job table, while the
real projectors write 1,000 events a second into each table, which come from Kafka. The sizes take turns request by
request, so that other load on the machine affects all of them alike. Prints `figure NAME VALUE UNIT`; progress
goes to the standard error.
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
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from bench.reads_data import fill, sample
from bench.reads_requests import LISTS, READ_REQUESTS, Chance, Known
from bench.workload import BEGIN
from job_events.topics import Topics
from job_tracker import bootstrap
from job_tracker.settings import Settings
from local_stack import LocalStack, free_port
from service_kit.kafka_admin import create_topics

SEED = 4
WARM_UP = 1  # rounds that are not counted
REQUESTS = 10  # of each kind in a round
CLIENTS = 32
LOAD_SECONDS = 6.0
START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Table:
    """A filled table with the processes that serve it."""

    jobs: int
    prefix: str
    database_url: str
    port: int
    chance: Chance

    @property
    def label(self) -> str:
        return f"{self.jobs // 1_000_000}m" if self.jobs >= 1_000_000 else f"{self.jobs // 1000}k"


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.reads", description=__doc__)
    parser.add_argument("--sizes", default="10000,1000000", help="jobs in each table, smallest first")
    parser.add_argument("--rounds", type=int, default=9, help=f"of {REQUESTS} requests of each kind")
    parser.add_argument("--rate", type=int, default=1000, help="events written a second")
    asked = parser.parse_args()
    sizes = sorted({int(size) for size in asked.sizes.split(",")})
    with tempfile.TemporaryDirectory(prefix="jobtrail-bench-reads-") as folder, ExitStack() as things:
        Path(folder).chmod(0o755)
        stack = things.enter_context(LocalStack(Path(folder)))
        tables = [
            things.enter_context(open_table(stack.bootstrap_servers, stack.database_url, jobs, Path(folder)))
            for jobs in sizes
        ]
        things.enter_context(writing(stack.bootstrap_servers, asked.rate, [table.prefix for table in tables]))
        measure(tables, asked.rounds)
        load(tables[-1])


def measure(tables: Sequence[Table], rounds: int) -> None:
    """Send the requests to all tables in turn and print the figures."""
    taken: dict[tuple[str, str], list[float]] = {(name, table.label): [] for name in READ_REQUESTS for table in tables}
    clients = [(table, http.client.HTTPConnection("127.0.0.1", table.port, timeout=60)) for table in tables]
    before, begun = sum(map(written, tables)), time.monotonic()
    for number in range(WARM_UP + rounds):
        for name, make_path in READ_REQUESTS.items():
            for _ in range(REQUESTS):
                for table, client in clients:
                    spent = get(client, make_path(table.chance))
                    if number >= WARM_UP:
                        taken[name, table.label].append(spent)
        say(f"round {number + 1} of {WARM_UP + rounds}")
    rate = (sum(map(written, tables)) - before) / len(tables) / (time.monotonic() - begun)
    for (name, label), times in taken.items():
        figure(f"read_{name}_p50_{label}", statistics.median(times) * 1000, "ms")
        figure(f"read_{name}_p99_{label}", quantile(times, 0.99) * 1000, "ms")
    small, large = tables[0].label, tables[-1].label
    ratios = {
        name: statistics.median(taken[name, large]) / statistics.median(taken[name, small]) for name in READ_REQUESTS
    }
    for name, ratio in ratios.items():
        figure(f"read_{name}_{large}_vs_{small}", ratio, "ratio")
    for kind in ("list", "scan"):
        worst = max((name for name in LISTS if name.startswith(kind)), key=lambda name: ratios[name])
        say(f"the {kind} that grows most: {worst}")
        figure(f"{kind}_{large}_vs_{small}", ratios[worst], "ratio")
        times = [quantile(taken[name, large], 0.99) for name in LISTS if name.startswith(kind)]
        figure(f"{kind}_p99", max(times) * 1000, "ms")
    figure("reads_events_written", rate, "events/s")


def load(table: Table) -> None:
    """Requests a second that 32 clients get from one API process, lists of all kinds."""
    paths = [LISTS[name](table.chance) for name in LISTS if name.startswith("list_") for _ in range(20)]
    table.chance.random.shuffle(paths)
    halves = 2
    with ProcessPoolExecutor(halves) as processes:
        several = [
            processes.submit(run_clients, table.port, paths, CLIENTS // halves, LOAD_SECONDS) for _ in range(halves)
        ]
        answers = sum(one.result() for one in several)
    figure(f"requests_per_second_{CLIENTS}", answers / LOAD_SECONDS, "requests/s")


def run_clients(port: int, paths: Sequence[str], clients: int, seconds: float) -> int:
    """Answers that `clients` threads got within `seconds`."""
    end = time.monotonic() + seconds

    def one(number: int) -> int:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        answers = 0
        while time.monotonic() < end:
            get(client, paths[(number * 7919 + answers) % len(paths)])
            answers += 1
        return answers

    with ThreadPoolExecutor(clients) as threads:
        return sum(threads.map(one, range(clients)))


def get(client: http.client.HTTPConnection, path: str) -> float:
    """Seconds until the whole answer is there.

    Raises:
        RuntimeError: it is no answer.
    """
    begun = time.perf_counter()
    client.request("GET", path)
    answer = client.getresponse()
    body = answer.read()
    spent = time.perf_counter() - begun
    if answer.status != 200:
        raise RuntimeError(f"{path} answered {answer.status}: {body[:500]!r}")
    return spent


@contextmanager
def open_table(kafka: str, database_url: str, jobs: int, folder: Path) -> Generator[Table]:
    """A database of its own with so many jobs, an API and a projector; all of it ends with the context."""
    name = f"reads_{jobs}_{uuid.uuid4().hex[:8]}"
    prefix = f"{name}."
    url = urlunsplit(urlsplit(database_url)._replace(path=f"/{name}"))
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            settings = Settings(kafka_bootstrap_servers=kafka, database_url=url, jobtrail_topic_prefix=prefix)
            bootstrap.prepare_schema(settings, threading.Event().wait)
            create_topics(kafka, Topics(prefix))
            begun = time.monotonic()
            fill(url, jobs, BEGIN, lambda done: say(f"{jobs:,}: {done} ({time.monotonic() - begun:.0f} s)"))
            chance = Chance(
                random.Random(SEED),  # noqa: S311 - reproducible, not secret
                *([Known(*row) for row in sample(url, numbers)] for numbers in named(jobs)),
            )
            with serving(settings, folder, name) as port:
                yield Table(jobs, prefix, url, port, chance)
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def named(jobs: int) -> tuple[Sequence[int], ...]:
    """Numbers of jobs that questions name: of any, of some with a history, of some with items.

    Any are drawn by chance: at even steps a larger table would show more retries, which every 150th job is.
    """
    return (
        sorted(random.Random(SEED).sample(range(jobs), min(jobs, 2000))),  # noqa: S311 - reproducible, not secret
        range(0, jobs, max(100, jobs // 500 // 100 * 100)),
        range(0, jobs, 1000 * max(1, jobs // 500_000)),
    )


@contextmanager
def serving(settings: Settings, folder: Path, name: str) -> Generator[int]:
    """The API's port; a projector runs beside it."""
    port = free_port()
    environment = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "DATABASE_URL": settings.database_url,
        "JOBTRAIL_TOPIC_PREFIX": settings.jobtrail_topic_prefix,
        "JOBTRAIL_API_PORT": str(port),
    }
    with (folder / f"{name}.log").open("wb") as log:
        processes = [
            subprocess.Popen([sys.executable, "-m", "job_tracker", part], env=environment, stdout=log, stderr=log)  # noqa: S603
            for part in ("projector", "items", "api")
        ]
        try:
            until_ready(port)
            yield port
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(30)


def until_ready(port: int) -> None:
    """Wait for an API and its projectors.

    Raises:
        TimeoutError: they do not come up.
    """
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            get(http.client.HTTPConnection("127.0.0.1", port, timeout=5), "/readyz")
            return
        except (OSError, http.client.HTTPException, RuntimeError):
            time.sleep(0.2)
    raise TimeoutError(f"the API on port {port} is not ready after {START_SECONDS:g} s")


@contextmanager
def writing(bootstrap_servers: str, rate: int, prefixes: Sequence[str]) -> Generator[None]:
    """A process that writes events to the topics of all prefixes."""
    command = [sys.executable, "-m", "bench.reads_writer", "--kafka", bootstrap_servers, "--rate", str(rate), *prefixes]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:  # noqa: S603 - our own command
        yield
        process.communicate()


def written(table: Table) -> int:
    """Events that the projector has applied."""
    with psycopg.connect(table.database_url) as connection:
        rows = connection.execute("SELECT coalesce(sum(next_offset), 0) FROM tracker.consumer_offset").fetchall()
    return int(rows[0][0])


def quantile(times: Sequence[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]


def figure(name: str, value: float, unit: str) -> None:
    print(f"figure {name} {value:.3g} {unit}", flush=True)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
