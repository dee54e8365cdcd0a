"""Messages and job code that could break a service, and do not."""

from collections.abc import Callable
from typing import Any

from job_events.worker.job import Ending, RunningJob

WaitUntil = Callable[..., None]


def work(job: RunningJob) -> Ending | None:
    """One page."""
    with job.page() as page:
        page.tally.count(successful=1)
    return None


REFUSED = (
    b'{"type":"job.requested.v1","specversion":"1.0","id":"%b/0/0","source":"test","subject":"%b","tenant":"t",'
    b'"correlationid":"%b","time":"1900-01-01T00:00:00Z","data":{"job":{"type":"PULL_NHANH_PRODUCTS","account":"shop"%b},'
    b'"params":{}%b}%b}'
)
# Fields that no reader knows are passed over unread, whatever they hold.
UNREAD = b',"later":1e999', b',"later":"\xff\xfe"'


def test_what_a_reader_passes_over_unread_cannot_stop_the_intake(bench: Any, wait_until: WaitUntil) -> None:
    topic = bench.topics.requests("puller")
    jobs: list[bytes] = []
    for later in UNREAD:
        for place in range(3):
            job_id = b"job-%d" % len(jobs)
            bench.send(topic, REFUSED % (job_id, job_id, job_id, *(later if n == place else b"" for n in range(3))))
            jobs.append(job_id)
    cancel = REFUSED % (b"nobody", b"nobody", b"nobody", b"", b"", UNREAD[0])
    bench.send(
        topic, cancel.replace(b"job.requested", b"job.cancel").replace(b'"job":', b'"target":{"kind":"job"},"job":')
    )
    with bench.running({"PULL_NHANH_PRODUCTS": work}):
        good = bench.request()
        wait_until(lambda: bench.end_of(good))
        wait_until(lambda: all(bench.end_of(job_id.decode()) for job_id in jobs))
    for job_id in jobs:
        end = bench.end_of(job_id.decode())
        assert (end.data.outcome, end.tenant, end.data.job.type) == ("failure", "t", "PULL_NHANH_PRODUCTS")
    assert bench.rows("select 1 from inbox where job_id = 'nobody'") == []
    assert len(bench.dead_letters()) == len(jobs) + 1


def test_a_message_that_breaks_the_intake_is_a_dead_letter_alone(bench: Any, wait_until: WaitUntil) -> None:
    def known(_tenant: str, account: str) -> bool:
        if account == "strange":
            raise ZeroDivisionError("nobody foresaw this")
        return True

    bench.request(account="strange")
    good = [bench.request(), bench.request()]
    with bench.running({"PULL_NHANH_PRODUCTS": work}, known_account=known):
        wait_until(lambda: all(bench.end_of(job_id) for job_id in good))
        wait_until(bench.dead_letters)
    (letter,) = bench.dead_letters()
    assert "ZeroDivisionError" in letter.data.reason
