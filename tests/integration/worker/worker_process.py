"""A puller whose job code the request's parameters choose, as a process of its own that a test's jobs may end.

The word in `query`: `crash` ends the process; `step` takes steps until the file in
TEST_GO is there; `wait` waits for that file without a step; `defer` gives its thread back until that file is there.
"""

import os
from datetime import timedelta
from pathlib import Path

from job_events.job_params import PullParams
from job_events.topics import Topics
from service_kit import kafka as clients
from service_kit.bootstrap import stop_on_signals
from service_kit.clock import SystemClock
from service_kit.database import open_pool
from worker import loop
from worker.job import RunningJob, params_of
from worker.job_result import JobResult
from worker.loop import Limits, WorkerLoop

GO = Path(os.environ["TEST_GO"])
PULLS = ("PULL_NHANH_PRODUCTS", "PULL_NHANH_CUSTOMERS", "PULL_SHOPIFY_PRODUCTS", "PULL_SHOPIFY_CUSTOMERS")


def work(job: RunningJob) -> JobResult | None:
    """What the request asks for."""
    match params_of(job, PullParams).query:
        case "crash":
            # Long enough that its neighbours have begun, whoever is claimed first.
            job.wait(0.5, "the neighbours")
            os._exit(70)
        case "step":
            while not GO.exists():
                job.wait(0.5, "the test")
                with job.checkpoint() as checkpoint:
                    checkpoint.counters.count(successful=1)
                    checkpoint.cursor = (checkpoint.cursor or 0) + 1
        case "defer":
            if not GO.exists():
                job.wait(3600, "rate limit of the test")
        case _:
            while not GO.exists():
                job.wait(0.2, "the test")
    return None


def main() -> None:
    """Run until a signal."""
    loop.LEASE, loop.RENEW_SECONDS = timedelta(seconds=4), 0.5
    stop = stop_on_signals()
    kafka, topics = os.environ["KAFKA_BOOTSTRAP_SERVERS"], Topics(os.environ["JOBTRAIL_TOPIC_PREFIX"])
    with open_pool(os.environ["DATABASE_URL"], "puller", 8) as pool:
        WorkerLoop(
            "puller",
            dict.fromkeys(PULLS, work),
            pool=pool,
            open_consumer=lambda: clients.consumer(kafka, f"{topics.prefix}puller", "test"),
            producer=clients.producer(kafka, "worker"),
            topics=topics,
            clock=SystemClock(),
            known_account=lambda _tenant, _account: True,
            result_from_error=lambda _error: None,
            limits=Limits(4, 4),
        ).run(stop)


if __name__ == "__main__":
    main()
