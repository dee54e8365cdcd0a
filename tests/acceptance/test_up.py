"""`jobtrail up` as an operator uses it: the README's commands, Kafka's tools, replays, kills, bad input, and `down`."""

import json
import re
import subprocess
from collections.abc import Callable
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from confluent_kafka.admin import AdminClient
from tests.checked_producer import CheckedProducer

from service_kit.kafka_admin import group_members

WaitUntil = Callable[..., None]
HELD = "select * from {table} order by 1, 2"


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_an_operators_day(
    user: Any,
    wait_until: WaitUntil,
    service_process: Callable[[subprocess.Popen[str], tuple[str, ...]], psutil.Process | None],
) -> None:
    first = user.run("demo", timeout=800)
    assert first.returncode == 0, first.stdout[-3000:] + first.stderr
    with user.running("up") as up:
        running_file = user.folder / ".jobtrail" / "running.json"
        wait_until(running_file.is_file, "the system to be up")
        running = json.loads(running_file.read_text())
        wait_until(lambda: running["api"] in user.output())
        api = httpx.Client(base_url=running["api"], timeout=120)

        assert user.run("check").returncode == 0
        listed = user.run("jobs", "list")
        assert "PRODUCT_SYNC" in listed.stdout and "COMPLETED" in listed.stdout
        assert re.search(r"^\d+ shown of \d+$", listed.stdout, re.MULTILINE)

        # A second system on the same folder is refused in one sentence.
        refused = user.run("up")
        assert refused.returncode == 1
        assert "in use by" in refused.stderr and len(refused.stderr.strip().splitlines()) == 1

        groups = user.run("kafka", "consumer-groups", "--describe", "--all-groups")
        assert groups.returncode == 0, groups.stderr
        for group in ("tracker-jobs", "tracker-items", "puller", "matcher", "syncer"):
            assert re.search(rf"^{group} +jobs\.", groups.stdout, re.MULTILINE), groups.stdout
        read = user.run(
            *("kafka", "console-consumer", "--topic", "jobs.events", "--from-beginning", "--max-messages", "3")
        )
        assert [json.loads(line)["specversion"] for line in read.stdout.splitlines() if line.startswith("{")] == [
            "1.0"
        ] * 3

        _bad_input(api, running, wait_until)
        _replay(user, up, running, wait_until, service_process, api)

        started = user.run("jobs", "start", "PULL_NHANH_PRODUCTS", "--tenant", "demo", "--account", "demo-shop")
        assert started.returncode == 0, started.stderr
        (job_id,) = re.findall(r"[0-9a-f-]{36}", started.stdout)[:1]
        assert user.run("jobs", "watch", job_id).returncode == 0
        retried = user.run("jobs", "retry", job_id)
        (retry_id,) = re.findall(r"[0-9a-f-]{36}", retried.stdout)[:1]
        assert user.run("jobs", "watch", retry_id).returncode == 0
        family = api.get(f"/jobs/{job_id}/family").json()
        assert {job["job_id"] for job in family["retries"]} == {job_id, retry_id}
        assert "applied" in user.run("jobs", "show", job_id).stdout

        ended = user.run("down")
        assert ended.returncode == 0
        wait_until(lambda: up.poll() is not None, "down to end what up had started")
        assert up.returncode == 0
        assert "Stopped by `down`" in user.output()
    assert user.run("jobs", "list").returncode == 1


