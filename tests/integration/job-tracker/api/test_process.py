"""The API as a process: host names, static pages, keep-alive, signals, and servers that are away."""

import json
import re
import select
import signal
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
from tests.api_answers import accepted, problem, shown

from job_events.tokens import encode_token
from local_stack import free_port


def test_a_name_of_somebody_elses_that_leads_here_reads_and_commands_nothing(
    *, api: httpx.Client, start_api: Any
) -> None:
    own, (url, _) = str(api.base_url.port), start_api(JOBTRAIL_API_NAMES="Jobs.example, other.example")
    for host in ("evil.example", f"127.0.0.1.evil.example:{own}", "evil.example.", "[::1"):
        problem(api.get("/jobs", headers={"Host": host}), 421)
        problem(httpx.get(f"{url}/jobs", headers={"Host": host}), 421)
        assert api.post("/jobs", headers={"Host": host, "Origin": f"http://{host}"}).status_code == 421
    for host in (f"127.0.0.1:{own}", f"localhost:{own}", f"[::1]:{own}", "job-tracker:8400", "a.localhost"):
        assert api.get("/healthz", headers={"Host": host}).status_code == 200
    assert httpx.get(f"{url}/healthz", headers={"Host": "JOBS.example:443"}).status_code == 200


def test_the_page_of_all_addresses_needs_nobody_else(*, api: httpx.Client) -> None:
    page = api.get("/", follow_redirects=True)
    assert page.url.path == "/docs"
    linked = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert linked
    for address in linked:
        assert address.startswith("/")
        assert api.get(address).status_code == 200
    assert api.get("/redoc").status_code == 404


def test_who_asks_every_five_seconds_keeps_the_connection_and_sigterm_ends_it_in_time(
    *, start_api: Any, tmp_path: Path
) -> None:
    url, process = start_api()
    asking = HTTPConnection(url.removeprefix("http://"), timeout=120)
    for _ in range(2):
        asking.request("GET", "/healthz")
        assert asking.getresponse().read()
        assert asking.sock is not None
        assert select.select([asking.sock], [], [], 6) == ([], [], []), "the API ended the connection"
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0
    (log,) = tmp_path.iterdir()
    assert "Traceback" not in log.read_text()


# Python drops what is raised while it clears an object away.
LOSES_WHAT_IS_RAISED = """
import os, signal, sys
from job_tracker import bootstrap
from job_tracker.__main__ import main
prepare = bootstrap.prepare_schema
class Cleared:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        sum(range(1000))
def prepare_and_clear(*arguments):
    prepare(*arguments)
    Cleared()
bootstrap.prepare_schema = prepare_and_clear
sys.exit(main())
"""


def test_a_signal_while_it_starts_is_not_lost(system: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOSES_WHAT_IS_RAISED, "api"],
        env=system.environment | {"JOBTRAIL_API_PORT": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Exception ignored in" in done.stderr
    assert done.returncode == 0


def test_who_waits_for_a_token_is_answered_before_the_process_ends(*, system: Any, start_api: Any) -> None:
    url, process = start_api()
    far = encode_token({(system.topics.events, 0): 10**9})
    waiting = HTTPConnection(url.removeprefix("http://"), timeout=120)
    waiting.request("GET", f"/jobs?wait_for={far}&deadline=60")
    assert httpx.get(f"{url}/metrics", timeout=120).is_success  # so the one before has been heard
    process.send_signal(signal.SIGTERM)
    answer = waiting.getresponse()
    assert (answer.status, "known" in json.loads(answer.read())) == (504, True)
    assert process.wait(120) == 0


def test_without_kafka_requests_are_refused_and_questions_answered(*, start_api: Any, asked: Any) -> None:
    url, _ = start_api(KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}")
    with httpx.Client(base_url=url, timeout=120) as client:
        refused = client.post("/jobs", json=asked, headers={"Idempotency-Key": "k"})
        assert "Kafka" in problem(refused, 503)["detail"]
        assert shown(client, "/jobs", tenant=asked["tenant"])["total"] == 0


def test_freshness_tells_waiting_idle_and_dead_apart(
    *, api: httpx.Client, asked: Any, tenant: str, system: Any, wait_until: Any
) -> None:
    made = accepted(api.post("/jobs", json=asked))
    shown(api, "/jobs", made["token"])

    def idle() -> bool:
        fresh = shown(api, "/jobs")["freshness"]
        return fresh["alive"] and fresh["lag_events"] == 0 and fresh["lag_seconds"] < 5

    wait_until(idle, "never fresh")
    system.end_projectors()
    late = accepted(api.post("/jobs", json=asked))
    body = problem(api.get(f"/jobs/{late['job_id']}", params={"wait_for": late["token"], "deadline": 0.2}), 504)
    assert body["known"] is None
    assert body["freshness"]["alive"] is False
    assert (
        problem(api.get("/jobs", params={"tenant": tenant, "wait_for": late["token"], "deadline": 0.1}), 504)["known"][
            "total"
        ]
        == 1
    )
    assert api.get("/readyz").status_code == 503
    assert api.get("/healthz").status_code == 200
    system.projector("b")
    system.projector("b", part="items")
    assert shown(api, f"/jobs/{late['job_id']}", late["token"], deadline=30)["job"]["status"] == "PENDING"
