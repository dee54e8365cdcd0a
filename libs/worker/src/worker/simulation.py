"""Simulated jobs: real events, items and checkpoints of the runtime, and no effects.

They show how a system runs a job before one with effects does, and `jobtrail jobs verify` runs a chain of them.
"""

import math
import time
from collections.abc import Callable

from job_events.events import ErrorInfo
from job_events.job_params import SimulateParams
from job_events.job_types import JOB_TYPES
from worker.job import RunningJob, params_of
from worker.job_result import JobResult

STEP_SECONDS = 0.5  # of items between two checkpoints
MAX_STEP = 100  # items between two checkpoints
LOOK_SECONDS = 0.1  # between two looks whether the attempt must stop


def simulations(service: str) -> dict[str, Callable[[RunningJob], JobResult | None]]:
    """The handlers of the simulated jobs of a service."""
    types = (kind for kind in JOB_TYPES.values() if kind.params is SimulateParams)
    return {kind.name: simulate for kind in types if kind.service == service}


def simulate(job: RunningJob) -> JobResult | None:
    """Record the items one after another, at the requested speed, and end as requested.

    The cursor is the number of items that are done, so that a later attempt continues behind them.
    """
    params = params_of(job, SimulateParams)
    step = max(1, min(MAX_STEP, math.ceil(params.per_second * STEP_SECONDS) if params.per_second else MAX_STEP))
    done = first = job.cursor or 0
    began = job.context.clock.monotonic()
    job.counters.total = params.items
    while done < params.items:
        upto = min(done + step, params.items)
        job.phase = f"items {done + 1:,} to {upto:,} of {params.items:,}"
        if params.per_second:
            _wait_until(job, began + (upto - first) / params.per_second)
        with job.checkpoint() as checkpoint:
            for number in range(done, upto):
                if fails(number, params.failed):
                    checkpoint.counters.count(failed=1)
                    error = ErrorInfo("PLATFORM_ERROR", "SIMULATED", "this item fails as the request says")
                    checkpoint.item(f"item-{number + 1}", "failed", error=error)
                else:
                    checkpoint.counters.count(successful=1)
            checkpoint.counters.count(batches=1)
            checkpoint.cursor = done = upto
    if params.outcome is None:
        return None
    category = "INTERNAL" if params.outcome == "error" else "VALIDATION_FAILED"
    return JobResult(params.outcome, ErrorInfo(category, "SIMULATED", f"ends as {params.outcome} as the request says"))


def fails(number: int, share: float) -> bool:
    """Whether the item, counted from 0, is one of those that fail: evenly spread, and the same in every attempt."""
    return round((number + 1) * share) > round(number * share)


def _wait_until(job: RunningJob, moment: float) -> None:
    """Wait without a change of the phase, which would be an event each time.

    Raises:
        Interrupted: the attempt must stop.
    """
    while (left := moment - job.context.clock.monotonic()) > 0:
        job.check()
        time.sleep(min(left, LOOK_SECONDS))
