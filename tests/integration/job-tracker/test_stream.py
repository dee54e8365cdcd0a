"""The live stream as clients meet it: cut, slow, filtered, while projectors commit in any order and die."""

import contextlib
import random
import shlex
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.live_stream import LiveEvent, LiveJobs, read_events
from tests.tracker_actions import run

from job_events.tokens import decode_token, encode_token

RANK = {"queued": 0, "running": 1, "finished": 2}
OF_THE_MOMENT = {"health", "eta_seconds"}


def rows(jobs: dict[str, Any]) -> dict[str, Any]:
    """Without what depends on when it was asked."""
    return {
        job_id: {name: value for name, value in job.items() if name not in OF_THE_MOMENT}
        for job_id, job in jobs.items()
    }


class Watcher(LiveJobs):
    """A client that refuses to see a job go back, whatever happened to its connection."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.reasons: list[str] = []
        self._seen: dict[str, tuple[int, int]] = {}

    def apply(self, event: LiveEvent) -> None:
        self.names.append(event.name)
        if event.name == "reset":
            self.reasons.append(event.data["reason"])
        for job in event.data.get("jobs", ()):
            state = (RANK[job["state"]], job["attempt"])
            before = self._seen.get(job["job_id"], state)
            assert state[0] >= before[0] and state[1] >= before[1], (before, job)
            self._seen[job["job_id"]] = state
        super().apply(event)

    def follow(self, url: str, until: Callable[[LiveEvent], bool], **query: Any) -> None:
        """Go on from the last token until `until` says so or the server ends it."""
        headers = {"Last-Event-ID": self.token} if self.token else {}
        with httpx.stream("GET", f"{url}/stream", params=query, headers=headers, timeout=120) as response:
            assert response.status_code == 200, response.read()
            for event in read_events(response.iter_lines()):
                self.apply(event)
                if until(event):
                    return


def table(url: str, **query: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    cursor: dict[str, str] = {}
    while True:
        page = httpx.get(f"{url}/jobs", params={"limit": 200, **query, **cursor}, timeout=120).json()
        found |= {job["job_id"]: job for job in page["jobs"]}
        if page["next"] is None:
            return found
        cursor = {"cursor": page["next"]}


def told_all(url: str) -> Callable[[LiveEvent], bool]:
    """Whether an event's token covers what the table holds now; looked at when something is told."""

    def reached(event: LiveEvent) -> bool:
        if event.token is None:
            return False
        now = decode_token(httpx.get(f"{url}/freshness", timeout=120).json()["jobs"]["freshness"]["token"])
        at = decode_token(event.token)
        return all(at.get(partition, 0) >= offset for partition, offset in now.items())

    return reached


