"""The addresses of the earlier system: what each requests, and of which account; what they list; what they refuse."""

import re
from typing import Any

import httpx
import pytest
from tests.api_answers import problem, shown

from job_tracker.api.earlier_routes import EARLIER_ROUTES
from platforms.migrate import migrate as migrate_accounts
from service_kit.database import migrate

Json = dict[str, Any]
# Bodies that the earlier clients sent, and the parameters of the job.
SENT: list[tuple[str, Json, Json]] = [
    ("/api/nhanh/pull-products", {}, {}),
    (
        "/api/nhanh/pull-customers-all",
        {"type": "1", "lastBoughtDateFrom": "2026-01-31", "lastBoughtDateTo": None, "forceRestart": False},
        {"filters": {"type": 1, "lastBoughtDateFrom": "2026-01-31"}},
    ),
    ("/api/nhanh/pull-customers-all", {"forceRestart": True}, {}),
    ("/api/nhanh/pull-customers-incremental", {}, {"platform": "nhanh", "kind": "customers"}),
    ("/api/shopify/pull-products-sync?t=1764500000000", {"status": "active"}, {"query": "status:active"}),
    ("/api/shopify/pull-customers", {"query": "country:Vietnam"}, {"query": "country:Vietnam"}),
    ("/api/sync/bulk-sync-products", {"mappingIds": ["7", "8", "7"]}, {"only": ["7", "8"]}),
    ("/api/sync/bulk-sync-background", {"mappingIds": ["7"], "forceSync": True}, {"only": ["7"]}),
    ("/api/sync/bulk-sync", {}, {}),
    ("/api/sync/auto-match-products", {"dryRun": False}, {}),
    ("/api/sync/auto-match", {}, {}),
    ("/api/sync/auto-match-sql", {}, {}),
    ("/api/sync/auto-match-batch", {"dryRun": False, "batchSize": 1000}, {}),
    ("/api/sync/retry-failed", {"limit": 100}, {}),
    ("/api/sync/auto-sync?limit=50&forceSync=true", {}, {}),
    ("/api/sync/products/auto-sync?limit=50", {}, {}),
    ("/api/sync/sync-product", {"mappingId": "7"}, {"only": ["7"]}),
    ("/api/sync/sync-customer?t=1", {"mappingId": "7", "forceSync": True}, {"only": ["7"]}),
    ("/api/sync/fix-variant-ids", {}, {}),
]
TYPES = {route.path: route.job_type for route in EARLIER_ROUTES}


def refused(response: httpx.Response, status: int, field: str | None = None) -> Json:
    """A problem in the form that the earlier clients read, too."""
    body = problem(response, status, field)
    assert (body["success"], body["error"]) == (False, body["detail"])
    return body


def requested(response: httpx.Response) -> Json:
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["success"] is True
    assert body.keys() == {"success", "jobId", "message"}
    return body


def job_of(api: httpx.Client, response: httpx.Response) -> Json:
    body = requested(response)
    return shown(api, f"/jobs/{body['jobId']}", response.headers["Jobtrail-Freshness"])["job"]


@pytest.fixture
def place(tenant: str) -> Json:
    return {"tenant": tenant, "account": "demo-shop"}


def test_every_route_is_sent_here() -> None:
    assert {path.partition("?")[0] for path, _, _ in SENT} == TYPES.keys()


