"""What `progress()` costs a job that calls it for every item: with Kafka up and with Kafka away."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass

from psycopg_pool import ConnectionPool

from bench.workload import BEGIN
from job_events.envelope import encode
from job_events.events import JobInfo, Requested, RequestedData
from job_events.topics import Topics
from local_stack import free_port
from local_stack.ports import LOOPBACK
from service_kit.bootstrap import configure_logging
from service_kit.clock import SystemClock
from service_kit.kafka import producer
from worker.claims import Claim
from worker.job import RunningJob, WorkerContext
from worker.outbox import OutboxSender
from worker.progress import ProgressSender

_BETWEEN_BEATS = 1000  # calls between two beats, which the worker loop does beside the job


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds a call: of the usual one, which is coalesced, and of one that becomes an event."""

    usual: float
    event: float


def progress_cost(kafka: str | None, topic: str, calls: int) -> Cost:
    """Measure in a process of its own; with no `kafka` no broker is there."""
    argv = [sys.executable, "-m", "bench.emitter", kafka or f"{LOOPBACK}:{free_port()}", topic, str(calls)]
    result = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=300)  # noqa: S603
    return Cost(*map(float, result.stdout.split()))


def main() -> None:
    """Print both costs of a job whose broker, topic and number of calls the command line names."""
    configure_logging("bench")  # standard output carries the figures
    kafka, topic, calls = sys.argv[1:]
    sender = ProgressSender(producer(kafka, "bench-emitter"), topic, SystemClock())
    job = _job(sender, kafka)
    print(*(_microseconds(job, sender, int(calls), changing=way) for way in (False, True)), flush=True)
    # What is still in the queue of a producer whose broker is away would hold up the exit.
    os._exit(0)


def _microseconds(job: RunningJob, sender: ProgressSender, calls: int, *, changing: bool) -> float:
    """A call's mean; `changing` phases make every call an event."""
    spent = 0.0
    for number in range(calls):
        phase = f"page {number}" if changing else "reading"
        job.counters.count(successful=1)
        began = time.perf_counter()
        job.progress(phase)
        spent += time.perf_counter() - began
        if number % _BETWEEN_BEATS == 0:
            sender.beat([job])
    return spent / calls * 1e6


def _job(sender: ProgressSender, kafka: str) -> RunningJob:
    request = Requested(
        specversion="1.0",
        id="bench/0/0",
        source="bench",
        job_id="bench",
        time=BEGIN,
        tenant="bench",
        correlationid="bench",
        data=RequestedData(job=JobInfo("PULL_NHANH_PRODUCTS", "bench")),
    )
    # Neither is touched by progress(): a page or an end would.
    pool: ConnectionPool = ConnectionPool("", min_size=0, max_size=1, open=False)
    outbox = OutboxSender(pool, producer(kafka, "bench-outbox"))
    around = WorkerContext(pool, Topics(), outbox, sender, SystemClock(), "bench", "jobtrail/bench")
    claim = Claim(
        job_id="bench",
        request=encode(request).decode(),
        attempt=1,
        cancel_requested=None,
        cursor=None,
        counters=None,
        spent_ms=0,
    )
    return RunningJob(claim, around, "bench")


if __name__ == "__main__":
    main()
