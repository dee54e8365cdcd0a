"""A caller whose scope is one tenant sees, counts and commands nothing of another tenant, on any route."""

import json
import threading
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest
import uvicorn
from fastapi import FastAPI
from tests.api_answers import accepted, answers, problem
from tests.api_routes import api_routes

from job_tracker.api.earlier_routes import EARLIER_ROUTES
from job_tracker.api.tenancy import caller_scope
from job_tracker.bootstrap_api import build_app
from job_tracker.domain.scope import ALL_TENANTS, Scope
from job_tracker.log.broker import Broker
from local_stack import free_port
from platforms.migrate import migrate as migrate_accounts
from service_kit.database import migrate

OWN, OTHER = "own", "other"
CHAIN = "chain-of-both"
RECORDS = """
INSERT INTO puller.product (tenant, account, platform, product_id, title)
VALUES (%(tenant)s, 'shop', 'nhanh', 'p', 'Áo');
INSERT INTO puller.variant (tenant, account, platform, variant_id, record_id, product_id, name, sku, prices)
VALUES (%(tenant)s, 'shop', 'nhanh', 'v', 'p', 'p', 'Áo', 'SKU-1', '{}');
INSERT INTO puller.product (tenant, account, platform, product_id, title)
VALUES (%(tenant)s, 'shop', 'shopify', 'p', 'Áo');
INSERT INTO puller.variant (tenant, account, platform, variant_id, record_id, product_id, name, sku, prices)
VALUES (%(tenant)s, 'shop', 'shopify', 'gid://1', 'p', 'p', 'Áo', 'SKU-1', '{}');
INSERT INTO puller.customer (tenant, account, platform, customer_id, name, phones, totals)
VALUES (%(tenant)s, 'shop', 'nhanh', 'c', 'Áo', '{}', '{}');
INSERT INTO puller.sales_document
    (tenant, account, platform, kind, document_id, total, currency, content_hash, seen_by_job, changed_at)
VALUES (%(tenant)s, 'shop', 'nhanh', 'order', 'o', 1, 'VND', 'h', 'job', now());
INSERT INTO matcher.match (tenant, account, kind, platform, hub_id, remote_id, status, method, score, job_id)
VALUES (%(tenant)s, 'shop', 'product', 'shopify', 'v', 'gid://1', 'auto', 'sku', 1, 'job');
INSERT INTO accounts.account (tenant, account) VALUES (%(tenant)s, 'shop');
INSERT INTO puller.hold (kind, tenant, account, requested_by, reason) VALUES ('account', %(tenant)s, 'shop', 'lan', '');
INSERT INTO tracker.schedule (schedule_id, tenant, account, job_type, params, cron, timezone, anchor, jitter_seconds,
    catch_up, catch_up_limit, next_run_at, created_by, created_at, updated_by, updated_at)
VALUES ('schedule-' || %(tenant)s, %(tenant)s, 'shop', 'PULL_NHANH_PRODUCTS', '{}', '0 0 * * *', 'UTC', now(), 0,
    'one', 10, now() + interval '1 day', 'lan', now(), 'lan', now());
INSERT INTO puller.inbox (job_id, tenant, account, job_type, chain, priority, requested_at, request, waiting_reason)
VALUES (%(tenant)s, %(tenant)s, 'shop', 'PULL_NHANH_PRODUCTS', 'c', 0, now(), '', 'newer');
"""
LISTS = {
    "/jobs": ("jobs", {}),
    "/jobs?search": ("jobs", {"text": "shop"}),
    "/jobs?health": ("jobs", {"health": ["ok", "lost"]}),
    "/jobs?chain": ("jobs", {"chain": CHAIN}),
    "/jobs?from": ("jobs", {"from": "2020-01-01T00:00:00Z", "type": "PULL_NHANH_PRODUCTS"}),
    "/products": ("products", {}),
    "/products?search": ("products", {"text": "áo"}),
    "/customers": ("customers", {}),
    "/customers?search": ("customers", {"text": "áo"}),
    "/orders": ("orders", {}),
    "/matches": ("matches", {"names": True}),
    "/accounts": ("accounts", {}),
    "/schedules": ("schedules", {}),
    "/schedules?account": ("schedules", {"account": "shop"}),
}
EARLIER_LISTS = (
    "/api/nhanh/local-products",
    "/api/shopify/local-products",
    "/api/shopify/search-products",
    "/api/sync/product-mapping",
)
JOB_READS = ("", "/events", "/items", "/family")
CHECKED_ROUTES = {
    *(("GET", path.partition("?")[0]) for path in LISTS),
    *(("GET", "/jobs/{job_id}" + path) for path in JOB_READS),
    *(("GET", "/stats"), ("GET", "/queues"), ("GET", "/dead-letters"), ("GET", "/stream")),
    *(("POST", "/jobs"), ("POST", "/jobs/{job_id}/retry"), ("POST", "/jobs/{job_id}/{verb}")),
    *(("DELETE", "/jobs/{job_id}"), ("POST", "/queues/{service}/{verb}"), ("POST", "/dead-letters/ack")),
    *(("POST", "/accounts/{tenant}/{account}/{verb}"), ("POST", "/matches")),
    *(("POST", "/schedules"), ("GET", "/schedules/{schedule_id}"), ("PATCH", "/schedules/{schedule_id}")),
    *(("DELETE", "/schedules/{schedule_id}"), ("POST", "/schedules/{schedule_id}/{verb}")),
    *(("PATCH", "/matches/{kind}/{hub_id:path}"), ("DELETE", "/matches/{kind}/{hub_id:path}")),
    ("POST", "/jobs/delete"),
    *(("POST", route.path) for route in EARLIER_ROUTES),
    *((method, "/api/sync/product-mapping") for method in ("GET", "POST", "PATCH", "DELETE")),
    *(("GET", path) for path in EARLIER_LISTS),
    ("POST", "/api/shopify/search-products"),
    *(("GET", "/api/sync/schedule/global"), ("POST", "/api/sync/schedule/global")),
}
# Figures of the whole system, without data of a tenant, for those who run it.
OPERATION = {
    *(("GET", "/"), ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/freshness"), ("GET", "/metrics")),
}


class Api:
    """An API in this process whose callers have the scope that the test sets."""

    def __init__(self, app: FastAPI, port: int) -> None:
        self.app = app
        self.scope = ALL_TENANTS
        app.dependency_overrides[caller_scope] = lambda: self.scope
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120)

    @contextmanager
    def scoped(self, *tenants: str) -> Generator[httpx.Client]:
        self.scope = Scope(frozenset(tenants))
        try:
            yield self.http
        finally:
            self.scope = ALL_TENANTS