@pytest.mark.parametrize(("path", "body", "params"), SENT)
def test_each_requests_its_job(*, api: httpx.Client, place: Json, path: str, body: Json, params: Json) -> None:
    response = api.post(path, json=place | body, headers={"Jobtrail-Actor": "lan"})
    job = job_of(api, response)
    name = TYPES[path.partition("?")[0]]
    assert (job["type"], job["params"], job["requested_by"]) == (name, params, "lan")
    assert {name: job[name] for name in place} == place
    assert job["priority"] == ("high" if len(params.get("only", ())) == 1 else "normal")
    message = response.json()["message"]
    for ignored in ("forceRestart", "forceSync", "batchSize", "limit", "t"):
        given = body.get(ignored) is not None or re.search(f"[?&]{ignored}=", path) is not None
        assert (f" {ignored} has no effect" in message) == given, message


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/nhanh/pull-products", {"page": 1}, "page"),
        ("/api/nhanh/pull-customers-all", {"type": 4}, "type"),
        ("/api/nhanh/pull-customers-all", {"lastBoughtDateFrom": "yesterday"}, "lastBoughtDateFrom"),
        ("/api/nhanh/pull-customers-all", {"last_bought_date_from": "2026-01-01"}, "last_bought_date_from"),
        ("/api/nhanh/pull-customers-incremental", {"since": "2026-01-01"}, "since"),
        ("/api/shopify/pull-products-sync", {"status": "sold"}, "status"),
        ("/api/shopify/pull-products-sync", {"status": "active OR title:x"}, "status"),
        ("/api/shopify/pull-customers?t=1", {}, "t"),
        ("/api/sync/bulk-sync-products", {"mappingIds": []}, "mappingIds"),
        ("/api/sync/bulk-sync-products", {"mappingIds": [str(n) for n in range(5001)]}, "mappingIds"),
        ("/api/sync/bulk-sync-products", {"mappingIds": [7]}, "mappingIds[0]"),
        ("/api/sync/bulk-sync-products", {"forceSync": True}, "forceSync"),
        ("/api/sync/auto-match", {"dryRun": True}, "dryRun"),
        ("/api/sync/auto-match", {"batchSize": 5}, "batchSize"),
        ("/api/sync/auto-sync?limit=0", {}, "limit"),
        ("/api/sync/products/auto-sync?forceSync=true", {}, "forceSync"),
        ("/api/sync/sync-product", {}, "mappingId"),
        ("/api/sync/sync-customer", {"mappingId": ""}, "mappingId"),
        ("/api/sync/fix-variant-ids", {"account": "nobody"}, "account"),
        ("/api/sync/fix-variant-ids", {"tenant": "nobody"}, "account"),
    ],
)
def test_what_a_route_never_took_is_named(
    *, api: httpx.Client, place: Json, tenant: str, path: str, body: Json, field: str
) -> None:
    refused(api.post(path, json=place | body), 422, field)
    assert shown(api, "/jobs", tenant=tenant)["total"] == 0


def test_no_body_at_all_where_a_field_is_needed(*, api: httpx.Client) -> None:
    refused(api.post("/api/sync/sync-product"), 422)
    refused(api.post("/api/sync/bulk-sync-products", content=b"{"), 422)
    refused(api.get("/api/nhanh/pull-products"), 405)
    refused(api.post("/api/images/batch"), 404)


def test_the_same_key_asks_once(*, api: httpx.Client, place: Json, tenant: str) -> None:
    key = {"Idempotency-Key": "once"}
    first = api.post("/api/sync/sync-product", json=place | {"mappingId": "7"}, headers=key)
    again = api.post("/api/sync/sync-product", json=place | {"mappingId": "7"}, headers=key)
    assert requested(first) == requested(again)
    assert again.headers["Idempotent-Replayed"] == "true"
    refused(api.post("/api/sync/sync-product", json=place | {"mappingId": "8"}, headers=key), 422, "Idempotency-Key")
    assert shown(api, "/jobs", first.headers["Jobtrail-Freshness"], tenant=tenant)["total"] == 1


def test_the_only_account_is_meant_and_any_other_named(*, api: httpx.Client, connection: Any, tenant: str) -> None:
    path = "/api/sync/auto-match"
    job = job_of(api, api.post(path, json={"tenant": tenant}))
    assert (job["tenant"], job["account"]) == (tenant, "demo-shop")
    connection.execute("INSERT INTO accounts.account (tenant, account) VALUES (%s, 'other-shop')", [tenant])
    found = refused(api.post(path, json={"tenant": tenant}), 422, "account")
    assert "demo-shop, other-shop" in found["error"]
    job = job_of(api, api.post(path, json={"tenant": tenant, "account": "other-shop"}))
    assert job["account"] == "other-shop"


def test_without_a_body(*, api: httpx.Client, system: Any, connection: Any) -> None:
    """Of no account, of the only account of all, and of several tenants."""
    migrate_accounts(system.database_url)
    connection.execute("DELETE FROM accounts.account")
    path = "/api/nhanh/pull-products"
    refused(api.post(path), 422, "account")
    connection.execute("INSERT INTO accounts.account (tenant, account) VALUES ('lan', 'lan-shop')")
    job = job_of(api, api.post(path))
    assert (job["tenant"], job["account"]) == ("lan", "lan-shop")
    connection.execute("INSERT INTO accounts.account (tenant, account) VALUES ('minh', 'minh-shop')")
    assert "lan, minh" in refused(api.post(path), 422, "tenant")["error"]
    assert job_of(api, api.post(path, json={"account": "minh-shop"}))["tenant"] == "minh"


