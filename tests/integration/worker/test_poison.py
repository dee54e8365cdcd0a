"""Messages and job code that must not stop a service."""

from collections.abc import Callable
from typing import Any

import pytest

from job_events.envelope import decode
from job_events.events import ErrorInfo, ItemRecorded, Progress
from worker.errors import JobFailed
from worker.job import RunningJob
from worker.job_result import JobResult

WaitUntil = Callable[..., None]


def work(job: RunningJob) -> JobResult | None:
    """One page."""
    with job.checkpoint() as checkpoint:
        checkpoint.counters.count(successful=1)
    return None


REFUSED = (
    b'{"type":"job.requested.v1","specversion":"1.0","id":"%b/0/0","source":"test","subject":"%b","tenant":"t",'
    b'"correlationid":"%b","time":"1900-01-01T00:00:00Z","data":{"job":{"type":"PULL_NHANH_PRODUCTS","account":"shop"%b},'
    b'"params":{}%b}%b}'
)
# Fields that no reader knows are passed over unread, whatever they hold.
UNREAD = b',"later":1e999', b',"later":"\xff\xfe"'


def test_unknown_fields_cannot_stop_the_request_consumer(bench: Any, wait_until: WaitUntil) -> None:
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
    assert bench.dead_letters() == []  # the tracker keeps them


def test_a_request_from_the_year_2999_is_refused(bench: Any, wait_until: WaitUntil) -> None:
    """The tracker takes no event whose time lies more than a day ahead: a job of such a request would have no row."""
    far = REFUSED % (b"far", b"far", b"far", b"", b"", b"")
    bench.send(bench.topics.requests("puller"), far.replace(b"1900-", b"2999-"))
    with bench.running({"PULL_NHANH_PRODUCTS": work}):
        wait_until(lambda: bench.end_of("far"))
    assert (bench.end_of("far").data.outcome, bench.end_of("far").time.year < 2999) == ("failure", True)
    (letter,) = bench.dead_letters()
    assert "more than 24 hours ahead" in letter.data.reason
    assert bench.rows("select state from inbox where job_id = 'far'") in ([], [("finished",)])


def test_a_message_that_raises_in_the_request_consumer_is_a_dead_letter(bench: Any, wait_until: WaitUntil) -> None:
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


BAD = "Nhanh said \0 and \ud800"


def test_text_that_cannot_be_stored_loses_no_event(bench: Any, wait_until: WaitUntil) -> None:
    def fails(job: RunningJob) -> JobResult | None:
        job.progress(BAD + "x" * 600)
        with job.checkpoint() as checkpoint:
            checkpoint.item("one", "failed", {BAD: BAD}, error=ErrorInfo("PLATFORM_ERROR", BAD, BAD))
            checkpoint.counters.count(failed=1)
            checkpoint.counters.metadata[BAD] = [{"said": BAD}]
        raise JobFailed("PLATFORM_ERROR", BAD + "x" * 600, BAD)

    with bench.running({"PULL_NHANH_PRODUCTS": fails}):
        job_id = bench.request()
        wait_until(lambda: bench.end_of(job_id))
        wait_until(lambda: bench.messages(bench.topics.items))
    end = bench.end_of(job_id).data
    assert (end.error.category, end.error.message) == ("PLATFORM_ERROR", "Nhanh said � and �")
    assert end.metadata["Nhanh said � and �"] == [{"said": "Nhanh said � and �"}]
    (item,) = map(decode, bench.messages(bench.topics.items))
    assert isinstance(item, ItemRecorded)
    assert item.data.ids == {"Nhanh said � and �": "Nhanh said � and �"}
    assert any(event.data.phase.startswith("Nhanh said � and �") for event in bench.events(job_id, Progress))


def endless(levels: int) -> Any:
    return [endless(levels - 1)] if levels else []


@pytest.mark.parametrize(
    ("left", "ending"),
    [
        (object(), None),
        (float("nan"), None),
        (endless(600), None),
        (None, JobResult("failure", ErrorInfo("NO_SUCH_CATEGORY", "x", "y"))),  # pyright: ignore[reportArgumentType]
        (None, JobResult("failure", ErrorInfo("INTERNAL", "x" * 513, "y"))),
    ],
)
def test_an_end_that_fits_into_no_event_is_an_internal_error(
    bench: Any, wait_until: WaitUntil, left: object, ending: JobResult | None
) -> None:
    def leaves(job: RunningJob) -> JobResult | None:
        job.counters.metadata["left"] = left
        job.progress("left")
        return ending

    with bench.running({"PULL_NHANH_PRODUCTS": leaves, "PULL_SHOPIFY_PRODUCTS": work}):
        job_id, other = bench.request(), bench.request("PULL_SHOPIFY_PRODUCTS")
        wait_until(lambda: bench.end_of(job_id) and bench.end_of(other))
    assert (bench.end_of(job_id).data.outcome, bench.end_of(job_id).data.error.category) == ("error", "INTERNAL")
    assert bench.rows("select job_id from inbox where outcome = 'error'") == [(job_id,)]
