"""The figures that Prometheus scrapes."""

from job_tracker.api.metrics import Metrics


def test_a_status_without_jobs_counts_none() -> None:
    """Not what it counted when it had some."""
    instruments = Metrics()
    instruments.set_jobs({"PENDING": 3})
    instruments.set_jobs({"COMPLETED": 2})
    lines = instruments.text().decode().splitlines()
    assert 'jobtrail_jobs{status="PENDING"} 0.0' in lines
    assert 'jobtrail_jobs{status="COMPLETED"} 2.0' in lines
