"""The API as people meet it: the real process, real HTTP, a real broker and database."""

import base64
import json
import re
import select
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from unicodedata import normalize

import httpx
import psycopg
import pytest
from tests.answers import accepted, answers, problem, shown

from job_events.tokens import encode_token
from local_stack import free_port
from platforms.migrate import migrate as migrate_accounts
from service_kit.database import migrate

THEN = {"type": "AUTO_MATCH_PRODUCTS", "needs": ["PULL_NHANH_PRODUCTS"]}
SYNC = {"type": "PRODUCT_SYNC", "needs": ["AUTO_MATCH_PRODUCTS"]}


@pytest.fixture(scope="module")
def system(shared_system: Any) -> Any:
    migrate_accounts(shared_system.database_url)
    return shared_system


@pytest.fixture(scope="module")
def connection(system: Any) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(system.database_url, autocommit=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def api(system: Any, wait_until: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    port = free_port()
    system.process("api", tmp_path_factory.mktemp("api") / "log", JOBTRAIL_API_PORT=str(port))
    system.projector()
    system.projector(part="items")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
        wait_until(lambda: answers(f"{client.base_url}/readyz"), "the API does not become ready")
        yield client


@pytest.fixture
def tenant(connection: psycopg.Connection[Any]) -> str:
    """Each test is a tenant of its own in the shared system."""
    name = f"tenant-{uuid.uuid4().hex[:8]}"
    connection.execute("INSERT INTO accounts.account (tenant, account) VALUES (%s, 'demo-shop')", [name])
    return name


@pytest.fixture
def asked(tenant: str) -> dict[str, Any]:
    return {"type": "PULL_NHANH_PRODUCTS", "tenant": tenant, "account": "demo-shop"}


@pytest.fixture
def stream(make_stream: Any, tenant: str) -> Any:
    return make_stream(7, tenant)


def test_a_job_is_read_where_it_was_asked_for(*, api: httpx.Client, asked: Any, tenant: str) -> None:
    then = [{"type": "AUTO_MATCH_PRODUCTS", "needs": ["PULL_NHANH_PRODUCTS"]}]
    actor = [("Jobtrail-Actor", "Bình".encode())]
    made = accepted(api.post("/jobs", json={**asked, "then": then, "priority": "urgent"}, headers=actor))
    answer = shown(api, f"/jobs/{made['job_id']}", made["token"])
    job = answer["job"]
    assert (job["status"], job["health"], job["priority"], job["requested_by"]) == ("PENDING", "ok", "urgent", "Bình")
    assert job["then"][0]["type"] == "AUTO_MATCH_PRODUCTS"
    assert job["chain"] == made["chain"]
    assert answer["freshness"]["alive"] is True
    assert shown(api, "/jobs", tenant=tenant)["jobs"][0]["job_id"] == made["job_id"]
    assert shown(api, "/stats", tenant=tenant)["by_status"] == {"PENDING": 1}


def test_the_same_key_asks_once(*, api: httpx.Client, asked: Any, tenant: str) -> None:
    key = {"Idempotency-Key": "order-1"}
    # A refused request leaves the key free.
    problem(api.post("/jobs", json={**asked, "batch": "\u0000"}, headers=key), 422, "batch")
    first = api.post("/jobs", json=asked, headers=key)
    again = api.post("/jobs", json=dict(reversed(asked.items())), headers=key)
    assert accepted(first) == accepted(again)
    assert again.headers["Idempotent-Replayed"] == "true"
    problem(api.post("/jobs", json={**asked, "priority": "low"}, headers=key), 422, "Idempotency-Key")
    assert shown(api, "/jobs", accepted(first)["token"], tenant=tenant)["total"] == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": "MAKE_COFFEE"}, "type"),
        ({"account": "nobody"}, "account"),
        ({"params": {"page_size": 0}}, "params.page_size"),
        ({"params": {"colour": "red"}}, "params.colour"),
        ({"then": [{"type": "PRODUCT_SYNC", "needs": []}]}, "then[0].needs"),
        ({"then": [{"needs": []}]}, "then[0]"),
        ({"priority": "whenever"}, "priority"),
        ({"tenant": ""}, "tenant"),
        ({"colour": "red"}, "colour"),
        ({"batch": "a\u0000b"}, "batch"),
        ({"params": {"filters": {"name": "\ud800"}}}, "params.filters.name"),
        ({"params": {"\ud800": 1}, "idempotency": True}, "params.\ufffd"),
        ({"then": [{"\ud800": 1}]}, "then[0].\ufffd"),
        ({"params": {"filters": {"a": float("nan")}}}, "params.filters.a"),
        ({"params": {"filters": {"a": float("inf")}}}, "params.filters.a"),
        ({"params": {"filters": {"colour": "red"}}}, "params.filters.colour"),
        ({"params": {"filters": {"price": {"form": 1}}}}, "params.filters.price.form"),
        ({"params": {"filters": {"ids": []}}}, "params.filters.ids"),
        ({"params": {"filters": {"updatedAtFrom": "yesterday"}}}, "params.filters.updatedAtFrom"),
        ({"params": {"query": "tag:sale"}}, "params.query"),
        ({"then": [THEN | {"then": [SYNC | {"param": {"dry_run": True}}]}]}, "then[0].then[0].param"),
        ({"then": [THEN | {"then": [SYNC | {"params": {"dryrun": True}}]}]}, "then[0].then[0].params.dryrun"),
        ({"then": [THEN | {"then": [SYNC | {"params": {"dry_run": "yes"}}]}]}, "then[0].then[0].params.dry_run"),
        ({"then": [THEN | {"parmas": {}}]}, "then[0].parmas"),
        ({"about": {"sku": {"deep": 1}}}, "about.sku"),
        ({"chain": ".."}, "chain"),
        ({"chain": "."}, "chain"),
        ({"type": "REVERT_SYNC", "params": {"job_id": ".."}}, "params.job_id"),
        ({"batch": "\ud800"}, "batch"),
    ],
)
def test_what_is_wrong_is_named(
    *, api: httpx.Client, asked: Any, tenant: str, change: dict[str, Any], field: str
) -> None:
    headers = {"content-type": "application/json"} | ({"Idempotency-Key": "k"} if change.pop("idempotency", 0) else {})
    problem(api.post("/jobs", content=json.dumps({**asked, **change}), headers=headers), 422, field)
    assert shown(api, "/jobs", tenant=tenant)["total"] == 0


