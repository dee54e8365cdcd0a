"""Requests and chain steps that only a newer version can read are kept, until it comes or somebody ends them."""

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import msgspec
import psycopg
import pytest

from job_events import job_types
from job_events.envelope import decode
from job_events.events import Requested, Then
from job_events.job_params import PullParams
from job_events.job_types import JOB_TYPES, JobType
from worker.job import RunningJob
from worker.job_result import JobResult

WaitUntil = Callable[..., None]
PULL, NEW, TODAY = "PULL_NHANH_PRODUCTS", "PULL_LAZADA_PRODUCTS", "PULL_SHOPIFY_PRODUCTS"
Upgrade = Callable[..., AbstractContextManager[None]]


class NewerParams(PullParams, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """With a parameter of tomorrow."""

    since: str | None = None


@pytest.fixture
def upgraded(monkeypatch: pytest.MonkeyPatch) -> Upgrade:
    """While it is entered, the code is that of the next release."""

    @contextmanager
    def upgrade(owner: Any = "puller"):
        with monkeypatch.context() as patch:
            patch.setitem(JOB_TYPES, NEW, JobType(NEW, owner, PullParams, "Read all products from Lazada"))
            patch.setitem(JOB_TYPES, PULL, replace(JOB_TYPES[PULL], params=NewerParams))
            yield

    return upgrade


def done(_job: RunningJob) -> JobResult | None:
    return None


OLD = dict.fromkeys([PULL, TODAY], done)
ALL = dict.fromkeys([PULL, TODAY, NEW], done)


def waiting(bench: Any) -> list[tuple[Any, ...]]:
    return bench.rows("select kind, job_id, tenant, account, job_type, reason from api_waiting order by job_type")


def test_a_request_of_an_unknown_type_or_with_an_unknown_parameter_waits_for_its_version(
    bench: Any, wait_until: WaitUntil, upgraded: Upgrade
) -> None:
    read: list[object] = []

    def work(job: RunningJob) -> JobResult | None:
        read.append(msgspec.to_builtins(job.params))
        return None

    with bench.running(OLD):
        new_type, new_field = bench.request(NEW), bench.request(PULL, params={"since": "2026-01-01"})
        today = bench.request(TODAY)
        wait_until(lambda: bench.end_of(today))
        wait_until(lambda: len(waiting(bench)) == 2)
    assert [row[:5] for row in waiting(bench)] == [
        ("job", new_type, "t", "shop", NEW),
        ("job", new_field, "t", "shop", PULL),
    ]
    assert [repr(NEW) in waiting(bench)[0][5], "'since'" in waiting(bench)[1][5]] == [True, True]
    assert bench.dead_letters() == []
    with bench.running(OLD, group="replayed"):  # the old version again changes nothing
        again = bench.request(TODAY)
        wait_until(lambda: bench.end_of(again))
    assert len(waiting(bench)) == 2
    with upgraded(), bench.running(dict.fromkeys(ALL, work)):
        wait_until(lambda: bench.end_of(new_type) and bench.end_of(new_field))
    for job_id in (new_type, new_field):
        assert (bench.end_of(job_id).data.outcome, bench.end_of(job_id).data.attempt) == ("success", 1)
    assert {"since": "2026-01-01"} in read
    assert waiting(bench) == []


def test_an_old_process_gives_back_what_a_new_one_has_taken_in(
    bench: Any, wait_until: WaitUntil, upgraded: Upgrade
) -> None:
    """Both run at once during the upgrade, and share the inbox."""
    with upgraded(), bench.running({}):
        job_id = bench.request(PULL, params={"since": "2026-01-01"})
        wait_until(lambda: bench.rows("select 1 from inbox"))
    with bench.running(OLD):
        wait_until(lambda: waiting(bench))
    assert bench.rows("select state, attempt from inbox") == [("queued", 0)]
    with upgraded(), bench.running(ALL):
        wait_until(lambda: bench.end_of(job_id))
    assert (bench.end_of(job_id).data.outcome, bench.end_of(job_id).data.attempt) == ("success", 1)


def test_a_newer_version_of_the_request_event_is_kept_as_it_came(bench: Any, wait_until: WaitUntil) -> None:
    value = (
        b'{"type":"job.requested.v2","specversion":"1.0","id":"j/0/0","source":"s","subject":"j","tenant":"t","correlationid'
        b'":"j","time":"2026-01-01T00:00:00Z","data":{"job":{"type":"PULL_NHANH_PRODUCTS","account":"shop"},"new":[1,2]}}'
    )
    with bench.running(OLD):
        bench.send(bench.topics.requests("puller"), value)
        bench.send(bench.topics.requests("puller"), value.replace(b"job.requested.v2", b"job.reordered.v1"))
        good = bench.request(PULL)  # what no version of the contract knows is the tracker's dead letter
        wait_until(lambda: bench.end_of(good))
        wait_until(lambda: waiting(bench))
    assert bench.rows("select request::bytea from inbox where job_id = 'j'") == [(value,)]
    assert bench.end_of("j") is None
    with bench.running(OLD):
        bench.control("cancel", "j")
        wait_until(lambda: bench.end_of("j"))
    assert (bench.end_of("j").data.outcome, bench.end_of("j").data.job.type) == ("cancelled", PULL)


@pytest.mark.parametrize("kind", ["job", "account", "queue"])
def test_an_operator_ends_what_waits(bench: Any, wait_until: WaitUntil, kind: str) -> None:
    with bench.running(OLD):
        job_id = bench.request(NEW)
        parent = bench.request(PULL, then=(Then(NEW, (PULL,)),))
        wait_until(lambda: bench.end_of(parent) and len(waiting(bench)) == 2)
        bench.control("cancel", job_id, kind)
        if kind == "job":
            bench.control("cancel", parent)
        wait_until(lambda: bench.end_of(job_id))
        wait_until(lambda: waiting(bench) == [])
    assert (bench.end_of(job_id).data.outcome, bench.end_of(job_id).data.attempt) == ("cancelled", 0)


def children(bench: Any, service: str = "puller") -> list[Requested]:
    requests = map(decode, bench.messages(bench.topics.requests(service)))
    return [event for event in requests if isinstance(event, Requested) and event.data.parents]


def test_a_chain_step_of_an_unknown_type_waits_and_makes_one_child(
    bench: Any, wait_until: WaitUntil, upgraded: Upgrade
) -> None:
    step = (Then(NEW, (PULL, TODAY)), Then(TODAY, (PULL,)))
    with bench.running(OLD):
        one = bench.request(PULL, chain="nightly", then=step)
        wait_until(lambda: len(children(bench)) == 1)  # the step that is known goes on
        wait_until(lambda: waiting(bench))
        other = bench.request(TODAY, chain="nightly", then=step[:1])
        wait_until(lambda: bench.end_of(other) and len(waiting(bench)) == 2)
    assert {row[:5] for row in waiting(bench)} == {("step", job_id, "t", "shop", NEW) for job_id in (one, other)}
    with upgraded(), bench.running(ALL):
        wait_until(lambda: len(children(bench)) == 2)
        (child,) = [event for event in children(bench) if event.data.job.type == NEW]
        wait_until(lambda: bench.end_of(child.job_id))
    assert child.data.parents == tuple(sorted([one, other]))
    assert waiting(bench) == []
    with upgraded(), bench.running(ALL, group="replayed"):
        marker = bench.request(TODAY)
        wait_until(lambda: bench.end_of(marker))
    assert len(children(bench)) == 2


def test_a_service_forgets_kept_steps_that_are_anothers(bench: Any, wait_until: WaitUntil, upgraded: Upgrade) -> None:
    with bench.running(OLD):
        parent = bench.request(PULL, then=(Then(NEW, (PULL,)),))
        wait_until(lambda: bench.end_of(parent) and waiting(bench))
    with upgraded("matcher"), bench.running(OLD):
        wait_until(lambda: waiting(bench) == [])
    assert children(bench) == [] and bench.rows("select 1 from outbox") == []


def test_a_step_kept_by_an_old_process_goes_on_while_the_new_one_runs(
    bench: Any, wait_until: WaitUntil, upgraded: Upgrade, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.request_consumer._KEPT_SECONDS", 0.2)
    with bench.running(OLD):
        parent = bench.request(PULL, then=(Then(NEW, (PULL,)),))
        wait_until(lambda: bench.end_of(parent) and waiting(bench))
    with psycopg.connect(bench.database_url, options="-c search_path=puller") as connection:
        ((row,),) = connection.execute("delete from kept_step returning to_jsonb(kept_step)::text").fetchall()
        connection.commit()
        with upgraded(), bench.running(ALL):
            marker = bench.request(TODAY)
            wait_until(lambda: bench.end_of(marker))
            connection.execute(
                "insert into kept_step select (jsonb_populate_record(null::kept_step, %s::jsonb)).*", [row]
            )
            connection.commit()
            wait_until(lambda: children(bench))
            wait_until(lambda: bench.end_of(children(bench)[0].job_id))


def test_two_contracts_have_two_versions(upgraded: Upgrade) -> None:
    before = job_types.contract_version()
    with upgraded():
        assert job_types.contract_version() != before
    assert job_types.contract_version() == before
