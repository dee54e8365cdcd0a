"""The health of jobs through the real API: what is paused is not late, and no worker's clock hides a silence."""

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from psycopg_pool import ConnectionPool
from tests.api_answers import answers, problem, shown

from job_events.envelope import decode
from job_events.events import Control, Requested
from job_tracker.api import health_list, listing
from local_stack import free_port
from service_kit.database import migrate, open_pool
from worker import inbox

Event = dict[str, Any]


@pytest.fixture(scope="module")
def api(shared_system: Any, wait_until: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    port = free_port()
    shared_system.process("api", tmp_path_factory.mktemp("api") / "log", JOBTRAIL_API_PORT=str(port))
    shared_system.projector()
    shared_system.projector(part="items")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
        wait_until(lambda: answers(f"{client.base_url}/readyz"), "the API does not become ready")
        yield client


@pytest.fixture(scope="module")
def connection(shared_system: Any, api: httpx.Client) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(shared_system.database_url, autocommit=True, options="-c timezone=UTC") as opened:
        yield opened


@pytest.fixture
def tenant() -> str:
    return f"tenant-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def puller(shared_system: Any, api: httpx.Client) -> Iterator[ConnectionPool]:
    """The schema of a service that has started, on connections of its own."""
    migrate(shared_system.database_url, "puller", ["worker"])
    with open_pool(shared_system.database_url, "puller", 1) as pool:
        yield pool
        with pool.connection() as conn:
            conn.execute("TRUNCATE inbox, hold, control_seen")


class Jobs:
    """Jobs of one tenant, with events of any age by their own clock."""

    def __init__(self, make_stream: Any, system: Any, api: httpx.Client, wait_until: Any, tenant: str) -> None:
        self.stream = make_stream(7, tenant)
        self.tenant, self._system, self.api, self.wait_until = tenant, system, api, wait_until
        self.requests: dict[str, Event] = {}

    def add(self, *, asked: timedelta, sign: timedelta | None = None, end: bool = False, **info: str) -> str:
        """A job requested so long ago that gave its last sign so long ago; negative is ahead of now."""
        now = datetime.now(UTC)
        job = f"job-{uuid.uuid4()}"
        about = {"type": "PULL_NHANH_PRODUCTS", "account": "shop"} | info
        at, said = now - asked, self.stream.envelope
        events = [said("job.requested.v1", job, f"{job}/0/0", at, {"job": about})]
        self.requests[job] = events[0]
        key = {"job": about, "attempt": 1}
        counters = {"processed": 1, "successful": 1, "failed": 0, "skipped": 0}
        if sign is not None:
            copy = {"id": f"{job}/0/0", "time": events[0]["time"]}
            events.append(
                said("job.started.v1", job, f"{job}/1/1", at, key | {"seq": 1, "request": copy, "worker": "w"})
            )
            progress = key | {"seq": 2, "phase": "reading", "counters": counters}
            events.append(said("job.progress.v1", job, f"{job}/1/2", now - sign, progress))
        if end:
            done = key | {"seq": 3, "outcome": "success", "counters": counters}
            events.append(said("job.finished.v1", job, f"{job}/1/3", at, done))
        self._system.send(events)
        self.wait_until(lambda: self._applied(job, len(events)), "the events are not applied")
        return job

    def control(self, verb: str, subject: str, target: dict[str, str]) -> Control:
        """Ask for a pause, say; answers with the event once the table has it."""
        data = {"target": target, "requested_by": "Lan", "reason": "stocktaking"}
        event_id = f"{subject}/{verb}/{uuid.uuid4()}"
        event = self.stream.envelope(f"job.{verb}.v1", subject, event_id, datetime.now(UTC), data)
        self._system.send([event], self._system.topics.requests("puller"))
        with psycopg.connect(self._system.database_url, autocommit=True) as reader:
            query = "SELECT count(*) FROM tracker.event WHERE event_id = %s"
            self.wait_until(lambda: reader.execute(query, [event_id]).fetchall() == [(1,)], "not applied")
        found = decode(json.dumps(event).encode())
        assert isinstance(found, Control)
        return found

    def health(self, job: str) -> str:
        """The one word, wherever it is shown."""
        listed = {one["job_id"]: one["health"] for one in shown(self.api, "/jobs", tenant=self.tenant)["jobs"]}
        family = shown(self.api, f"/jobs/{job}/family")["job"]["health"]
        (word,) = {listed[job], family, shown(self.api, f"/jobs/{job}")["job"]["health"]}
        return word

    def with_health(self, *words: str, **filters: Any) -> set[str]:
        page = shown(self.api, "/jobs", tenant=self.tenant, health=words, **filters)
        assert page["total"] == len(page["jobs"]) and page["total_exact"]
        assert {one["health"] for one in page["jobs"]} <= set(words)
        return {one["job_id"] for one in page["jobs"]}

    def _applied(self, job: str, count: int) -> bool:
        answer = self.api.get(f"/jobs/{job}/events")
        return answer.is_success and answer.json()["total"] == count


@pytest.fixture
def jobs(make_stream: Any, shared_system: Any, api: httpx.Client, wait_until: Any, tenant: str) -> Jobs:
    return Jobs(make_stream, shared_system, api, wait_until, tenant)


def ago(**parts: float) -> timedelta:
    return timedelta(**parts)


def test_without_any_service_the_words_follow_the_time_waited(jobs: Jobs) -> None:
    words = {
        jobs.add(asked=ago(hours=3), sign=ago(seconds=1)): "ok",
        jobs.add(asked=ago(hours=3), sign=ago(minutes=2)): "late",
        jobs.add(asked=ago(hours=3), sign=ago(minutes=12)): "stalled",
        jobs.add(asked=ago(hours=3), sign=ago(hours=2)): "lost",
        jobs.add(asked=ago(minutes=5)): "ok",
        jobs.add(asked=ago(days=3)): "lost",
        jobs.add(asked=ago(days=3), sign=ago(days=3), end=True): "ok",
    }
    assert {job: jobs.health(job) for job in words} == words
    for word in ("ok", "late", "stalled", "lost", "paused"):
        assert jobs.with_health(word) == {job for job, said in words.items() if said == word}
    assert jobs.with_health("late", "lost") == {job for job, said in words.items() if said in {"late", "lost"}}
    assert jobs.with_health("late", "ok", status="RUNNING") == set(list(words)[:2])
    assert jobs.with_health("lost", status="COMPLETED") == set()
    assert jobs.with_health("lost", type="PULL_NHANH_PRODUCTS", text="shop") == {
        job for job, said in words.items() if said == "lost"
    }


@pytest.mark.parametrize("sign", [None, ago(hours=-23)], ids=["queued", "running"])
def test_a_clock_ahead_hides_no_silence(
    jobs: Jobs, connection: psycopg.Connection[Any], sign: timedelta | None
) -> None:
    """By its own clock the last sign is yet to come; the broker took it long ago."""
    job = jobs.add(asked=ago(hours=-23), sign=sign)
    assert jobs.health(job) == "ok"
    for silent, queued, running in ((2.5, "stalled", "lost"), (22.5, "lost", "lost")):
        connection.execute(
            "UPDATE tracker.event SET appended_at = appended_at - make_interval(secs => %s) WHERE job_id = %s",
            [silent * 3600, job],
        )
        assert jobs.health(job) == (queued if sign is None else running)
    assert jobs.with_health("lost") == {job}
    sign_at = shown(jobs.api, f"/jobs/{job}")["job"]["last_sign_at"]
    assert datetime.fromisoformat(sign_at) < datetime.now(UTC) - ago(hours=24)


def _hold_job(jobs: Jobs, job: str) -> tuple[str, dict[str, str]]:
    return job, {"kind": "job", "job_id": job}


def _hold_account(_jobs: Jobs, _job: str) -> tuple[str, dict[str, str]]:
    return "account.shop", {"kind": "account", "account": "shop"}


def _hold_queue(_jobs: Jobs, _job: str) -> tuple[str, dict[str, str]]:
    return "queue.puller", {"kind": "queue"}


@pytest.mark.parametrize("sign", [None, ago(hours=3)], ids=["queued", "running"])
@pytest.mark.parametrize("hold", [_hold_job, _hold_account, _hold_queue])
def test_what_an_operator_paused_is_paused_and_its_wait_begins_anew_when_it_is_resumed(
    *, jobs: Jobs, puller: ConnectionPool, hold: Callable[[Jobs, str], Any], sign: timedelta | None
) -> None:
    job = jobs.add(asked=ago(days=2), sign=sign)
    other = jobs.add(asked=ago(days=2), sign=sign, account="another")
    finished = jobs.add(asked=ago(days=2), sign=ago(days=2), end=True)
    with puller.connection() as conn:
        for one in (job, other, finished):
            request = decode(json.dumps(jobs.requests[one]).encode())
            assert isinstance(request, Requested)
            inbox.insert_request(conn, request)
    assert jobs.health(job) == jobs.health(other) == "lost"
    target = hold(jobs, job)
    pause = jobs.control("pause", *target)
    with puller.connection() as conn:
        assert inbox.apply_control(conn, pause)
    assert jobs.health(job) == "paused"
    assert jobs.health(other) == ("paused" if hold is _hold_queue else "lost")
    assert jobs.health(finished) == "ok"
    assert job in jobs.with_health("paused") and job not in jobs.with_health("late", "stalled", "lost", "ok")
    resume = jobs.control("resume", *target)
    with puller.connection() as conn:
        assert inbox.apply_control(conn, resume)
    assert jobs.health(job) == "ok"
    assert jobs.health(other) == ("ok" if hold is _hold_queue else "lost")


def test_a_hold_of_another_tenant_or_service_pauses_nothing(jobs: Jobs, puller: ConnectionPool) -> None:
    mine = jobs.add(asked=ago(days=2))
    matching = jobs.add(asked=ago(days=2), type="AUTO_MATCH_PRODUCTS")
    with puller.connection() as conn:
        hold = "INSERT INTO hold (kind, tenant, account, requested_by, reason) VALUES (%s, %s, %s, '', '')"
        conn.execute(hold, ["account", "somebody", "shop"])
    assert jobs.health(mine) == "lost"
    with puller.connection() as conn:
        conn.execute(hold, ["queue", "", ""])
    assert jobs.health(mine) == "paused"  # its service has not even taken the request
    assert jobs.health(matching) == "lost"


def test_a_job_that_ended_at_its_service_is_not_paused(jobs: Jobs, puller: ConnectionPool) -> None:
    job = jobs.add(asked=ago(days=2), sign=ago(hours=3))
    with puller.connection() as conn:
        request = decode(json.dumps(jobs.requests[job]).encode())
        assert isinstance(request, Requested)
        inbox.insert_ended(conn, request, "cancelled")
        conn.execute("UPDATE inbox SET paused = true")
    assert jobs.health(job) == "lost"


def test_a_job_that_sleeps_until_a_platform_is_there_again_owes_no_sign(jobs: Jobs, puller: ConnectionPool) -> None:
    job = jobs.add(asked=ago(days=2), sign=ago(hours=3))
    with puller.connection() as conn:
        request = decode(json.dumps(jobs.requests[job]).encode())
        assert isinstance(request, Requested)
        inbox.insert_request(conn, request)
        conn.execute("UPDATE inbox SET not_before = now() + interval '1 hour'")
    assert jobs.health(job) == "ok"
    with puller.connection() as conn:
        conn.execute("UPDATE inbox SET not_before = NULL")
    assert jobs.health(job) == "lost"


def test_pages_by_health_hold_each_job_once(jobs: Jobs, api: httpx.Client) -> None:
    lost = {jobs.add(asked=ago(days=2, minutes=n)) for n in range(7)}
    for n in range(3):
        jobs.add(asked=ago(minutes=n))
    found: list[str] = []
    cursor, pages = None, 0
    while pages == 0 or cursor:
        query: dict[str, Any] = {"tenant": jobs.tenant, "health": "lost", "limit": 3}
        page = shown(api, "/jobs", **query | ({"cursor": cursor} if cursor else {}))
        found += [one["job_id"] for one in page["jobs"]]
        assert page["total"] == 7
        cursor, pages = page["next"], pages + 1
        if cursor:
            other = query | {"health": "late", "cursor": cursor}
            problem(api.get("/jobs", params=other), 422, "cursor")
    assert (len(found), set(found), pages) == (7, lost, 3)
    problem(api.get("/jobs", params={"health": "ill"}), 422, "health[0]")


def test_a_request_from_the_year_2999_leads_no_list(jobs: Jobs, api: httpx.Client, shared_system: Any) -> None:
    """It is a dead letter, like every event whose time lies more than a day ahead; up to a day it is taken."""
    near = jobs.add(asked=ago(hours=-23, minutes=-59))
    far = f"job-{uuid.uuid4()}"
    for kind, data in (
        ("job.requested.v1", {"job": {"type": "PRODUCT_SYNC", "account": "shop"}}),
        ("job.deleted.v1", {"job": {"type": "PRODUCT_SYNC", "account": "shop"}}),
    ):
        event = jobs.stream.envelope(kind, far, f"{far}/{kind}", datetime(2999, 12, 31, tzinfo=UTC), data)
        shared_system.send([event])
    item = {"job": {"type": "PRODUCT_SYNC", "account": "shop"}, "attempt": 1, "item": "1", "action": "failed"}
    ahead = datetime.now(UTC) + ago(hours=24, minutes=5)
    shared_system.send(
        [jobs.stream.envelope("item.recorded.v1", far, f"{far}/1/1", ahead, item)], shared_system.topics.items
    )
    last = jobs.add(asked=ago(seconds=1))
    assert [one["job_id"] for one in shown(api, "/jobs", tenant=jobs.tenant)["jobs"]] == [near, last]
    problem(api.get(f"/jobs/{far}"), 404)
    with psycopg.connect(shared_system.database_url) as reader:
        query = "SELECT count(*) FROM tracker.dead_letter WHERE job_id = %s AND reason LIKE '%%24 hours ahead%%'"
        jobs.wait_until(lambda: reader.execute(query, [far]).fetchall() == [(3,)], "letters")


def test_a_scan_that_ends_before_the_list_says_so_and_goes_on(
    *, jobs: Jobs, shared_system: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    from job_tracker.api import list_statements
    from job_tracker.api.freshness import reader_pool
    from job_tracker.api.jobs import JOBS
    from job_tracker.api.list_statements import ListQuery

    for module in (listing, list_statements):
        monkeypatch.setattr(module, "SCAN_ROWS", 2)
    lost = [jobs.add(asked=ago(days=2, minutes=n)) for n in range(2)]
    for n in range(4):
        jobs.add(asked=ago(minutes=n))

    async def pages() -> list[tuple[list[str], bool]]:
        pool = reader_pool(shared_system.database_url, 1)
        await pool.open()
        found: list[tuple[list[str], bool]] = []
        cursor: str | None = None
        while not found or cursor:
            async with pool.connection() as connection, connection.transaction():
                wanted = ListQuery(filters={"tenant": [jobs.tenant]}, cursor=cursor, limit=5)
                page, _ = await health_list.page_by_health(connection, JOBS, wanted, ["lost"], datetime.now(UTC))
            found.append(([row["job_id"] for row in page["jobs"]], page["partial"]))
            cursor = page["next"]
        await pool.close()
        return found

    assert asyncio.run(pages()) == [([], True), ([], True), (lost, False)]