class World:
    """The job of each tenant that is finished, one that is queued, and the dead letter of each."""

    def __init__(self) -> None:
        self.finished: dict[str, str] = {}
        self.queued: dict[str, str] = {}
        self.letters: dict[str, dict[str, Any]] = {}


def events_of(make_stream: Any, tenant: str, number: int) -> list[dict[str, Any]]:
    """A job of the tenant's, requested now, in the chain that both tenants have."""
    events = make_stream(number, tenant).job(number, 1, 2, True)
    job_id = f"{tenant}-{uuid.uuid4().hex[:6]}"
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    for event in events:
        event.update(subject=job_id, correlationid=CHAIN, time=now)
        event["data"]["job"] = {"type": "PULL_NHANH_PRODUCTS", "account": "shop"}
        if "request" in event["data"]:
            event["data"]["request"] |= {"time": now}
    return events


def item_of(event: dict[str, Any]) -> dict[str, Any]:
    data = {"job": event["data"]["job"], "attempt": 0, "item": "1", "action": "failed", "ids": {}, "worker": "w"}
    return event | {"type": "item.recorded.v1", "id": f"{event['subject']}/1/0", "data": data | {"response_ms": 1}}


@pytest.fixture(scope="module")
def api(shared_system: Any, wait_until: Any) -> Iterator[Api]:
    port = free_port()
    url = shared_system.database_url
    migrate_accounts(url)
    migrate(url, "puller", ["worker", "puller"])
    migrate(url, "matcher", ["worker", "matcher"])
    shared_system.projector()
    shared_system.projector(part="items")
    app = build_app(shared_system.settings)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), "the API does not become ready")
    yield Api(app, port)
    app.state.parts.streams.close()
    server.should_exit = True
    thread.join(60)


