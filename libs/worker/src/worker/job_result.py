"""The counters of a running job, and the result with which a job ends."""

from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
from msgspec import Struct, field

from job_events.errors import Category, InvalidRequest
from job_events.events import Counters, ErrorInfo, Outcome
from service_kit.database import sql_error_text
from worker.errors import JobDeferred, JobFailed


class JobCounters(Struct):
    """Counters and metadata, which only grow within an attempt; `total` is None while unknown.

    `pending`: processed items whose outcome is known at the end of the job.
    """

    total: int | None = None
    successful: int = 0
    failed: int = 0
    skipped: int = 0
    pending: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def processed(self) -> int:
        return self.successful + self.failed + self.skipped + self.pending

    def count(self, successful: int = 0, failed: int = 0, skipped: int = 0, **metadata: int) -> None:
        """Add to the counters, and to numbers of the metadata by name."""
        self.successful += successful
        self.failed += failed
        self.skipped += skipped
        for name, amount in metadata.items():
            self.metadata[name] = self.metadata.get(name, 0) + amount

    def snapshot(self) -> Counters:
        """The counters as an event carries them; a total below `processed` is raised to it."""
        total = None if self.total is None else max(self.total, self.processed)
        return Counters(total, self.processed, self.successful, self.failed, self.skipped)

    def copy(self) -> "JobCounters":
        return deepcopy(self)


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a job ends."""

    outcome: Outcome
    error: ErrorInfo | None = None


TEMPORARY: frozenset[Category] = frozenset({"NETWORK_ERROR", "TIMEOUT", "RATE_LIMITED"})
"""Errors that may pass: the outcome is `error`, the system's. For all other categories it is `failure`, the job's."""


def result_from_counters(counters: JobCounters) -> JobResult:
    """Nothing failed: success. Something failed: partial. Everything failed: failure."""
    if counters.failed == 0:
        return JobResult("success")
    if counters.failed < counters.processed:
        return JobResult("partial")
    return JobResult("failure", ErrorInfo("PLATFORM_ERROR", "ALL_ITEMS_FAILED", f"all {counters.failed} items failed"))


def result_from_category(category: Category, code: str, message: str) -> JobResult:
    """The result of a job that an error of this category ended."""
    outcome = "error" if category in TEMPORARY else "failure"
    return JobResult(outcome, ErrorInfo(category, code[:512], message[:4096]))


def result_from_failure(error: JobFailed | InvalidRequest) -> JobResult:
    """The job's own code ended it, or its request is invalid."""
    if isinstance(error, InvalidRequest):
        return JobResult("failure", ErrorInfo("VALIDATION_FAILED", "INVALID_REQUEST", str(error)[:4096]))
    return JobResult("failure", ErrorInfo(error.category, error.code[:512], error.message[:4096]))


def result_from_bug(error: Exception) -> JobResult:
    """The job's code raised an unexpected exception. Its text may hold secrets, so only its type is shown."""
    name = type(error).__name__
    return JobResult("error", ErrorInfo("INTERNAL", name[:512], f"{name[:512]} in the worker; its log has the details"))


def result_from_crashes(crashes: int) -> JobResult:
    """The job ended its worker process in each attempt."""
    message = f"the worker process ended during {crashes} attempts in a row, and none made progress; not tried again"
    return JobResult("error", ErrorInfo("INTERNAL", "POISON_JOB", message))


def result_from_refusals(error: psycopg.Error, failures: int) -> JobResult:
    """PostgreSQL refused the job's statements in each attempt with an error that may be temporary."""
    message = f"PostgreSQL refused {failures} attempts in a row, and none made progress: {sql_error_text(error)}"
    return JobResult("error", ErrorInfo("INTERNAL", error.sqlstate or "POSTGRESQL", message[:4096]))


def result_from_wait(deferred: JobDeferred, timeout: timedelta) -> JobResult:
    """The job has waited for its retry timeout, and no error says what for."""
    message = f"waited for {timeout.total_seconds():g} s without progress: {deferred.reason}"
    return JobResult("error", ErrorInfo("RATE_LIMITED", "WAITED_TOO_LONG", message[:4096]))


def result_from_lock(error: psycopg.Error, timeout: timedelta) -> JobResult:
    """The job has waited for its retry timeout for a lock of PostgreSQL."""
    message = f"waited for {timeout.total_seconds():g} s for a lock, without progress: {sql_error_text(error)}"
    return JobResult("error", ErrorInfo("INTERNAL", error.sqlstate or "POSTGRESQL", message[:4096]))


def result_from_deadline(reason: str) -> JobResult:
    """The attempts of the job have run for longer than the deadline of its type."""
    return JobResult("timeout", ErrorInfo("TIMEOUT", "DEADLINE", reason[:4096]))