def test_a_retry_without_a_failed_item_is_refused(*, api: httpx.Client, connection: Any, place: Json) -> None:
    """By the syncer's view, for which a table with the columns that are read stands here."""
    own = {"type": "RETRY_FAILED_SYNCS", **place}
    assert api.post("/jobs", json=own).status_code == 202  # the syncer has not stored its items yet
    connection.execute("CREATE SCHEMA syncer")
    try:
        columns = "tenant text, account text, kind text, platform text, category text, failed_in text[]"
        connection.execute(f"CREATE TABLE syncer.api_failed_items ({columns})")
        failed = (place["tenant"], "demo-shop", "product", "shopify", "TIMEOUT", ["job-0", "job-1"])
        connection.execute(f"INSERT INTO syncer.api_failed_items VALUES ({', '.join(['%s'] * len(failed))})", failed)
        for params in ({}, {"kind": "product"}, {"category": "TIMEOUT", "job_id": "job-1"}, {"confirm": "token"}):
            assert api.post("/jobs", json=own | {"params": params}).status_code == 202, params
        for params in ({"kind": "customer"}, {"category": "CONFLICT"}, {"job_id": "job-2"}):
            assert "nothing to retry" in problem(api.post("/jobs", json=own | {"params": params}), 409)["detail"]
        key = {"Idempotency-Key": "retry"}
        first = requested(api.post("/api/sync/retry-failed", json=place, headers=key))
        connection.execute("DELETE FROM syncer.api_failed_items")
        assert "demo-shop has no item" in refused(api.post("/api/sync/retry-failed", json=place), 409)["error"]
        # The job of this key has retried them.
        assert requested(api.post("/api/sync/retry-failed", json=place, headers=key)) == first
    finally:
        connection.execute("DROP SCHEMA syncer CASCADE")


def test_mappings_are_listed_created_changed_and_deleted(
    *, api: httpx.Client, system: Any, connection: Any, place: Json, tenant: str
) -> None:
    path = "/api/sync/product-mapping"
    migrate(system.database_url, "matcher", ["worker", "matcher"])
    connection.execute(
        "INSERT INTO matcher.match (tenant, account, kind, platform, hub_id, remote_id, status, method, score, job_id) "
        "VALUES (%(t)s, 'demo-shop', 'product', 'shopify', '7', 'gid://8', 'auto', 'sku', 1, 'job'), "
        "(%(t)s, 'demo-shop', 'customer', 'shopify', '9', 'gid://10', 'auto', 'phone', 1, 'job')",
        {"t": tenant},
    )
    listed = api.get(path, params={"tenant": tenant, "page": 1, "limit": 20}).json()
    (mapping,) = listed["data"]["mappings"]
    assert listed["success"] is True
    assert listed["data"]["pagination"]["total"] == 1
    assert (mapping["id"], mapping["nhanhProductId"], mapping["shopifyVariantId"]) == ("7", "7", "gid://8")
    assert api.get(path, params={"tenant": tenant, "status": "review"}).json()["data"]["mappings"] == []
    refused(api.get(path, params={"page": 2}), 422, "page")

    pair = {"nhanhProductId": "7", "shopifyVariantId": "gid://9"}
    created = api.post(path, json=place | pair | {"nhanhProductName": "Áo", "nhanhPrice": 120000})
    assert "nhanhPrice has no effect" in created.json()["message"]
    edits = [
        created,
        api.patch(path, json=place | {"id": "7", "shopifyVariantId": "gid://11"}),
        api.delete(path, params=place | {"id": "7"}),
    ]
    params = [job_of(api, edit)["params"] for edit in edits]
    assert [one["action"] for one in params] == ["create", "correct", "delete"]
    assert {(one["kind"], one["hub_id"], one["platform"]) for one in params} == {("product", "7", "shopify")}
    assert [one.get("remote_id") for one in params] == ["gid://9", "gid://11", None]
    refused(api.post(path, json=place | {"nhanhProductId": "7"}), 422, "shopifyVariantId")
    refused(api.post(path, json=place | pair | {"colour": "red"}), 422, "colour")
    refused(api.delete(path, params=place), 422, "id")