@pytest.fixture(scope="module")
def world(api: Api, shared_system: Any, shared_connection: Any, make_stream: Any, wait_until: Any) -> World:
    assert api
    made = World()
    for tenant in (OWN, OTHER):
        with shared_connection.transaction(), psycopg.ClientCursor(shared_connection) as cursor:
            cursor.execute("SET LOCAL search_path TO puller")
            cursor.execute(RECORDS, {"tenant": tenant})
        finished, queued = events_of(make_stream, tenant, 1), events_of(make_stream, tenant, 2)[:1]
        made.finished[tenant], made.queued[tenant] = finished[0]["subject"], queued[0]["subject"]
        shared_system.send([*finished, *queued])
        shared_system.send([item_of(finished[0])], shared_system.topics.items)
        shared_system.send_raw(json.dumps({"subject": made.finished[tenant], "type": "?"}).encode())
    shared_system.send_raw(b"of nobody")
    shared_system.flush()
    wait_until(lambda: shared_system.count(shared_connection, "job") == 4, "the jobs were not read")
    wait_until(lambda: shared_system.count(shared_connection, "item") == 2, "the items were not read")
    wait_until(lambda: shared_system.count(shared_connection, "dead_letter") == 3, "the dead letters were not read")
    for letter in api.http.get("/dead-letters").json()["dead_letters"]:
        for tenant, job_id in made.finished.items():
            if letter["job_id"] == job_id:
                made.letters[tenant] = {name: letter[name] for name in ("topic", "partition", "offset", "consumer")}
    assert made.letters.keys() == {OWN, OTHER}
    return made


def test_every_route_is_checked_here(api: Api) -> None:
    assert {
        (method, route.path) for route in api_routes(api.app) for method in route.methods
    } == CHECKED_ROUTES | OPERATION