@pytest.mark.long
def test_a_client_cut_at_any_moment_ends_with_the_table_and_sees_no_job_go_back(
    *, system: Any, connection: Any, start_api: Any, stream: Any, wait_until: Any, tmp_path: Path
) -> None:
    """Two APIs in turn, two projectors, one of which is killed and replaced; all events shuffled and doubled."""
    events = stream.shaken(stream.jobs(150))
    both = [system.process("projector", tmp_path / name) for name in ("a", "b")]
    urls = [start_api()[0] for _ in range(2)]
    wait_until(lambda: system.count(connection, "projector") == 2, "both projectors at work")
    sent = threading.Event()
    cuts = threading.Semaphore(2)

    def send() -> None:
        portions = range(0, len(events), 50)
        for begin in portions:
            cuts.acquire(timeout=0.2)  # the next portion comes after a cut, or in the middle of a connection
            system.send(events[begin : begin + 50])
            if begin == portions[len(portions) // 2]:
                both[0].send_signal(signal.SIGKILL)
                system.process("projector", tmp_path / "c")
        sent.set()

    sending = threading.Thread(target=send)
    sending.start()
    chance = random.Random(7)  # noqa: S311 - reproducible, not secret
    watcher = Watcher()
    while not sent.is_set():
        left = chance.randrange(1, 6)

        def cut(_: LiveEvent) -> bool:
            nonlocal left
            left -= 1
            return left == 0 or sent.is_set()

        watcher.follow(chance.choice(urls), cut, limit=200)
        cuts.release()
    sending.join()
    wait_until(lambda: system.count(connection, "event") == len(events), (tmp_path / "b").read_text())
    watcher.follow(urls[0], told_all(urls[0]), limit=200)
    assert rows(watcher.jobs) == rows(table(urls[0]))
    assert len(watcher.jobs) == len({event["subject"] for event in events})
    assert watcher.names.count("snapshot") == 1
    assert watcher.reasons == []


def test_views_are_told_what_leaves_them(
    *, system: Any, connection: Any, start_api: Any, stream: Any, wait_until: Any
) -> None:
    """A view of running jobs, of one tenant, of one job: each equals the list with the same filter, all the time."""
    url, _ = start_api()
    system.projector()
    events = stream.jobs(40)
    chosen = events[0]["subject"]
    other = [event | {"tenant": "other", "subject": f"x-{event['subject']}"} for event in stream.jobs(10)]
    everything = [event for pair in zip(events, other * 9, strict=False) for event in pair]
    views: list[dict[str, Any]] = [
        {"status": ["RUNNING"]},
        {"status": ["COMPLETED", "FAILED"], "tenant": "other"},
        {"tenant": "demo", "account": "shop-1"},
        {"type": "PRODUCT_SYNC", "status": ["PENDING", "RUNNING"]},
        {"job_id": chosen},
        {"chain": f"chain-{chosen}"},
    ]
    watchers = [Watcher() for _ in views]
    done = threading.Event()

    def follow(watcher: Watcher, view: dict[str, Any]) -> None:
        reached = told_all(url)
        watcher.follow(url, lambda event: done.is_set() and reached(event), limit=200, **view)

    threads = [threading.Thread(target=follow, args=pair) for pair in zip(watchers, views, strict=True)]
    for thread in threads:
        thread.start()
    wait_until(lambda: all("snapshot" in watcher.names for watcher in watchers), "no snapshots")
    for begin in range(0, len(everything), 7):
        system.send(everything[begin : begin + 7])
    wait_until(lambda: system.count(connection, "event") == len(everything), "not read")
    done.set()
    for thread in threads:
        thread.join(120)
    for watcher, view in zip(watchers, views, strict=True):
        listed = table(url, **{name: value for name, value in view.items() if name != "job_id"})
        wanted = {chosen: listed[chosen]} if "job_id" in view else listed
        assert rows(watcher.jobs) == rows(wanted), view


@contextlib.contextmanager
def unread(url: str) -> Iterator[socket.socket]:
    """A reader with a small window that takes nothing until it is asked to."""
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        opened.connect((host, int(port)))
        opened.sendall(b"GET /stream?limit=200 HTTP/1.0\r\n\r\n")
        yield opened


@pytest.mark.long
def test_a_slow_reader_is_told_each_job_as_it_is_at_last(
    *, system: Any, connection: Any, start_api: Any, stream: Any, wait_until: Any
) -> None:
    url, _ = start_api()
    system.projector()
    jobs = [stream.job(number, attempts=2, progresses=40) for number in range(30)]
    told = 0
    with unread(url) as reader:
        for step in zip(*jobs, strict=True):
            system.send(list(step))
        count = sum(map(len, jobs))
        wait_until(lambda: system.count(connection, "event") == count, "not read")
        watcher = Watcher()
        reached = told_all(url)
        for event in read_events(line.rstrip("\r\n") for line in reader.makefile(encoding="utf-8")):
            watcher.apply(event)
            told += len(event.data["jobs"]) if event.name == "jobs" else 0
            if reached(event):
                break
    assert rows(watcher.jobs) == rows(table(url))
    assert told < count / 2


def test_what_cannot_be_told_on_is_told_anew(
    *, system: Any, connection: Any, start_api: Any, stream: Any, wait_until: Any, tmp_path: Path
) -> None:
    url, _ = start_api()
    system.projector()
    events = stream.jobs(12)
    begun = Watcher()
    begun.follow(url, lambda event: event.name == "snapshot")
    assert begun.token is not None
    system.send(events)
    wait_until(lambda: system.count(connection, "event") == len(events), "not read")
    now = decode_token(httpx.get(f"{url}/jobs", timeout=120).headers["Jobtrail-Freshness"])
    topic = system.topics.events
    wrong = {
        "ahead": {**now, (topic, 0): now[topic, 0] + 1},
        "other topics": {("another.topic", 0): 5},
    }
    for name, positions in wrong.items():
        watcher = Watcher()
        watcher.token = encode_token(positions)
        watcher.jobs = {"gone": {}}
        watcher.follow(url, lambda event: event.name == "reset", limit=200)
        assert "ahead of the table" in watcher.reasons[0], name
        assert rows(watcher.jobs) == rows(table(url))
    # A partition that came later counts from its beginning, as long as that is held.
    young = Watcher()
    young.token = encode_token({(topic, 0): 0})
    young.follow(url, told_all(url))
    assert (rows(young.jobs), young.reasons) == (rows(table(url)), [])
    # Another table may hold other rows at the same positions; an id says which table it is of.
    watcher = Watcher()
    watcher.follow(url, told_all(url), limit=200)
    assert run(system, "rebuild", "--swap", folder=tmp_path).returncode == 0
    watcher.follow(url, lambda event: event.name == "reset", limit=200)
    assert watcher.reasons == ["the table was rebuilt"]
    assert watcher.token is not None
    assert decode_token(watcher.token) == now
    # By the query, for clients that cannot set headers.
    query = httpx.get(f"{url}/stream", params={"last_event_id": "x"}, timeout=120)
    assert (query.status_code, query.json()["errors"][0]["field"]) == (422, "Last-Event-ID")
    # The history is there no more: nobody may be told half of the way.
    connection.execute('DELETE FROM tracker.event WHERE "offset" = 0')
    watcher = Watcher()
    watcher.token = begun.token
    watcher.follow(url, lambda event: event.name == "reset", limit=200)
    assert "the history knows" in watcher.reasons[0]
    assert rows(watcher.jobs) == rows(table(url))


def test_a_dead_letter_is_no_gap(*, system: Any, connection: Any, start_api: Any, stream: Any, wait_until: Any) -> None:
    url, _ = start_api()
    system.projector()
    watcher = Watcher()
    watcher.follow(url, lambda event: event.name == "snapshot")
    for event in stream.jobs(3):
        system.send([event])
        system.send_raw(b"\xff", key=event["subject"].encode())
    system.flush()
    wait_until(lambda: system.count(connection, "dead_letter") > 5, "not read")
    watcher.follow(url, told_all(url))
    assert (rows(watcher.jobs), watcher.reasons) == (rows(table(url)), [])


def test_cut_connections_to_postgresql_are_not_noticed_by_readers(
    *, system: Any, connection: Any, start_api: Any, stream: Any, wait_until: Any
) -> None:
    url, _ = start_api()
    system.projector()
    events = stream.jobs(20)
    watcher = Watcher()
    done = threading.Event()
    reached = told_all(url)
    thread = threading.Thread(
        target=lambda: watcher.follow(url, lambda event: done.is_set() and reached(event), limit=200)
    )
    thread.start()
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE datname = '{connection.info.dbname}' AND pid <> {connection.info.backend_pid}"
    )
    wait_until(lambda: watcher.names, "no snapshot")
    for begin in range(0, len(events), 20):
        system.send(events[begin : begin + 20])
        connection.execute(cut)
    wait_until(lambda: system.count(connection, "event") == len(events), "not read")
    done.set()
    thread.join(120)
    assert rows(watcher.jobs) == rows(table(url))
    assert watcher.names.count("snapshot") == 1