def test_unknown_things_and_broken_questions_are_problems(*, api: httpx.Client) -> None:
    problem(api.get("/jobs/nothing"), 404, "job_id")
    problem(api.get("/nowhere"), 404)
    problem(api.put("/jobs"), 405)
    problem(api.get("/jobs", params={"limit": 201}), 422, "limit")
    problem(api.get("/jobs", params={"cursor": "x"}), 422, "cursor")
    problem(api.get("/jobs", params={"tenant": ""}), 422, "tenant")
    problem(api.get("/jobs", params={"tenant": "demo", "account": ""}), 422, "account")
    naive = base64.urlsafe_b64encode(b'["2026-01-01T00:00:00","t",0,0]').decode()
    problem(api.get("/jobs/nothing/events", params={"cursor": naive}), 422, "cursor")
    problem(api.get("/jobs", params={"cursor": base64.b64encode(b"[" * 1200).decode()}), 422, "cursor")
    problem(api.get("/jobs", params={"status": "LOST"}), 422, "status[0]")
    problem(api.get("/jobs", params={"from": "2026-01-01T00:00:00"}), 422, "from")
    problem(api.get("/jobs", params={"wait_for": "x"}), 422, "wait_for")
    problem(api.get("/jobs/a%00b"), 422)
    misspelt = problem(api.get("/jobs", params={"limit": 1, "stauts": "RUNNING"}), 422, "stauts")
    assert "status" in misspelt["detail"]
    assert api.head("/stats", params={"types": "A"}).status_code == 422
    problem(api.get("/jobs/nothing", params={"cursor": "x"}), 422, "cursor")
    problem(api.post("/jobs", content=b"{", headers={"content-type": "application/json"}), 422)
    grown = b'{"type":"PULL_NHANH_PRODUCTS","tenant":"a","account":"b","params":{"filters":{"a":[%b1]}}}'
    problem(api.post("/jobs", content=grown % (b"1e15," * 190_000), headers={"content-type": "application/json"}), 422)
    problem(api.post("/jobs", content=b"x" * 1_100_000), 413)
    problem(api.post("/jobs", content=iter([b"x" * 100_000] * 11)), 413)  # in chunks, without a length
    assert shown(api, "/stats", to="0001-01-05")["by_day_from"] == "0001-01-01"
    assert shown(api, "/stats", **{"from": "2024-01-01", "to": "2025-12-31"})["by_day_from"] == "2024-12-31"