@pytest.mark.parametrize("path", LISTS)
def test_lists_and_their_counts(api: Api, world: World, path: str) -> None:
    assert world
    name, query = LISTS[path]
    path = path.partition("?")[0]

    def asked(http: httpx.Client, **more: Any) -> tuple[list[str], int]:
        answer = http.get(path, params=query | more)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["total"] == len(body[name])
        return sorted(row["tenant"] for row in body[name]), body["total"]

    everything, total = asked(api.http)
    assert set(everything) == {OWN, OTHER}
    with api.scoped(OWN) as http:
        assert asked(http) == ([OWN] * (total // 2), total // 2)
        assert asked(http, tenant=OWN) == ([OWN] * (total // 2), total // 2)
        assert asked(http, tenant=OTHER) == ([], 0)
        answer = http.get(path, params=query | {"limit": 1}).json()
    with api.scoped(OWN, OTHER) as http:
        assert asked(http) == (everything, total)
        if answer["next"]:
            problem(http.get(path, params=query | {"limit": 1, "cursor": answer["next"]}), 422, "cursor")
    with api.scoped() as http:
        assert asked(http) == ([], 0)


@pytest.mark.parametrize("path", EARLIER_LISTS)
def test_lists_of_the_earlier_system(api: Api, world: World, path: str) -> None:
    assert world

    def tenants(answer: httpx.Response) -> list[str]:
        assert answer.status_code == 200, answer.text
        data = answer.json()["data"]
        rows = data if isinstance(data, list) else data.get("products") or data.get("mappings") or []
        return sorted(row["tenant"] for row in rows)

    asked = {"keyword": "áo"} if path.endswith("search-products") else {}
    assert tenants(api.http.get(path, params=asked)) == [OTHER, OWN]
    with api.scoped(OWN) as http:
        assert tenants(http.get(path, params=asked)) == [OWN]
        assert tenants(http.get(path, params=asked | {"tenant": OTHER})) == []
        if asked:
            assert tenants(http.post(path, json=asked)) == [OWN]
            assert tenants(http.post(path, json=asked | {"tenant": OTHER})) == []


@pytest.mark.parametrize("path", JOB_READS)
def test_single_jobs(api: Api, world: World, path: str) -> None:
    with api.scoped(OWN) as http:
        assert http.get(f"/jobs/{world.finished[OWN]}{path}").status_code == 200
        refused = problem(http.get(f"/jobs/{world.finished[OTHER]}{path}"), 404, "job_id")
        unknown = problem(http.get(f"/jobs/{'x' * len(world.finished[OTHER])}{path}"), 404, "job_id")
    assert refused.keys() == unknown.keys()


def test_a_family_of_both_tenants(api: Api, world: World) -> None:
    whole = api.http.get(f"/jobs/{world.finished[OWN]}/family").json()
    assert {job["tenant"] for job in whole["chain"]} == {OWN, OTHER}
    with api.scoped(OWN) as http:
        family = http.get(f"/jobs/{world.finished[OWN]}/family").json()
    assert {job["job_id"] for job in family["chain"]} == {world.finished[OWN], world.queued[OWN]}


def test_statistics(api: Api, world: World) -> None:
    assert world
    whole = api.http.get("/stats").json()
    with api.scoped(OWN) as http:
        own, other = http.get("/stats").json(), http.get("/stats", params={"tenant": OTHER}).json()
    with api.scoped(OWN, OTHER) as http:
        both = http.get("/stats").json()
    assert (whole["jobs"], own["jobs"], other["jobs"], both["jobs"]) == (4, 2, 0, 4)
    assert both["by_day"] == whole["by_day"]
    assert other["by_day"] == other["by_type"] == []


def test_queues(api: Api, world: World) -> None:
    assert world

    def puller(http: httpx.Client) -> dict[str, Any]:
        return next(one for one in http.get("/queues").json()["queues"] if one["service"] == "puller")

    assert puller(api.http)["queued"] == 2
    with api.scoped(OWN) as http:
        found = puller(http)
    assert found["queued"] == 1
    assert {one["tenant"] for one in found["accounts"]} == {one["tenant"] for one in found["holds"]} == {OWN}
    assert found["waiting_for_upgrade"]["total"] == 1


def test_dead_letters(api: Api, world: World) -> None:
    assert api.http.get("/dead-letters").json()["total"] == 3
    body = {"letters": [world.letters[OWN], world.letters[OTHER]]}
    with api.scoped(OWN) as http:
        shown = http.get("/dead-letters").json()
        assert [letter["job_id"] for letter in shown["dead_letters"]] == [world.finished[OWN]]
        assert shown["total"] == 1
        problem(http.post("/dead-letters/ack", json=body), 404, "letters[1]")
        assert http.post("/dead-letters/ack", json={"letters": [world.letters[OWN]]}).json()["acknowledged"] == 1
    assert api.http.get("/dead-letters").json()["total"] == 2


def lines(response: httpx.Response) -> Iterator[tuple[str, str, dict[str, Any]]]:
    name = event_id = ""
    for line in response.iter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "id":
            event_id = value
        elif field == "data":
            yield name, event_id, json.loads(value)


def jobs_told(response: httpx.Response, until: str) -> tuple[set[str], str]:
    """The ids of all jobs that the stream tells of, up to one of them; and the id of that event."""
    told: set[str] = set()
    for name, event_id, data in lines(response):
        if name in {"snapshot", "jobs", "reset"}:
            told |= {job["job_id"] for job in data["jobs"]} | set(data.get("removed", ()))
        if until in told:
            return told, event_id
    raise AssertionError(f"the stream ended without {until}: {told}")


@pytest.mark.parametrize("view", [{}, {"job_id": "both"}, {"tenant": OTHER}])
def test_the_stream(
    *, api: Api, world: World, shared_system: Any, make_stream: Any, shared_connection: Any, wait_until: Any, view: Any
) -> None:
    asked = {"job_id": [*world.finished.values()]} if "job_id" in view else view
    own = {world.finished[OWN], world.queued[OWN]}
    with api.scoped(OWN) as http:
        if view.get("tenant") == OTHER:
            with http.stream("GET", "/stream", params=asked) as response:
                name, _, data = next(lines(response))
            assert (name, data["jobs"]) == ("snapshot", [])
            return
        with http.stream("GET", "/stream", params=asked) as response:
            told, first = jobs_told(response, world.finished[OWN])
            assert told <= own
    before = shared_system.count(shared_connection, "job")
    mine, foreign = events_of(make_stream, OWN, 3)[:1], events_of(make_stream, OTHER, 3)[:1]
    shared_system.send([*foreign, *mine])
    wait_until(lambda: shared_system.count(shared_connection, "job") == before + 2, "the jobs were not read")
    world.queued |= {OWN: mine[0]["subject"]}
    if not view:
        # Through the history, from where the first stream ended.
        with api.scoped(OWN) as http:
            headers = {"Last-Event-ID": first}
            with http.stream("GET", "/stream", headers=headers) as response:
                told, _ = jobs_told(response, mine[0]["subject"])
        assert told == {mine[0]["subject"]}
    # The test's jobs go: other tests count them.
    for event in (*mine, *foreign):
        shared_connection.execute("DELETE FROM tracker.job WHERE job_id = %s", [event["subject"]])
    world.queued |= {OWN: next(iter(own - {world.finished[OWN]}))}


COMMANDS: dict[str, tuple[Callable[[httpx.Client, World], httpx.Response], int]] = {
    "start": (lambda http, _: http.post("/jobs", json=job_of(OTHER)), 422),
    "start with key": (
        lambda http, _: http.post("/jobs", json=job_of(OTHER), headers={"Idempotency-Key": "k"}),
        422,
    ),
    "retry": (lambda http, world: http.post(f"/jobs/{world.finished[OTHER]}/retry"), 404),
    "cancel": (lambda http, world: http.post(f"/jobs/{world.queued[OTHER]}/cancel"), 404),
    "pause": (lambda http, world: http.post(f"/jobs/{world.queued[OTHER]}/pause"), 404),
    "delete": (lambda http, world: http.delete(f"/jobs/{world.finished[OTHER]}"), 404),
    "queue": (lambda http, _: http.post("/queues/puller/pause"), 403),
    "account": (lambda http, _: http.post(f"/accounts/{OTHER}/shop/pause"), 404),
    "create schedule": (lambda http, _: http.post("/schedules", json=schedule_of(OTHER)), 422),
    "create schedule of all accounts": (
        lambda http, _: http.post("/schedules", json=schedule_of(OTHER) | {"account": None}),
        422,
    ),
    "show schedule of the earlier system": (
        lambda http, _: http.get("/api/sync/schedule/global", params={"tenant": OTHER}),
        422,
    ),
    "change schedule of the earlier system": (
        lambda http, _: http.post("/api/sync/schedule/global", json={"tenant": OTHER, "schedule": "0 1 * * *"}),
        422,
    ),
    "show schedule": (lambda http, _: http.get(f"/schedules/schedule-{OTHER}"), 404),
    "change schedule": (lambda http, _: http.patch(f"/schedules/schedule-{OTHER}", json={"catch_up": "all"}), 404),
    "pause schedule": (lambda http, _: http.post(f"/schedules/schedule-{OTHER}/pause"), 404),
    "delete schedule": (lambda http, _: http.delete(f"/schedules/schedule-{OTHER}"), 404),
    "create match": (
        lambda http, _: http.post("/matches", json=edit_of(OTHER) | {"kind": "product", "hub_id": "1"}),
        422,
    ),
    "correct match": (lambda http, _: http.patch("/matches/product/1", json=edit_of(OTHER)), 422),
    "delete match": (
        lambda http, _: http.delete("/matches/product/1", params={"tenant": OTHER, "account": "shop"}),
        422,
    ),
}


MAPPING = "/api/sync/product-mapping"
PAIR = {"nhanhProductId": "1", "shopifyVariantId": "2"}
COMMANDS.update(
    {
        "create mapping": (lambda http, _: http.post(MAPPING, json=PAIR | place_of(OTHER)), 422),
        "change mapping": (
            lambda http, _: http.patch(MAPPING, json={"id": "1", "shopifyVariantId": "2"} | place_of(OTHER)),
            422,
        ),
        "delete mapping": (lambda http, _: http.delete(MAPPING, params={"id": "1"} | place_of(OTHER)), 422),
        "delete mapping of the only account": (
            lambda http, _: http.delete(MAPPING, params={"id": "1", "tenant": OTHER}),
            422,
        ),
    }
)
for _route in EARLIER_ROUTES:
    COMMANDS[_route.path] = (
        lambda http, _, path=_route.path: http.post(path, json=place_of(OTHER) | needed_by(path)),
        422,
    )


def place_of(tenant: str) -> dict[str, Any]:
    return {"tenant": tenant, "account": "shop"}


def needed_by(path: str) -> dict[str, Any]:
    return {"mappingId": "7"} if "/sync-" in path else {}


def job_of(tenant: str) -> dict[str, Any]:
    return {"type": "PULL_NHANH_PRODUCTS", "tenant": tenant, "account": "shop"}


def schedule_of(tenant: str) -> dict[str, Any]:
    return job_of(tenant) | {"cron": "0 0 * * *"}


def edit_of(tenant: str) -> dict[str, Any]:
    return {"tenant": tenant, "account": "shop", "shopify_id": "2"}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_touch_nothing_of_another_tenant(api: Api, world: World, shared_system: Any, name: str) -> None:
    command, status = COMMANDS[name]
    broker = Broker(shared_system.settings.kafka)
    topics = shared_system.topics.lifecycle()
    partitions = [(topic, n) for topic, (_, count) in broker.topic_ids(topics).items() for n in range(count)]
    before = broker.ends(partitions)
    with api.scoped(OWN) as http:
        problem(command(http, world), status)
    assert broker.ends(partitions) == before
    with api.scoped(OTHER) as http:
        (schedule,) = http.get("/schedules").json()["schedules"]
    assert (schedule["schedule_id"], schedule["paused"], schedule["catch_up"]) == (f"schedule-{OTHER}", False, "one")


@pytest.mark.parametrize("path", [route.path for route in EARLIER_ROUTES])
def test_the_only_account_is_that_of_the_own_tenant(api: Api, world: World, shared_connection: Any, path: str) -> None:
    assert world
    with api.scoped(OWN) as http:
        answer = http.post(path, json=needed_by(path))
        job_id = answer.json()["jobId"]
        token = answer.headers["Jobtrail-Freshness"]
        job = http.get(f"/jobs/{job_id}", params={"wait_for": token}).json()["job"]
    assert (job["tenant"], job["account"]) == (OWN, "shop")
    # The test's job goes: other tests count jobs.
    shared_connection.execute("DELETE FROM tracker.job WHERE job_id = %s", [job_id])


def test_a_deletion_finds_no_job_of_another_tenant(api: Api, world: World) -> None:
    with api.scoped(OWN) as http:
        body = accepted(http.post("/jobs/delete", json={"finished_before": "2100-01-01T00:00:00Z", "tenant": OTHER}))
    assert (body["deleted"], body["checked"], body["total"]) == (0, 0, 0)
    assert api.http.get(f"/jobs/{world.finished[OTHER]}").status_code == 200


def test_commands_of_the_own_tenant_are_accepted(api: Api, world: World) -> None:
    with api.scoped(OWN) as http:
        assert http.get(f"/schedules/schedule-{OWN}").status_code == 200
        assert http.post(f"/schedules/schedule-{OWN}/pause").status_code == 200
        accepted(http.post(f"/jobs/{world.queued[OWN]}/pause"))
        accepted(http.post(f"/accounts/{OWN}/shop/resume"))
    accepted(api.http.post("/queues/puller/resume"))
