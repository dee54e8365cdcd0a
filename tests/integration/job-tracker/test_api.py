"""The API as people meet it: the real process, real HTTP, a real broker and database."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from local_stack import free_port
from platforms.migrate import migrate as migrate_accounts


@pytest.fixture
def api(
    *, system: Any, connection: psycopg.Connection[Any], database_url: str, wait_until: Any, tmp_path: Path
) -> Iterator[httpx.Client]:
    migrate_accounts(database_url)
    connection.execute("INSERT INTO accounts.account (tenant, account) VALUES ('demo', 'demo-shop')")
    port = free_port()
    system.process("api", tmp_path / "api.log", JOBTRAIL_API_PORT=str(port))
    system.projector()
    system.projector(part="items")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:

        def ready() -> bool:
            try:
                return client.get("/readyz").status_code == 200
            except httpx.TransportError:
                return False

        wait_until(ready, 60, "the API does not become ready")
        yield client


ASKED = {"type": "PULL_NHANH_PRODUCTS", "tenant": "demo", "account": "demo-shop"}


def accepted(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 202, response.text
    return response.json()


def shown(api: httpx.Client, path: str, token: str | None = None, **query: Any) -> dict[str, Any]:
    response = api.get(path, params=query | ({"wait_for": token} if token else {}))
    assert response.status_code == 200, response.text
    assert response.headers["Jobtrail-Freshness"] == response.json()["freshness"]["token"]
    return response.json()


def problem(response: httpx.Response, status: int, field: str | None = None) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    if field is not None:
        assert field in [error["field"] for error in body["errors"]], body
    return body


def test_a_job_is_read_where_it_was_asked_for(*, api: httpx.Client, system: Any, stream: Any) -> None:
    then = [{"type": "AUTO_MATCH_PRODUCTS", "needs": ["PULL_NHANH_PRODUCTS"]}]
    asked = accepted(
        api.post("/jobs", json={**ASKED, "then": then, "priority": "urgent"}, headers={"Jobtrail-Actor": "Lan"})
    )
    answer = shown(api, f"/jobs/{asked['job_id']}", asked["token"])
    job = answer["job"]
    assert (job["status"], job["health"], job["priority"], job["requested_by"]) == ("PENDING", "ok", "urgent", "Lan")
    assert job["then"][0]["type"] == "AUTO_MATCH_PRODUCTS"
    assert job["chain"] == asked["chain"]
    assert answer["freshness"]["alive"] is True
    assert shown(api, "/jobs", account="demo-shop")["jobs"][0]["job_id"] == asked["job_id"]
    assert shown(api, "/stats")["by_status"] == {"PENDING": 1}


def test_the_same_key_asks_once(*, api: httpx.Client) -> None:
    key = {"Idempotency-Key": "order-1"}
    first = api.post("/jobs", json=ASKED, headers=key)
    again = api.post("/jobs", json=dict(reversed(ASKED.items())), headers=key)
    assert accepted(first) == accepted(again)
    assert again.headers["Idempotent-Replayed"] == "true"
    problem(api.post("/jobs", json={**ASKED, "priority": "low"}, headers=key), 422, "Idempotency-Key")
    assert shown(api, "/jobs", accepted(first)["token"])["total"] == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": "MAKE_COFFEE"}, "type"),
        ({"account": "nobody"}, "account"),
        ({"params": {"page_size": 0}}, "params.page_size"),
        ({"params": {"colour": "red"}}, "params"),
        ({"then": [{"type": "PRODUCT_SYNC", "needs": []}]}, "then[0].needs"),
        ({"then": [{"needs": []}]}, "then[0]"),
        ({"priority": "whenever"}, "priority"),
        ({"tenant": ""}, "tenant"),
        ({"colour": "red"}, "colour"),
        ({"batch": "a\u0000b"}, "body"),
    ],
)
def test_what_is_wrong_is_named(*, api: httpx.Client, change: dict[str, Any], field: str) -> None:
    problem(api.post("/jobs", json={**ASKED, **change}), 422, field)
    assert shown(api, "/jobs")["total"] == 0


def test_unknown_things_and_broken_questions_are_problems(*, api: httpx.Client) -> None:
    problem(api.get("/jobs/nothing"), 404, "job_id")
    problem(api.get("/nowhere"), 404)
    problem(api.put("/jobs"), 405)
    problem(api.get("/jobs", params={"limit": 201}), 422, "limit")
    problem(api.get("/jobs", params={"cursor": "x"}), 422, "cursor")
    problem(api.get("/jobs", params={"status": "LOST"}), 422, "status[0]")
    problem(api.get("/jobs", params={"from": "2026-01-01T00:00:00"}), 422, "from")
    problem(api.get("/jobs", params={"wait_for": "x"}), 422, "wait_for")
    problem(api.get("/jobs/a%00b"), 422)
    problem(api.post("/jobs", content=b"{", headers={"content-type": "application/json"}), 422)
    problem(api.post("/jobs", content=b"x" * 1_100_000), 413)


def test_lists_page_each_job_once(*, api: httpx.Client, system: Any, stream: Any, wait_until: Any) -> None:
    events = stream.jobs(30)
    system.send(events)
    ids = {event["subject"] for event in events}
    wait_until(lambda: shown(api, "/jobs")["total"] == len(ids), 30, "not all jobs are there")
    for query in ({}, {"status": ["COMPLETED", "FAILED"]}, {"text": "SHOP-1"}, {"type": "PRODUCT_SYNC"}):
        pages: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = shown(api, "/jobs", limit=7, **query, **({"cursor": cursor} if cursor else {}))
            pages += page["jobs"]
            cursor = page["next"]
            if cursor is None:
                break
        found = [job["job_id"] for job in pages]
        assert len(found) == len(set(found)) == page["total"]
        assert [job["created_at"] for job in pages] == sorted((job["created_at"] for job in pages), reverse=True)
        assert {job["account"] for job in pages} == {"shop-1"} or "text" not in query
        assert {job["status"] for job in pages} <= {"COMPLETED", "FAILED"} or "status" not in query
    counted = shown(api, "/stats")
    assert counted["jobs"] == len(ids)
    for status, jobs in counted["by_status"].items():
        assert shown(api, "/jobs", status=status)["total"] == jobs


def test_the_timeline_judges_each_event(*, api: httpx.Client, system: Any, stream: Any, wait_until: Any) -> None:
    request, start, first, second, end = stream.job(1, attempts=1, progresses=2)
    job = request["subject"]
    for event in (start, second, first, second, end, start):
        system.send([event])
    wait_until(lambda: shown(api, f"/jobs/{job}/events", limit=200)["total"] == 6, 30, "events are missing")
    verdicts = [(event["event_id"], event["verdict"]) for event in shown(api, f"/jobs/{job}/events")["events"]]
    assert verdicts == [
        (start["id"], "applied"),
        (second["id"], "applied"),
        (first["id"], "superseded"),
        (second["id"], "duplicate"),
        (end["id"], "applied"),
        (start["id"], "duplicate"),
    ]
    page = shown(api, f"/jobs/{job}/events", limit=4)
    rest = shown(api, f"/jobs/{job}/events", limit=4, cursor=page["next"])
    assert [event["event_id"] for event in page["events"] + rest["events"]] == [name for name, _ in verdicts]
    assert page["events"][1]["data"] == second["data"]


def test_control_and_retry(*, api: httpx.Client, system: Any, stream: Any) -> None:
    asked = accepted(api.post("/jobs", json={**ASKED, "params": {"page_size": 20}}))
    job = asked["job_id"]
    shown(api, f"/jobs/{job}", asked["token"])
    problem(api.post(f"/jobs/{job}/retry"), 409)
    for verb in ("pause", "resume", "cancel"):
        answer = accepted(api.post(f"/jobs/{job}/{verb}", json={"reason": "because"}))
        events = shown(api, f"/jobs/{job}/events", answer["token"])["events"]
        assert (events[-1]["type"], events[-1]["verdict"]) == (f"job.{verb}.v1", "applied")
    end = stream.job(1, attempts=1, progresses=0)[-1] | {"subject": job, "correlationid": asked["chain"]}
    end["data"] |= {"job": {"type": ASKED["type"], "account": ASKED["account"]}, "outcome": "cancelled"}
    system.send([end])
    while shown(api, f"/jobs/{job}")["job"]["status"] != "CANCELLED":
        pass
    problem(api.post(f"/jobs/{job}/cancel"), 409)
    problem(api.post("/jobs/nothing/cancel"), 404)
    again = accepted(api.post(f"/jobs/{job}/retry"))
    new = shown(api, f"/jobs/{again['job_id']}", again["token"])["job"]
    assert (new["retry_of"], new["params"], new["chain"]) == (job, {"page_size": 20}, asked["chain"])
    for member in (job, again["job_id"]):
        family = shown(api, f"/jobs/{member}/family")
        assert [one["job_id"] for one in family["retries"]] == [job, again["job_id"]]
        assert len(family["chain"]) == 2


def test_queues_accounts_and_mappings_are_changed_by_events(*, api: httpx.Client) -> None:
    accepted(api.post("/queues/syncer/pause", json={"reason": "stocktaking"}))
    accepted(api.post("/accounts/demo/demo-shop/resume"))
    problem(api.post("/accounts/demo/nobody/pause"), 404, "account")
    body = {"tenant": "demo", "account": "demo-shop", "kind": "product", "nhanh_id": "7", "shopify_id": "gid://8"}
    made = [
        accepted(api.post("/matches", json=body)),
        accepted(api.patch("/matches/product/7", json={k: body[k] for k in ("tenant", "account", "shopify_id")})),
        accepted(api.delete("/matches/product/7", params={"tenant": "demo", "account": "demo-shop"})),
    ]
    actions = [shown(api, f"/jobs/{one['job_id']}", one["token"])["job"]["params"]["action"] for one in made]
    assert actions == ["create", "correct", "delete"]


def test_other_services_lists_are_empty_until_they_start(*, api: httpx.Client, connection: Any) -> None:
    for path, name in (("/products", "products"), ("/customers", "customers"), ("/matches", "matches")):
        answer = shown(api, path, text="x")
        assert answer[name] == []
        assert "has never started" in answer["missing"]
    assert [queue["available"] for queue in shown(api, "/queues")["queues"]] == [False, False, False]
    accounts = shown(api, "/accounts")["accounts"]
    assert [account["account"] for account in accounts] == ["demo-shop"]
    assert shown(api, "/dead-letters")["dead_letters"] == []
    connection.execute("CREATE SCHEMA puller")
    connection.execute(
        "CREATE VIEW puller.api_products AS SELECT 'demo' AS tenant, 'demo-shop' AS account, 'nhanh' AS platform, "
        "n::text AS product_id, n::text AS variant_id, 'Áo ' || n AS title, '' AS variant_title, '' AS brand, "
        "'' AS model, 'SKU-' || n AS sku, NULL AS barcode, 1.5 AS price FROM generate_series(1, 120) AS n"
    )
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = shown(api, "/products", text="sku-", limit=50, **cursor)
        found += [product["product_id"] for product in page["products"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert len(found) == len(set(found)) == page["total"] == 120


def test_freshness_tells_waiting_idle_and_dead_apart(
    *, api: httpx.Client, system: Any, stream: Any, wait_until: Any
) -> None:
    asked = accepted(api.post("/jobs", json=ASKED))
    shown(api, "/jobs", asked["token"])
    wait_until(lambda: shown(api, "/jobs")["freshness"]["lag_events"] == 0, 10, "never fresh")
    idle = shown(api, "/jobs")["freshness"]
    assert idle["alive"] is True
    assert idle["lag_seconds"] < 5
    system.end_projectors()
    late = accepted(api.post("/jobs", json=ASKED))
    body = problem(api.get(f"/jobs/{late['job_id']}", params={"wait_for": late["token"], "deadline": 0.2}), 504)
    assert body["known"] is None
    assert body["freshness"]["alive"] is False
    assert problem(api.get("/jobs", params={"wait_for": late["token"], "deadline": 0.1}), 504)["known"]["total"] == 1
    assert api.get("/readyz").status_code == 503
    assert api.get("/healthz").status_code == 200
    system.projector("b")
    assert shown(api, f"/jobs/{late['job_id']}", late["token"], deadline=30)["job"]["status"] == "PENDING"


def test_items_are_shown_and_paged(*, api: httpx.Client, system: Any, stream: Any, wait_until: Any) -> None:
    job = stream.job(1)
    system.send(job)
    name = job[0]["subject"]
    for number in range(12):
        data = {"job": job[0]["data"]["job"], "attempt": 0, "item": f"sku-{number}", "action": "updated"}
        event = stream.envelope("item.recorded.v1", name, f"{name}/sku-{number}/0", stream.start, data)
        system.send([event], system.topics.items)
    wait_until(lambda: len(shown(api, f"/jobs/{name}/items")["items"]) == 12, 30, "items are missing")
    first = shown(api, f"/jobs/{name}/items", limit=8)
    rest = shown(api, f"/jobs/{name}/items", limit=8, cursor=first["next"])
    assert len({item["event_id"] for item in first["items"] + rest["items"]}) == 12
    assert rest["next"] is None


def test_dead_letters_are_listed_and_metrics_told(*, api: httpx.Client, system: Any, wait_until: Any) -> None:
    for number in range(3):
        system.send_raw(b"\xff" + str(number).encode(), key=b"k")
    system.flush()
    listed: Callable[..., dict[str, Any]] = lambda **query: shown(api, "/dead-letters", **query)  # noqa: E731
    wait_until(lambda: len(listed()["dead_letters"]) == 3, 30, "letters are missing")
    first = listed(limit=2)
    rest = listed(limit=2, cursor=first["next"])["dead_letters"]
    assert len({(one["partition"], one["offset"]) for one in first["dead_letters"] + rest}) == 3
    assert first["dead_letters"][0]["value"]["encoding"] == "base64"
    assert listed(consumer="puller")["dead_letters"] == []
    text = api.get("/metrics").text
    assert 'jobtrail_lag_events{projection="jobs"} 0.0' in text
    assert "jobtrail_api_requests_total" in text


def test_sigterm_ends_the_process_in_time(*, system: Any, tmp_path: Path, wait_until: Any) -> None:
    port = free_port()
    process = system.process("api", tmp_path / "log", JOBTRAIL_API_PORT=str(port))

    def answers() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
        except httpx.TransportError:
            return False

    wait_until(answers, 60, "does not start")
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) in {0, -signal.SIGTERM}
    assert "Traceback" not in (tmp_path / "log").read_text()