def test_a_page_of_another_site_commands_nothing(*, api: httpx.Client, tenant: str) -> None:
    """Browsers send such a request unasked, with the rights of whoever looks at the page."""
    address = f"/accounts/{tenant}/demo-shop/pause"
    for headers in (
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
        {"Origin": "http://["},
    ):
        problem(api.post(address, headers=headers), 403)
    for headers in ({"Origin": str(api.base_url).rstrip("/")}, {"Sec-Fetch-Site": "same-origin"}, {}):
        accepted(api.post(address, headers=headers))
    assert api.get("/jobs", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200  # the browser keeps the answer


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


def test_addresses_are_described_as_they_answer(*, api: httpx.Client) -> None:
    for path in ("/healthz", "/readyz", "/jobs"):
        head = api.head(path)
        assert (head.status_code, head.content) == (200, b"")
    described = api.get("/openapi.json")
    assert "HTTPValidationError" not in described.text
    for methods in described.json()["paths"].values():
        for operation in methods.values():
            assert "application/problem+json" in operation["responses"]["4XX"]["content"]


def test_text_is_found_in_any_case_and_form(
    *, api: httpx.Client, system: Any, stream: Any, tenant: str, wait_until: Any
) -> None:
    for number, form in enumerate(("NFC", "NFD")):
        events = stream.job(number)
        for event in events:
            event["data"]["job"]["account"] = normalize(form, "Cửa hàng Áo ĐẸP")
        system.send(events)
    wait_until(lambda: shown(api, "/jobs", tenant=tenant)["total"] == 2, "a job is missing")
    for text in ("áo đẹp", "CỬA HÀNG", normalize("NFD", "Áo"), "%"):
        found = shown(api, "/jobs", tenant=tenant, text=text)["jobs"]
        assert len(found) == 2 * (text != "%"), text


def test_lists_page_each_job_once(*, api: httpx.Client, system: Any, stream: Any, tenant: str, wait_until: Any) -> None:
    events = stream.jobs(30)
    system.send(events)
    ids = {event["subject"] for event in events}
    wait_until(lambda: shown(api, "/jobs", tenant=tenant)["total"] == len(ids), "not all jobs are there")
    for query in (
        {},
        {"status": ["COMPLETED", "FAILED"]},
        {"text": "SHOP-1"},
        {"type": "PRODUCT_SYNC"},
        {"type": "PRODUCT_SYNC", "account": "shop-1"},
    ):
        pages: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = shown(api, "/jobs", tenant=tenant, limit=7, **query, **({"cursor": cursor} if cursor else {}))
            pages += page["jobs"]
            cursor = page["next"]
            if cursor is None:
                break
        found = [job["job_id"] for job in pages]
        assert len(found) == len(set(found)) == page["total"]
        assert (page["partial"], page["scanned_to"]) == (False, None)
        assert [job["created_at"] for job in pages] == sorted((job["created_at"] for job in pages), reverse=True)
        assert {job["account"] for job in pages} == {"shop-1"} or "text" not in query
        assert {job["status"] for job in pages} <= {"COMPLETED", "FAILED"} or "status" not in query
    counted = shown(api, "/stats", tenant=tenant)
    assert counted["jobs"] == len(ids)
    for status, jobs in counted["by_status"].items():
        assert shown(api, "/jobs", status=status, tenant=tenant)["total"] == jobs


def test_the_timeline_judges_each_event(
    *, api: httpx.Client, system: Any, connection: Any, stream: Any, wait_until: Any
) -> None:
    request, start, first, second, end = stream.job(1, attempts=1, progresses=2)
    job = request["subject"]
    for event in (start, second, first, second, end, start):
        system.send([event])
    wait_until(lambda: api.get(f"/jobs/{job}/events").json().get("total") == 6, "events are missing")
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
    # One that comes late, and lies before what was shown, moves no page.
    connection.execute(
        """INSERT INTO tracker.event SELECT (jsonb_populate_record(e, jsonb_build_object(
            'offset', 1000000, 'appended_at', appended_at - interval '1 ms'))).*
        FROM tracker.event e WHERE job_id = %s ORDER BY appended_at LIMIT 1""",
        [job],
    )
    later = shown(api, f"/jobs/{job}/events", limit=4, cursor=page["next"])["events"]
    assert [event["event_id"] for event in later] == [event["event_id"] for event in rest["events"]]
    assert page["events"][1]["data"] == second["data"]


def test_a_long_timeline_is_paged_whole(*, api: httpx.Client, system: Any, stream: Any, wait_until: Any) -> None:
    _, *events = stream.job(1, attempts=1, progresses=250)  # read in three pieces
    system.send(events)
    address = f"/jobs/{events[0]['subject']}/events"
    wait_until(lambda: api.get(address).json().get("total") == len(events), "events are missing")
    found: list[str] = []
    page = shown(api, address, limit=70)
    while True:
        found += [event["event_id"] for event in page["events"]]
        assert page["total_exact"]
        if page["next"] is None:
            break
        page = shown(api, address, limit=70, cursor=page["next"])
    assert found == [event["id"] for event in events]


def test_control_and_retry(*, api: httpx.Client, asked: Any, system: Any, stream: Any, wait_until: Any) -> None:
    made = accepted(api.post("/jobs", json={**asked, "params": {"page_size": 20}}))
    job = made["job_id"]
    shown(api, f"/jobs/{job}", made["token"])
    problem(api.post(f"/jobs/{job}/retry"), 409)
    for verb in ("pause", "resume", "cancel"):
        answer = accepted(api.post(f"/jobs/{job}/{verb}", json={"reason": "because"}))
        events = shown(api, f"/jobs/{job}/events", answer["token"])["events"]
        assert (events[-1]["type"], events[-1]["verdict"]) == (f"job.{verb}.v1", "applied")
    end = stream.job(1, attempts=1, progresses=0)[-1] | {"subject": job, "correlationid": made["chain"]}
    end["data"] |= {"job": {"type": asked["type"], "account": asked["account"]}, "outcome": "cancelled"}
    system.send([end])
    wait_until(lambda: shown(api, f"/jobs/{job}")["job"]["status"] == "CANCELLED", "not cancelled")
    problem(api.post(f"/jobs/{job}/cancel"), 409)
    problem(api.post("/jobs/nothing/cancel"), 404)
    key = {"Idempotency-Key": "again"}
    again = accepted(api.post(f"/jobs/{job}/retry", headers=key))
    assert accepted(api.post(f"/jobs/{job}/retry", headers=key)) == again
    problem(api.post(f"/jobs/{job}/retry", headers=key, json={"params": {"page_size": 5}}), 422, "Idempotency-Key")
    new = shown(api, f"/jobs/{again['job_id']}", again["token"])["job"]
    assert (new["retry_of"], new["params"], new["chain"]) == (job, {"page_size": 20}, made["chain"])
    for member in (job, again["job_id"]):
        family = shown(api, f"/jobs/{member}/family")
        assert [one["job_id"] for one in family["retries"]] == [job, again["job_id"]]
        assert len(family["chain"]) == 2


def test_queues_accounts_and_mappings_are_changed_by_events(*, api: httpx.Client, tenant: str) -> None:
    accepted(api.post("/queues/syncer/pause", json={"reason": "stocktaking"}))
    accepted(api.post(f"/accounts/{tenant}/demo-shop/resume"))
    problem(api.post(f"/accounts/{tenant}/nobody/pause"), 404, "account")
    body = {"tenant": tenant, "account": "demo-shop", "kind": "product", "hub_id": "7", "remote_id": "gid://8"}
    made = [
        accepted(api.post("/matches", json=body)),
        accepted(api.patch("/matches/product/7", json={k: body[k] for k in ("tenant", "account", "remote_id")})),
        accepted(api.delete("/matches/product/7", params={"tenant": tenant, "account": "demo-shop"})),
    ]
    actions = [shown(api, f"/jobs/{one['job_id']}", one["token"])["job"]["params"]["action"] for one in made]
    assert actions == ["create", "correct", "delete"]


def test_a_match_is_edited_by_the_former_names_of_its_ids(*, api: httpx.Client, tenant: str) -> None:
    place = {"tenant": tenant, "account": "demo-shop"}
    former = {"nhanh_id": "7", "shopify_id": "gid://8"}
    present = {"hub_id": "7", "platform": "shopify", "remote_id": "gid://8"}
    made = [
        accepted(api.post("/matches", json={**place, "kind": "product", **former})),
        accepted(api.patch("/matches/product/7", json={**place, "shopify_id": "gid://8"})),
    ]
    for one in made:
        params = shown(api, f"/jobs/{one['job_id']}", one["token"])["job"]["params"]
        assert {name: params[name] for name in present} == present
    problem(api.post("/matches", json={**place, "kind": "product", **former, "hub_id": "7"}), 422, "nhanh_id")

    # A stored request keeps its form, and a retry may name the fields as they are now.
    edit = {"type": "EDIT_MATCH", **place, "params": {"action": "create", "kind": "product", **former}}
    job = accepted(api.post("/jobs", json=edit))
    assert shown(api, f"/jobs/{job['job_id']}", job["token"])["job"]["params"] == edit["params"]


def test_other_services_lists_are_empty_until_they_start(*, api: httpx.Client, connection: Any, tenant: str) -> None:
    for path, name in (("/products", "products"), ("/customers", "customers"), ("/matches", "matches")):
        answer = shown(api, path, text="x")
        assert answer[name] == []
        assert "has never started" in answer["missing"]
    assert [queue["available"] for queue in shown(api, "/queues")["queues"]] == [False, False, False]
    accounts = shown(api, "/accounts", tenant=tenant)["accounts"]
    assert [account["account"] for account in accounts] == ["demo-shop"]
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
    # This puller does not keep totals yet, as for some seconds of an update.
    refused = api.get("/products")
    assert "puller.api_totals" in problem(refused, 503)["detail"]
    assert refused.headers["Retry-After"] == "10"


def test_the_matchers_totals_are_told_where_it_keeps_them(*, api: httpx.Client, connection: Any) -> None:
    connection.execute("CREATE SCHEMA matcher")
    connection.execute(
        "CREATE VIEW matcher.api_matches AS SELECT 'demo' AS tenant, 'demo-shop' AS account, 'product' AS kind, "
        "'shopify' AS platform, n::text AS hub_id, 's' || n AS remote_id, "
        "n::text AS nhanh_id, CASE n % 3 WHEN 0 THEN 'review' ELSE 'auto' END AS status, "
        "'sku' AS method FROM generate_series(1, 90) AS n"
    )
    connection.execute(
        "CREATE VIEW matcher.api_totals AS SELECT 'demo' AS tenant, account, 'product' AS kind, records "
        "FROM (VALUES ('demo-shop', 90::bigint), ('other', 20000)) AS kept (account, records)"
    )

    def total(**filters: str) -> str:
        return shown(api, "/matches", **filters)["total_text"]

    assert total(tenant="demo", account="demo-shop", kind="product") == "90"
    assert total(tenant="demo") == "10,000+"
    assert total(account="demo-shop") == total(limit="20", account="demo-shop") == "90"
    assert total(kind="customer") == total(tenant="nobody") == "0"
    assert total(status="review") == total(tenant="demo", status="review") == "30"
    assert total(text="review") == "30"
    assert [total(platform=name) for name in ("shopify", "paper-shop")] == ["90", "0"]


def test_matches_are_found_by_the_former_names_of_their_ids(*, api: httpx.Client, connection: Any) -> None:
    connection.execute("CREATE SCHEMA matcher")
    connection.execute(
        "CREATE VIEW matcher.api_matches AS SELECT 'demo' AS tenant, 'demo-shop' AS account, 'product' AS kind, "
        "'auto' AS status, 'sku' AS method, n::text AS nhanh_id, 's' || n AS shopify_id FROM generate_series(1, 9) AS n"
    )
    assert shown(api, "/matches")["missing"] == "matcher has not been upgraded yet"
    connection.execute(
        "CREATE OR REPLACE VIEW matcher.api_matches AS SELECT 'demo' AS tenant, 'demo-shop' AS account, "
        "'product' AS kind, 'auto' AS status, 'sku' AS method, n::text AS nhanh_id, 's' || n AS shopify_id, "
        "'shopify' AS platform, n::text AS hub_id, 's' || n AS remote_id FROM generate_series(1, 9) AS n"
    )
    for former, name, value in (("nhanh_id", "hub_id", "7"), ("shopify_id", "remote_id", "s7")):
        (found,) = shown(api, "/matches", tenant="demo", **{former: value})["matches"]
        assert found == shown(api, "/matches", tenant="demo", **{name: value})["matches"][0]
        assert (found["platform"], found["hub_id"], found["remote_id"]) == ("shopify", "7", "s7")
        assert former not in found
        problem(api.get("/matches", params={former: value, name: value}), 422, former)


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


def test_items_are_shown_and_paged(*, api: httpx.Client, system: Any, stream: Any, wait_until: Any) -> None:
    job = stream.job(1)
    system.send(job)
    name = job[0]["subject"]
    for number in range(12):
        data = {"job": job[0]["data"]["job"], "attempt": 0, "item": f"sku-{number}", "action": "updated"}
        event = stream.envelope("item.recorded.v1", name, f"{name}/sku-{number}/0", stream.start, data)
        system.send([event], system.topics.items)
    # Jobs and items have a projector each: an item may be there before its job.
    wait_until(lambda: api.get(f"/jobs/{name}").status_code == 200, "the job is missing")
    wait_until(lambda: len(shown(api, f"/jobs/{name}/items")["items"]) == 12, "items are missing")
    first = shown(api, f"/jobs/{name}/items", limit=8)
    rest = shown(api, f"/jobs/{name}/items", limit=8, cursor=first["next"])
    assert len({item["event_id"] for item in first["items"] + rest["items"]}) == 12
    assert rest["next"] is None


def test_dead_letters_are_listed_and_metrics_told(*, api: httpx.Client, system: Any, wait_until: Any) -> None:
    for number in range(3):
        system.send_raw(b"\xff" + str(number).encode(), key=b"k")
    system.flush()
    listed: Callable[..., dict[str, Any]] = lambda **query: shown(api, "/dead-letters", **query)  # noqa: E731
    wait_until(lambda: len(listed()["dead_letters"]) == 3, "letters are missing")
    first = listed(limit=2)
    rest = listed(limit=2, cursor=first["next"])["dead_letters"]
    assert len({(one["partition"], one["offset"]) for one in first["dead_letters"] + rest}) == 3
    assert first["dead_letters"][0]["value"]["encoding"] == "base64"
    assert listed(consumer="puller")["dead_letters"] == []
    text = api.get("/metrics").text
    assert 'jobtrail_lag_events{projection="jobs"} 0.0' in text
    assert "jobtrail_api_requests_total" in text


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


def test_queues_are_read_from_the_services_views(*, api: httpx.Client, connection: Any, tenant: str) -> None:
    connection.execute("CREATE SCHEMA syncer")
    connection.execute(
        f"CREATE VIEW syncer.api_inbox AS SELECT job_id, '{tenant}' AS tenant, 'shop' AS account, state, "
        "job_id = 'c' AS paused, now() - interval '90 seconds' AS requested_at "
        "FROM (VALUES ('a', 'queued'), ('b', 'running'), ('c', 'queued'), ('d', 'finished')) AS v (job_id, state)"
    )
    connection.execute(
        "CREATE VIEW syncer.api_holds AS SELECT 'queue' AS kind, '' AS tenant, '' AS account, 'Lan' AS requested_by, "
        "'stocktaking' AS reason, now() AS since"
    )
    queue = next(one for one in shown(api, "/queues")["queues"] if one["service"] == "syncer")
    assert (queue["queued"], queue["running"], queue["paused"], queue["queue_paused"]) == (2, 1, 1, True)
    assert 89 < queue["oldest_waiting_seconds"] < 200
    assert queue["holds"][0]["reason"] == "stocktaking"


def test_what_waits_for_a_newer_version_is_shown(
    *, system: Any, api: httpx.Client, connection: Any, asked: Any, tenant: str
) -> None:
    made = [accepted(api.post("/jobs", json=asked)) for _ in range(2)]
    waits, other = (shown(api, f"/jobs/{one['job_id']}", one["token"])["job"]["job_id"] for one in made)

    def puller() -> Any:
        return next(one for one in shown(api, "/queues")["queues"] if one["service"] == "puller")

    assert "waiting_for_upgrade" not in puller()
    reason = "this version does not know the parameter 'since' of PULL_NHANH_PRODUCTS"
    migrate(system.database_url, "puller", ["worker"])
    connection.execute(
        "INSERT INTO puller.inbox"
        " (job_id, tenant, account, job_type, chain, priority, requested_at, request, waiting_reason)"
        " SELECT job_id, %s, 'demo-shop', 'PULL_NHANH_PRODUCTS', 'c', 0, now(), '', reason"
        " FROM (VALUES (%s, %s), ('gone-1', %s), ('read', NULL)) AS v (job_id, reason)",
        [tenant, waits, reason, reason],
    )
    connection.execute(
        "INSERT INTO puller.kept_step (parent_id, tenant, account, chain, child_types, finished, appended_at)"
        " VALUES ('parent', %s, 'demo-shop', 'c', '{SOME_NEW_TYPE}', '', now())",
        [tenant],
    )
    found = puller()["waiting_for_upgrade"]
    assert found["total"] == 3
    assert [(one["kind"], one["job_type"], one["reason"], one["count"]) for one in found["reasons"]] == [
        ("job", "PULL_NHANH_PRODUCTS", reason, 2),
        ("step", "SOME_NEW_TYPE", "this version does not know the job type SOME_NEW_TYPE", 1),
    ]
    assert shown(api, f"/jobs/{waits}")["job"]["waiting_reason"] == reason
    assert shown(api, f"/jobs/{other}")["job"]["waiting_reason"] is None


def test_without_kafka_requests_are_refused_and_questions_answered(*, start_api: Any, asked: Any) -> None:
    url, _ = start_api(KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}")
    with httpx.Client(base_url=url, timeout=120) as client:
        refused = client.post("/jobs", json=asked, headers={"Idempotency-Key": "k"})
        assert "Kafka" in problem(refused, 503)["detail"]
        assert shown(client, "/jobs", tenant=asked["tenant"])["total"] == 0


def test_a_deleted_job_is_gone_for_good(
    *, system: Any, api: httpx.Client, connection: Any, stream: Any, tenant: str, wait_until: Any
) -> None:
    def read(copies: int) -> None:
        seen = "SELECT count(*) FROM tracker.event WHERE tenant = %s"
        wait_until(lambda: connection.execute(seen, [tenant]).fetchone()[0] == copies, "the log is not read")

    events = stream.job(1, attempts=1, progresses=2)
    job, running = events[0]["subject"], stream.job(2, finished=False)
    system.send([*events, *running])
    read(len(events) + len(running))
    problem(api.delete(f"/jobs/{running[0]['subject']}"), 409)
    token = accepted(api.delete(f"/jobs/{job}", params={"reason": "a trial"}, headers={"Jobtrail-Actor": "Lan"}))[
        "token"
    ]
    problem(api.get(f"/jobs/{job}", params={"wait_for": token}), 404)
    problem(api.delete(f"/jobs/{job}"), 404)
    system.send(events)  # late copies of all that was ever said of it
    read(2 * len(events) + len(running) + 1)
    for part in ("", "/events", "/items", "/family"):
        problem(api.get(f"/jobs/{job}{part}"), 404)
    assert shown(api, "/stats", tenant=tenant)["by_status"] == {"RUNNING": 1}
    for query in ({"tenant": tenant}, {"tenant": tenant, "text": job}, {"chain": events[0]["correlationid"]}):
        assert job not in [one["job_id"] for one in shown(api, "/jobs", **query)["jobs"]]


@pytest.fixture
def ghost(system: Any, api: httpx.Client, stream: Any, wait_until: Any) -> Callable[..., str]:
    """Makes a job that is known from one stray event alone; its id."""

    def make(number: int, index: int, job_type: str, topic: str | None = None) -> str:
        event = stream.job(number)[index]
        event["data"]["job"]["type"] = job_type
        system.send([event], topic)
        wait_until(lambda: answers(f"{api.base_url}/jobs/{event['subject']}"), "the stray event is not read")
        return event["subject"]

    return make


@pytest.mark.parametrize(("index", "status"), [(2, "RUNNING"), (1, "RUNNING"), (0, "PENDING")])
def test_cancel_tells_the_service_what_job_it_is(
    *, api: httpx.Client, connection: Any, system: Any, ghost: Any, tenant: str, index: int, status: str
) -> None:
    """Only so can a service that does not hold the job write an end which describes it."""
    job = ghost(11, index, "AUTO_MATCH_PRODUCTS")
    row = shown(api, f"/jobs/{job}")["job"]
    assert row["status"] == status
    token = accepted(api.post(f"/jobs/{job}/cancel", json={"reason": "nobody has it"}))["token"]
    shown(api, f"/jobs/{job}", token)
    find = "SELECT topic, body FROM tracker.event WHERE job_id = %s AND type = 'job.cancel.v1'"
    ((topic, body),) = connection.execute(find, [job]).fetchall()
    assert topic == system.topics.requests("matcher")
    assert json.loads(body)["job"] == {"type": "AUTO_MATCH_PRODUCTS", "account": row["account"]}


def test_a_job_of_an_unknown_type_goes_to_the_service_that_it_was_requested_from(
    *, api: httpx.Client, connection: Any, system: Any, ghost: Any
) -> None:
    job = ghost(12, 0, "TYPE_OF_TOMORROW", system.topics.requests("syncer"))
    problem(api.delete(f"/jobs/{job}"), 409)
    token = accepted(api.post(f"/jobs/{job}/cancel"))["token"]
    shown(api, f"/jobs/{job}", token)
    find = "SELECT topic FROM tracker.event WHERE job_id = %s AND type = 'job.cancel.v1'"
    assert connection.execute(find, [job]).fetchall() == [(system.topics.requests("syncer"),)]


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_job_that_no_service_could_end_is_deleted_as_it_is(*, api: httpx.Client, ghost: Any, index: int) -> None:
    """No advice in a circle: each refusal names what works."""
    job = ghost(13, index, "TYPE_OF_NOBODY")
    for verb in ("cancel", "pause", "resume"):
        refused = problem(api.post(f"/jobs/{job}/{verb}"), 409)
        assert f"DELETE /jobs/{job}" in refused["detail"] and "TYPE_OF_NOBODY" in refused["detail"]
    token = accepted(api.delete(f"/jobs/{job}"))["token"]
    problem(api.get(f"/jobs/{job}", params={"wait_for": token}), 404)