def _bad_input(api: httpx.Client, running: dict[str, str], wait_until: WaitUntil) -> None:
    """Refused by the API with the field; put on the topic all the same, it ends as a failed job and a dead letter."""
    good = {"type": "PULL_NHANH_PRODUCTS", "tenant": "demo", "account": "demo-shop"}
    for change, field in (
        ({"type": "NO_SUCH_JOB"}, "type"),
        ({"account": "nobody"}, "account"),
        ({"params": {"page_size": -1}}, "params.page_size"),
    ):
        answer = api.post("/jobs", json=good | change)
        assert 400 <= answer.status_code < 500
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert any(error["field"] == field for error in answer.json()["errors"]), answer.text
    producer = CheckedProducer(running["kafka"])
    bad = {
        "type": "job.requested.v1",
        "specversion": "1.0",
        "id": "x/0/0",
        "source": "test",
        "subject": "job-of-a-stranger",
        "time": "2026-11-22T00:00:00Z",
        "tenant": "demo",
        "correlationid": "c",
        "data": {"job": {"type": "PULL_NHANH_PRODUCTS", "account": "demo-shop"}, "params": {"page_size": -1}},
    }
    producer.produce("jobs.requests.puller", json.dumps(bad).encode(), "demo/demo-shop")
    producer.produce("jobs.requests.puller", b"\xff not json", "demo/demo-shop")
    producer.flush()

    def failed() -> bool:
        answer = api.get("/jobs/job-of-a-stranger")
        return answer.status_code == 200 and answer.json()["job"]["state"] == "finished"

    wait_until(failed)
    error = api.get("/jobs/job-of-a-stranger").json()["job"]["error"]
    assert error["category"] == "VALIDATION_FAILED" and "page_size" in error["message"]

    def letters() -> list[dict[str, Any]]:
        return api.get("/dead-letters", params={"topic": "jobs.requests.puller"}).json()["dead_letters"]

    # One bad record is one dead letter, whoever reads the topic.
    wait_until(lambda: any(letter["consumer"] == "job-tracker" for letter in letters()))
    places = [(letter["partition"], letter["offset"]) for letter in letters()]
    assert len(places) == len(set(places))
    assert all(letter["reason"] for letter in letters())


def _replay(
    user: Any,
    up: subprocess.Popen[str],
    running: dict[str, str],
    wait_until: WaitUntil,
    service_process: Callable[[subprocess.Popen[str], tuple[str, ...]], psutil.Process | None],
    api: httpx.Client,
) -> None:
    """Groups that begin anew at the earliest offset change no row and repeat no work."""

    def rows() -> dict[str, list[tuple[Any, ...]]]:
        tables = ("tracker.job", "puller.inbox", "syncer.inbox", "matcher.inbox", "syncer.written", "matcher.match")
        with psycopg.connect(running["database"]) as connection:
            return {table: connection.execute(HELD.format(table=table)).fetchall() for table in tables}  # pyright: ignore[reportArgumentType, reportCallIssue]

    before = rows()
    admin = AdminClient({"bootstrap.servers": running["kafka"], "log_level": 0})
    commands = {"tracker-jobs": ("job_tracker", "projector"), "puller": ("puller",), "syncer": ("syncer",)}
    for group, command in commands.items():
        # A group with members refuses a reset; its service is suspended in the broker's eyes by a kill, and the
        # supervisor brings it back to the offsets that the reset has set meanwhile.
        reset = [
            "kafka",
            "consumer-groups",
            "--group",
            group,
            "--reset-offsets",
            "--to-earliest",
            "--all-topics",
            "--execute",
        ]

        def suspended_reset(group: str = group, command: tuple[str, ...] = command, reset: list[str] = reset) -> bool:
            found = service_process(up, command)
            if found is None:
                return False
            found.suspend()
            try:
                wait_until(lambda: group_members(admin, group, 20) == 0, f"the broker to give {group}'s member up")
                return "NEW-OFFSET" in user.run(*reset).stdout
            finally:
                found.kill()

        wait_until(suspended_reset, f"the reset of {group}")
    wait_until(lambda: api.get("/readyz").status_code == 200)

    def caught_up() -> bool:
        said = user.run("check").stdout
        lags = [re.search(rf"{group}\D+\d+\D+([\d,]+)", said) for group in commands]
        return all(lag is not None and lag[1] == "0" for lag in lags)

    wait_until(caught_up, "the groups to read everything again")
    assert rows() == before
