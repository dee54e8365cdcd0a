"""The API's metrics for Prometheus, in a registry of their own, so that several apps can share a process."""

from collections.abc import Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from job_events.fold import STATUSES


class Metrics:
    """Counters of requests; the gauges are set with each scrape."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "jobtrail_api_requests", "Answers by route and status", ["route", "status"], registry=self.registry
        )
        self.seconds = Histogram("jobtrail_api_seconds", "Time to answer by route", ["route"], registry=self.registry)
        self._jobs = Gauge("jobtrail_jobs", "Jobs in the table by status", ["status"], registry=self.registry)
        self._lag_events = Gauge(
            "jobtrail_lag_events", "Events in the log and not in the tables", ["projection"], registry=self.registry
        )
        self._lag_seconds = Gauge(
            "jobtrail_lag_seconds", "Age of what the tables show", ["projection"], registry=self.registry
        )
        self._alive = Gauge(
            "jobtrail_projector_alive", "1 while one is at work", ["projection"], registry=self.registry
        )

        self._horizon = Gauge(
            "jobtrail_horizon_seconds", "Jobs that ended before this time are forgotten", registry=self.registry
        )
        self._late = Gauge(
            "jobtrail_late_events",
            "Events that came from before the horizon and changed no row",
            registry=self.registry,
        )
        self._schedulers = Gauge("jobtrail_schedulers_alive", "Schedulers at work", registry=self.registry)

    def set_schedulers(self, instances: int) -> None:
        self._schedulers.set(instances)

    def set_jobs(self, by_status: Mapping[str, int]) -> None:
        for status in STATUSES:
            self._jobs.labels(status).set(by_status.get(status, 0))

    def set_freshness(self, projection: str, lag_events: int, lag_seconds: float | None, alive: bool) -> None:
        self._lag_events.labels(projection).set(lag_events)
        self._lag_seconds.labels(projection).set(float("nan") if lag_seconds is None else lag_seconds)
        self._alive.labels(projection).set(int(alive))

    def set_horizon(self, ended_before: datetime | None, late_events: int) -> None:
        self._horizon.set(float("nan") if ended_before is None else ended_before.timestamp())
        self._late.set(late_events)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)