def test_open_streams_do_not_keep_the_process_from_ending(*, start_api: Any, wait_until: Any, tmp_path: Path) -> None:
    url, process = start_api()
    watchers = [Watcher() for _ in range(20)]
    threads = [threading.Thread(target=lambda w=watcher: w.follow(url, lambda _: False)) for watcher in watchers]
    for thread in threads:
        thread.start()
    wait_until(lambda: all(watcher.names for watcher in watchers), "not all are told")
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) in {0, -signal.SIGTERM}
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    log = next(tmp_path.glob("api-*")).read_text()
    assert "Traceback" not in log, log


def test_the_stream_tells_how_fresh_it_is(*, system: Any, start_api: Any) -> None:
    """An idle log beats on; without a projector the beats say so."""
    url, _ = start_api()
    stop = system.projector()
    alive = Watcher()
    alive.follow(url, lambda event: event.name == "freshness" and event.data["alive"])
    stop.set()
    system.end_projectors()
    dead = Watcher()
    dead.follow(url, lambda event: event.name == "freshness" and not event.data["alive"])
    assert dead.freshness["state"] in {"none", "dead"}


def test_a_deleted_job_is_told_as_removed(
    *, system: Any, connection: Any, start_api: Any, stream: Any, wait_until: Any
) -> None:
    url, _ = start_api()
    system.projector()
    kept, deleted = stream.job(1), stream.job(2)
    system.send([*kept, *deleted])
    count = len(kept) + len(deleted)
    wait_until(lambda: system.count(connection, "event") == count, "not read")
    before, job = Watcher(), deleted[0]["subject"]
    before.follow(url, told_all(url))
    assert job in before.jobs
    httpx.delete(f"{url}/jobs/{job}").raise_for_status()
    wait_until(lambda: system.count(connection, "event") == count + 1, "not deleted")
    # A late event of it brings nothing back.
    system.send([deleted[1]])
    wait_until(lambda: system.count(connection, "event") == count + 2, "not read")
    foreign = Watcher()
    foreign.token, foreign.jobs = before.token, {job: {}}
    foreign.follow(url, told_all(url), tenant="another")
    assert foreign.jobs == {job: {}}
    before.follow(url, told_all(url))
    assert before.jobs.keys() == {kept[0]["subject"]}
    assert before.reasons == []


