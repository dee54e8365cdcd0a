"""Nothing in a request is passed over: what is unknown, repeated, no text or of another list is refused by its name."""

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import jsonschema
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.api_answers import accepted, problem, shown

CHAIN = [
    {
        "type": "AUTO_MATCH_PRODUCTS",
        "needs": ["PULL_NHANH_PRODUCTS"],
        "params": {"auto": 0.9},
        "then": [
            {
                "type": "PRODUCT_SYNC",
                "needs": ["AUTO_MATCH_PRODUCTS"],
                "params": {"dry_run": True, "only": ["7"]},
                "then": [{"type": "REVERT_SYNC", "needs": ["PRODUCT_SYNC"], "params": {"job_id": "a"}}],
            }
        ],
    }
]
PRODUCT_FILTERS = {
    "ids": [1, "2"],
    "name": "áo",
    "parentId": -1,
    "gpid": 3,
    "categoryIds": [1],
    "brandIds": [1],
    "status": [2],
    "price": {"from": 1, "to": 2.5},
    "imei": "3",
    "updatedAtFrom": 1,
    "updatedAtTo": 2,
}
CUSTOMER_FILTERS = {
    "ids": [1],
    "id": 5,
    "mobile": "0987",
    "type": 2,
    "lastBoughtDateFrom": "2026-01-31",
    "lastBoughtDateTo": "2026-02-01",
    "updatedAtFrom": 1,
}
MATCH = {"kind": "product", "hub_id": "7", "remote_id": "8"}
# Method, address, body: each is accepted as it is. PLACE stands for the tenant and the account.
PLACE = object()
BODIES: list[tuple[str, str, dict[Any, Any]]] = [
    ("POST", "/jobs", {"type": "PULL_NHANH_PRODUCTS", PLACE: 0, "params": {"filters": PRODUCT_FILTERS}, "then": CHAIN}),
    ("POST", "/jobs", {"type": "PULL_NHANH_CUSTOMERS", PLACE: 0, "params": {"filters": CUSTOMER_FILTERS}}),
    ("POST", "/jobs", {"type": "PULL_SHOPIFY_PRODUCTS", PLACE: 0, "params": {"query": "tag:sale", "page_size": 5}}),
    ("POST", "/jobs", {"type": "EDIT_MATCH", PLACE: 0, "params": {"action": "create", **MATCH}}),
    ("POST", "/matches", {PLACE: 0, **MATCH}),
    ("POST", "/matches", {PLACE: 0, **MATCH, "platform": "paper-shop"}),
    ("PATCH", "/matches/product/7", {PLACE: 0, "remote_id": "8"}),
    ("POST", "/queues/puller/resume", {"reason": "stocktaking"}),
    ("POST", "/accounts/{tenant}/{account}/resume", {"reason": "stocktaking"}),
]


def filled(body: dict[Any, Any], shop: dict[str, str]) -> dict[str, Any]:
    place = shop if PLACE in body else {}
    return {name: value for name, value in body.items() if name is not PLACE} | place