def test_pulled_products_are_listed_and_searched(
    *, api: httpx.Client, system: Any, connection: Any, tenant: str
) -> None:
    migrate(system.database_url, "puller", ["worker", "puller"])
    for platform, sku in (("nhanh", "AT-01"), ("shopify", "AT-01"), ("shopify", "QJ-02")):
        values = {"t": tenant, "p": platform, "s": sku}
        connection.execute(
            "INSERT INTO puller.product (tenant, account, platform, product_id, title) "
            "VALUES (%(t)s, 'demo-shop', %(p)s, %(s)s, 'Áo thun')",
            values,
        )
        connection.execute(
            "INSERT INTO puller.variant "
            "(tenant, account, platform, variant_id, record_id, product_id, name, sku, prices) "
            "VALUES (%(t)s, 'demo-shop', %(p)s, %(s)s, %(s)s, %(s)s, 'Áo thun', %(s)s, '{}')",
            values,
        )
    query = {"tenant": tenant}

    def listed(path: str, **more: Any) -> list[str]:
        answer = api.get(path, params=query | more)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["success"] is True
        assert body["data"]["total"] == len(body["data"]["products"])
        return [row["sku"] for row in body["data"]["products"]]

    assert listed("/api/nhanh/local-products") == ["AT-01"]
    assert listed("/api/shopify/local-products", page=1, limit=50) == ["AT-01", "QJ-02"]
    assert listed("/api/shopify/local-products", keyword="qj") == ["QJ-02"]
    first = api.get("/api/shopify/local-products", params=query | {"limit": 1}).json()["data"]
    assert listed_after(api, query | {"limit": 1, "cursor": first["next"]}) == ["QJ-02"]
    refused(api.get("/api/shopify/local-products", params={"page": 3}), 422, "page")

    path = "/api/shopify/search-products"
    for found in (
        api.get(path, params=query | {"keyword": "áo"}),
        api.post(path, json=query | {"keyword": "ÁO THUN"}),
    ):
        assert [row["sku"] for row in found.json()["data"]] == ["AT-01", "QJ-02"]
    assert [row["sku"] for row in api.post(path, json=query | {"sku": "QJ-02"}).json()["data"]] == ["QJ-02"]
    refused(api.get(path, params=query), 422, "keyword")
    refused(api.post(path, json=query), 422, "keyword")


def listed_after(api: httpx.Client, query: Json) -> list[str]:
    return [row["sku"] for row in api.get("/api/shopify/local-products", params=query).json()["data"]["products"]]


def test_the_schedule_is_created_changed_and_paused(*, api: httpx.Client, tenant: str) -> None:
    path, of_tenant = "/api/sync/schedule/global", {"tenant": tenant}
    answer = api.get(path, params=of_tenant).json()
    assert (answer["success"], answer["data"]) == (True, {"enabled": False, "schedule": None})
    refused(api.post(path, json=of_tenant), 422, "schedule")
    refused(api.post(path, json=of_tenant | {"schedule": "0 0 31 2 *"}), 422, "cron")

    made = api.post(path, json=of_tenant | {"enabled": True, "schedule": "0 */6 * * *"}).json()["data"]
    assert (made["enabled"], made["schedule"], made["timezone"]) == (True, "0 */6 * * *", "Asia/Ho_Chi_Minh")
    assert [run[11:16] in {"00:00", "06:00", "12:00", "18:00"} for run in made["nextRuns"]] == [True] * 5
    assert api.get(path, params=of_tenant).json()["data"] == made
    (listed,) = api.get("/schedules", params=of_tenant).json()["schedules"]
    assert (listed["schedule_id"], listed["type"], listed["account"]) == (
        made["scheduleId"],
        "AUTO_SYNC_CUSTOMERS",
        None,
    )

    paused = api.post(path, json=of_tenant | {"enabled": False}).json()["data"]
    assert (paused["enabled"], paused["schedule"], paused["nextRuns"]) == (False, "0 */6 * * *", [])
    assert api.post(path, json=of_tenant | {"schedule": "15 7 * * *"}).json()["data"]["schedule"] == "15 7 * * *"
    assert len(api.get("/schedules", params=of_tenant).json()["schedules"]) == 1
    refused(api.get(path, params={"tenant": "nobody"}), 422, "tenant")
    refused(api.post(path, json={"cron": "* * * * *"}), 422, "cron")