def test_the_line_of_the_howto_works(*, system: Any, start_api: Any, stream: Any) -> None:
    """With this API's address in the place of the usual one."""
    page = Path(__file__).parents[3] / "docs/howto/stream.md"
    line = next(line.strip() for line in page.read_text().splitlines() if line.strip().startswith("curl "))
    url, _ = start_api()
    system.projector()
    with subprocess.Popen(
        shlex.split(line.replace("http://127.0.0.1:8400", url)), stdout=subprocess.PIPE, text=True
    ) as curl:
        assert curl.stdout
        events = read_events(line.rstrip("\n") for line in curl.stdout)
        assert next(events).name == "snapshot"
        running = stream.job(1, finished=False)
        system.send(running)
        told = next(event for event in events if event.name == "jobs")
        curl.kill()
    assert [job["job_id"] for job in told.data["jobs"]] == [running[0]["subject"]]


def test_one_stream_too_many_is_told_to_come_back_and_a_place_is_free_again(
    *, system: Any, connection: Any, start_api: Any, wait_until: Any
) -> None:
    url, _ = start_api(before="from job_tracker.api import stream; stream.MAX_READERS = 2")

    def opened(stack: contextlib.ExitStack) -> httpx.Response:
        response = stack.enter_context(httpx.stream("GET", f"{url}/stream", timeout=120))
        if response.status_code == 200:
            lines = response.iter_lines()
            stack.callback(lines.close)  # dropped, it would close the stream
            assert next(lines) is not None
        return response

    with contextlib.ExitStack() as stack:
        assert [opened(stack).status_code for _ in range(2)] == [200, 200]
        refused = opened(stack)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert "2 streams are open" in refused.read().decode()
        assert httpx.get(f"{url}/jobs", timeout=120).status_code == 200

    def free() -> bool:
        with contextlib.ExitStack() as stack:
            return opened(stack).status_code == 200

    wait_until(free, "a reader that left to make room")