def objects(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object in a JSON value, with its path; the free texts of `about` are none of them."""
    if isinstance(value, dict):
        yield path, value
        for name, held in value.items():
            yield from objects(held, f"{path}.{name}".lstrip("."))
    if isinstance(value, list):
        for index, held in enumerate(value):
            yield from objects(held, f"{path}[{index}]")


@pytest.mark.parametrize(("method", "address", "body"), BODIES, ids=lambda one: one if isinstance(one, str) else "")
def test_an_unknown_field_is_refused_at_every_depth(
    *, shared_api: httpx.Client, shop: dict[str, str], method: str, address: str, body: dict[Any, Any]
) -> None:
    url, sound = address.format(**shop), filled(body, shop)
    assert shared_api.request(method, url, json=sound).status_code == 202

    @settings(max_examples=40, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        place=st.sampled_from([path for path, _ in objects(sound)]),
        name=st.text("abcdefgh_", min_size=1, max_size=8).map("x{}".format),
        value=st.sampled_from([None, 1, "text", {}, []]),
    )
    def refused(place: str, name: str, value: Any) -> None:
        changed = json.loads(json.dumps(sound))
        next(held for path, held in objects(changed) if path == place)[name] = value
        problem(shared_api.request(method, url, json=changed), 422, f"{place}.{name}".lstrip("."))

    refused()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('"type": "PULL_NHANH_PRODUCTS"', "type"),
        ('"params": {"page_size": 5, "page_size": 6}', "params.page_size"),
        ('"then": [{"type": "A", "needs": [], "needs": []}]', "then[0].needs"),
        ('"about": {"sku": "a", "sku": "b"}', "about.sku"),
        ('"about": {"sku": "a\\u0000"}', "about.sku"),
        ('"about": {"a\\ud800": "a"}', "about.a\ufffd"),
        ('"batch": 1e400', "batch"),
    ],
)
def test_a_field_that_is_repeated_or_no_text_is_refused(
    *, shared_api: httpx.Client, shop: dict[str, str], text: str, field: str
) -> None:
    start = json.dumps({"type": "PULL_NHANH_PRODUCTS", **shop})[:-1]
    answer = shared_api.post("/jobs", content=f"{start}, {text}}}", headers={"content-type": "application/json"})
    problem(answer, 422, field)


def test_a_body_is_refused_where_none_is_read(*, shared_api: httpx.Client, shop: dict[str, str]) -> None:
    url = "/matches/product/7"
    problem(shared_api.request("DELETE", url, params=shop, json={"reason": "a mistake"}), 422, "body")
    problem(shared_api.request("GET", "/jobs", json={"status": "FAILED"}), 422, "body")
    accepted(shared_api.delete(url, params=shop))


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("tenant=a&tenant=b", "tenant"),
        ("tenant=a&tenant=a", "tenant"),
        ("limit=1&limit=2", "limit"),
        ("cursor=a&cursor=b", "cursor"),
        ("from=2026-01-01T00:00:00Z&from=2026-01-02T00:00:00Z", "from"),
        ("wait_for=a&wait_for=b", "wait_for"),
        ("tenant=%FF", "tenant"),
        ("tenant=a%00b", "tenant"),
        ("text=%ED%A0%80", "text"),
        ("type=%C3%28", "type"),
        ("status=COMPLETED&type=A&type=%00", "type"),
        ("%FF=1", "\\xff"),
    ],
)
def test_a_parameter_that_is_repeated_or_no_text_is_named(*, shared_api: httpx.Client, query: str, field: str) -> None:
    assert field in [one["field"] for one in raw(shared_api, f"GET /jobs?{query}")["errors"]]


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("GET /jobs/a%FFb", "job_id"),
        ("GET /jobs/a%00b/items", "job_id"),
        ("GET /jobs/%ED%A0%80/events", "job_id"),
        ("POST /jobs/%FF/cancel", "job_id"),
        ("POST /accounts/a/%FF/pause", "account"),
        ("DELETE /matches/product/a%2Fb%FF?tenant=a&account=b", "hub_id"),
    ],
)
def test_a_part_of_a_path_that_is_no_text_is_named(*, shared_api: httpx.Client, line: str, field: str) -> None:
    assert [one["field"] for one in raw(shared_api, line)["errors"]] == [field]


@pytest.mark.parametrize(
    ("header", "field"),
    [
        (b"Jobtrail-Actor: L\xfc", "Jobtrail-Actor"),
        (b"Jobtrail-Actor: a\r\nJobtrail-Actor: b", "Jobtrail-Actor"),
        (b"Idempotency-Key: \xff", "Idempotency-Key"),
        (b"Idempotency-Key: a\r\nidempotency-key: b", "Idempotency-Key"),
    ],
)
def test_a_header_that_is_repeated_or_no_text_is_named(*, shared_api: httpx.Client, header: bytes, field: str) -> None:
    assert field in [one["field"] for one in raw(shared_api, "POST /jobs", header)["errors"]]


def raw(api: httpx.Client, line: str, header: bytes = b"X-None: 0") -> dict[str, Any]:
    """The problem that a request gets which httpx would not send as it is written."""
    address = urlsplit(str(api.base_url))
    assert address.hostname and address.port
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        head = f"{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".encode() + header + b"\r\n\r\n"
        connection.sendall(head)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 422"), answer
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def test_a_parameter_that_takes_several_values_still_does(*, shared_api: httpx.Client, shop: dict[str, str]) -> None:
    shown(shared_api, "/jobs", tenant=shop["tenant"], status=["FAILED", "RUNNING"], type=["A", "B"])
    shown(shared_api, "/jobs", tenant="bình \ufffd +&=")


@pytest.mark.parametrize(
    ("method", "address", "allowed"),
    [
        ("PUT", "/jobs", "GET, HEAD, POST"),
        ("PUT", "/jobs/a", "DELETE, GET, HEAD"),
        ("GET", "/jobs/a/retry", "POST"),
        ("DELETE", "/products", "GET, HEAD"),
        ("GET", "/matches/product/a/b", "DELETE, PATCH"),
        ("POST", "/stream", "GET"),
        ("HEAD", "/stream", "GET"),
        ("POST", "/healthz", "GET, HEAD"),
        ("GET", "/dead-letters/ack", "POST"),
    ],
)
def test_what_is_not_allowed_names_what_is(
    *, shared_api: httpx.Client, method: str, address: str, allowed: str
) -> None:
    answer = shared_api.request(method, address)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_answers_are_as_they_are_described(
    *, shared_api: httpx.Client, shop: dict[str, str], two_jobs: list[str]
) -> None:
    first, _ = two_jobs
    described = shared_api.get("/openapi.json").json()["paths"]
    for address, template in (
        (f"/jobs?tenant={shop['tenant']}", "/jobs"),
        (f"/jobs/{first}", "/jobs/{job_id}"),
        (f"/jobs/{first}/family", "/jobs/{job_id}/family"),
        (f"/stats?tenant={shop['tenant']}", "/stats"),
    ):
        schema = described[template]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(shared_api.get(address).json(), schema, jsonschema.Draft202012Validator)
    counters = described["/jobs"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    counters = counters["properties"]["jobs"]["items"]["properties"]["counters"]["properties"]
    assert all("integer" in json.dumps(one) and "number" not in json.dumps(one) for one in counters.values())


@pytest.fixture
def two_jobs(shared_system: Any, shared_api: httpx.Client, make_stream: Any, shop: Any, wait_until: Any) -> list[str]:
    """Two jobs of the same shape: events and items of both fill several pages."""
    stream = make_stream(3, shop["tenant"])
    jobs: list[str] = []
    for number in range(2):
        events = stream.job(number, attempts=1, progresses=6)
        shared_system.send(events)
        name = events[0]["subject"]
        jobs.append(name)
        for item in range(6):
            data = {"job": events[0]["data"]["job"], "attempt": 0, "item": f"sku-{item}", "action": "failed"}
            event = stream.envelope("item.recorded.v1", name, f"{name}/sku-{item}/0", stream.start, data)
            shared_system.send([event], shared_system.topics.items)
    for name in jobs:
        wait_until(lambda name=name: shared_api.get(f"/jobs/{name}/events").json().get("total") == 9, "no events")
        wait_until(lambda name=name: len(shared_api.get(f"/jobs/{name}/items").json().get("items", ())) == 6, "items")
    return jobs


def test_a_cursor_goes_on_with_its_own_list_only(
    *, shared_api: httpx.Client, shop: dict[str, str], two_jobs: list[str]
) -> None:
    first, second = two_jobs
    tenant = {"tenant": shop["tenant"]}
    lists: list[tuple[str, dict[str, Any]]] = [
        (f"/jobs/{first}/events", {}),
        (f"/jobs/{second}/events", {}),
        (f"/jobs/{first}/items", {}),
        (f"/jobs/{second}/items", {}),
        (f"/jobs/{first}/items", {"action": "failed"}),
        (f"/jobs/{first}/items", {"action": ["failed", "updated"]}),
        ("/jobs", tenant),
        ("/jobs", {}),
        ("/jobs", tenant | {"text": "a"}),
        ("/jobs", tenant | {"from": "2020-01-01T00:00:00Z"}),
        ("/jobs", tenant | {"status": ["COMPLETED", "MIXED", "FAILED", "CANCELLED"]}),
    ]
    others = [("/products", {}), ("/accounts", {}), ("/dead-letters", {}), (f"/jobs/{first}/items", {"held": True})]
    for address, query in lists:
        cursor = shown(shared_api, address, limit=1, **query)["next"]
        assert cursor, address
        for other, filters in [*lists, *others]:
            answer = shared_api.get(other, params={**filters, "limit": 1, "cursor": cursor})
            if (other, filters) == (address, query):
                assert answer.status_code == 200
            else:
                problem(answer, 422, "cursor")


MIB = 2**20


def all_pages(api: httpx.Client, address: str, name: str, **query: Any) -> tuple[list[Any], list[int]]:
    """All rows of a list, and the size of each page in bytes."""
    rows: list[Any] = []
    sizes: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        answer = api.get(address, params=query | cursor)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert page[name] or not page["next"]
        rows += page[name]
        sizes.append(len(answer.content))
        if page["next"] is None:
            return rows, sizes
        cursor = {"cursor": page["next"]}


def test_a_page_is_bounded_in_bytes(
    *, shared_system: Any, shared_api: httpx.Client, make_stream: Any, shop: Any, wait_until: Any
) -> None:
    stream = make_stream(5, shop["tenant"])
    events = stream.job(1, attempts=1, progresses=7)
    name = events[0]["subject"]
    for event in events:
        if event["type"] == "job.progress.v1":
            event["data"]["metadata"] = {"text": "x" * (MIB * 3 // 4)}
        shared_system.send([event])
    for number in range(8):
        data = {"job": events[0]["data"]["job"], "attempt": 0, "item": f"sku-{number}", "action": "failed"}
        data["changes"] = [{"name": "price", "before": "x" * 500, "after": None}] * 1400
        item = stream.envelope("item.recorded.v1", name, f"{name}/sku-{number}/0", stream.start, data)
        shared_system.send([item], shared_system.topics.items)
    wait_until(lambda: shared_api.get(f"/jobs/{name}").json().get("job", {}).get("state") == "finished", "not read")

    def whole(address: str, most: int, **query: Any) -> list[Any]:
        rows, sizes = all_pages(shared_api, address, address.rpartition("/")[2], limit=200, **query)
        assert max(sizes) <= most and len(sizes) > 1
        return rows

    wait_until(lambda: len(all_pages(shared_api, f"/jobs/{name}/items", "items")[0]) == 8, "items are missing")
    found = [event["event_id"] for event in whole(f"/jobs/{name}/events", 4.1 * MIB)]
    assert found == [event["id"] for event in events]
    for filters in ({}, {"action": "failed"}):
        items = [item["event_id"] for item in whole(f"/jobs/{name}/items", 4.1 * MIB, **filters)]
        assert items == [f"{name}/sku-{number}/0" for number in range(8)]


def test_a_page_of_letters_is_bounded_in_bytes(
    *, shared_api: httpx.Client, shared_connection: psycopg.Connection[Any]
) -> None:
    shared_connection.execute(
        """INSERT INTO tracker.dead_letter
            (topic, partition, "offset", consumer, appended_at, reason, value, value_bytes)
        SELECT 'large', 0, n, 'test', now(), 'no', convert_to(repeat(chr(1), 65536), 'UTF8'), 65536
        FROM generate_series(1, 30) AS n"""
    )
    rows, sizes = all_pages(shared_api, "/dead-letters", "dead_letters", topic="large", limit=200)
    assert sorted(row["offset"] for row in rows) == list(range(1, 31))
    assert max(sizes) < 4.2 * MIB and len(sizes) > 1
