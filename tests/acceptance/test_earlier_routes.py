"""The routes of the earlier system, and the control of jobs, on a whole system as `jobtrail up` starts it."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from job_tracker.api.earlier_routes import EARLIER_ROUTES

Json = dict[str, Any]
WaitUntil = Callable[..., None]
CONTROL = (Path(__file__).parents[2] / "docs" / "howto" / "control-jobs.md").read_text("utf-8")
TYPES = {route.path: route.job_type for route in EARLIER_ROUTES}
# What runs together: a match needs both pulls, a sync the matches, and a retry something that failed.
PHASES = (
    ("/api/nhanh/pull-products", "/api/nhanh/pull-customers-all"),
    ("/api/nhanh/pull-customers-incremental", "/api/shopify/pull-products-sync", "/api/shopify/pull-customers"),
    ("/api/sync/auto-match-sql", "/api/sync/auto-match-products"),
    ("/api/sync/auto-match", "/api/sync/auto-match-batch", "/api/sync/fix-variant-ids"),
    ("/api/sync/bulk-sync-products", "/api/sync/bulk-sync-background", "/api/sync/sync-product"),
    ("/api/sync/bulk-sync", "/api/sync/sync-customer", "/api/sync/auto-sync", "/api/sync/products/auto-sync"),
)
GOOD = {"success", "partial"}


class EarlierClient:
    """A client of the earlier system: it knows its addresses, and nothing of tenants and accounts."""

    def __init__(self, api: httpx.Client, wait_until: WaitUntil) -> None:
        self.api = api
        self._wait_until = wait_until

    def post(self, path: str, body: Json | None = None) -> str:
        """Request a job; its id."""
        return self.accepted(self.api.post(path, json=body) if body else self.api.post(path))

    def accepted(self, answer: httpx.Response) -> str:
        assert answer.status_code == 200, answer.text
        assert answer.json()["success"] is True
        return answer.json()["jobId"]

    def ended(self, job_id: str) -> Json:
        """The job at its end."""

        def job() -> Json:
            answer = self.api.get(f"/jobs/{job_id}")
            return answer.json()["job"] if answer.is_success else {}

        self._wait_until(lambda: job().get("state") == "finished", f"the end of {job_id}: {job()}")
        return job()

    def data(self, path: str, **query: Any) -> Any:
        answer = self.api.get(path, params=query)
        assert answer.status_code == 200, answer.text
        assert answer.json()["success"] is True
        return answer.json()["data"]


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_each_route_and_each_control_works_to_its_end(user: Any, wait_until: WaitUntil) -> None:
    with user.running("up") as up:
        wait_until(lambda: "Ctrl-C stops everything" in user.output() or up.poll() is not None, "the system to be up")
        assert up.poll() is None, user.output()[-3000:]
        running = json.loads((user.folder / ".jobtrail" / "running.json").read_text())
        with httpx.Client(base_url=running["api"], timeout=120) as api:
            client = EarlierClient(api, wait_until)
            _verify(user, api, wait_until)
            _routes(client)
            _reads_and_edits(client)
            _control(user, api, wait_until)


def _routes(client: EarlierClient) -> None:
    called: list[str] = []
    for phase in PHASES:
        asked = {path: client.post(path, _body(client, path)) for path in phase}
        for path, job_id in asked.items():
            job = client.ended(job_id)
            assert (job["type"], job["account"]) == (TYPES[path], "demo-shop")
            assert job["outcome"] in GOOD, job
        called += asked
    # Nothing has failed, so there is nothing to retry.
    refused = client.api.post("/api/sync/retry-failed")
    assert (refused.status_code, refused.json()["success"]) == (409, False), refused.text
    assert {*called, "/api/sync/retry-failed"} == TYPES.keys()


def _body(client: EarlierClient, path: str) -> Json | None:
    if path == "/api/sync/sync-product":
        return {"mappingId": client.data("/api/sync/product-mapping", status="auto")["mappings"][0]["id"]}
    if path == "/api/sync/sync-customer":
        listed = client.api.get("/matches", params={"kind": "customer", "status": "auto"}).json()["matches"]
        return {"mappingId": listed[0]["hub_id"], "forceSync": True}
    return None


def _reads_and_edits(client: EarlierClient) -> None:
    hub = client.data("/api/nhanh/local-products", page=1, limit=20)["products"]
    channel = client.data("/api/shopify/local-products", page=1, limit=20)["products"]
    assert hub
    assert {row["platform"] for row in channel} == {"shopify"}
    sku = channel[0]["sku"]
    assert sku in [row["sku"] for row in client.data("/api/shopify/search-products", keyword=sku)]
    assert client.data("/api/sync/schedule/global")["enabled"] is False

    path = "/api/sync/product-mapping"
    mapping, other = client.data(path, status="auto")["mappings"][:2]
    for edit in (
        client.api.delete(path, params={"id": other["id"]}),
        client.api.patch(path, json={"id": mapping["id"], "shopifyVariantId": other["shopifyVariantId"]}),
        client.api.delete(path, params={"id": mapping["id"]}),
        client.api.post(path, json={"nhanhProductId": mapping["id"], "shopifyVariantId": mapping["shopifyVariantId"]}),
    ):
        assert client.ended(client.accepted(edit))["outcome"] == "success"
    confirmed = client.data(path, status="confirmed")["mappings"]
    pair = (mapping["id"], mapping["shopifyVariantId"])
    assert pair in [(one["id"], one["shopifyVariantId"]) for one in confirmed]


def _verify(user: Any, api: httpx.Client, wait_until: WaitUntil) -> None:
    """Of a system that works, and of one with a paused queue."""
    good = user.run("jobs", "verify")
    assert good.returncode == 0, good.stdout + good.stderr
    assert re.search(r"All \d+ checks passed", good.stdout)

    def is_paused() -> bool:
        queues = api.get("/queues").json()["queues"]
        return next(queue["queue_paused"] for queue in queues if queue["service"] == "matcher")

    assert user.run("queues", "pause", "matcher", "--reason", "a test").returncode == 0
    wait_until(is_paused, "the pause of the matcher")
    broken = user.run("jobs", "verify", "--timeout", "8")
    assert broken.returncode == 1, broken.stdout
    assert re.search(r"SIMULATE_MATCH state: is .+ after 8 s; the queue of matcher is paused: .+ a test", broken.stderr)
    assert len(broken.stderr.strip().splitlines()) == 1
    assert user.run("queues", "resume", "matcher").returncode == 0
    wait_until(lambda: not is_paused(), "the end of the pause")


def _control(user: Any, api: httpx.Client, wait_until: WaitUntil) -> None:
    """The commands of docs/howto/control-jobs.md, each once; JOB is a job in the state that the command needs."""
    commands = re.findall(r"^ {4}jobtrail (.+)$", CONTROL, re.MULTILINE)
    assert len(commands) >= 15
    assert (
        user.run("accounts", "add", "lan-shop", "shopify", "--base-url", "http://127.0.0.1:9", *_token()).returncode
        == 0
    )
    slow = user.run("jobs", "simulate", "--items", "1000000", "--per-second", "5")
    finished = user.run("jobs", "simulate", "--items", "10", "--per-second", "0", "--failed", "0.5", "--watch")
    unfinished_id, finished_id = (re.findall(r"[0-9a-f-]{36}", said.stdout)[0] for said in (slow, finished))
    wait_until(lambda: api.get(f"/jobs/{unfinished_id}").is_success, "the slow job to arrive")
    for command in commands:
        needs_end = command.startswith(("jobs retry", "jobs delete"))
        typed = re.sub(r"\bJOB\b", finished_id if needs_end else unfinished_id, command)
        done = user.run(*typed.split())
        expected = 1 if "--outcome failure --watch" in command else 0
        assert done.returncode == expected, f"{typed}\n{done.stdout}{done.stderr}"
        if "--param items=20" in command:
            (again,) = re.findall(r"New job ([0-9a-f-]{36})", done.stdout)
            assert user.run("jobs", "watch", again).returncode == 0
            job = api.get(f"/jobs/{again}").json()["job"]
            assert (job["counters"]["total"], job["counters"]["failed"], job["priority"]) == (20, 0, "high")
    wait_until(lambda: api.get(f"/jobs/{finished_id}").status_code == 404, "the deletion of one job")

    def canaries() -> list[str]:
        return [job["state"] for job in api.get("/jobs", params={"tenant": "canary"}).json()["jobs"]]

    wait_until(lambda: set(canaries()) == {"finished"}, "the end of all simulated jobs")
    before = len(canaries())
    deleted = user.run("jobs", "delete", "--older-than", "0s", "--tenant", "canary", "--yes")
    assert f"Deleted {before} jobs" in deleted.stdout, deleted.stdout
    wait_until(lambda: canaries() == [], "the deletion of the simulated jobs")
    assert api.get("/jobs", params={"tenant": "demo"}).json()["total"] > 0


def _token() -> list[str]:
    from platforms.registry import platform

    return [f"--credential={name}=x" for name in platform("shopify").credentials]
