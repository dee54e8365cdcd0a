"""What people see of held items, stopped runs and pairs that wait for review, through the real API."""

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row
from tests.api_answers import answers, shown

from job_tracker.api.listing import cut_scan
from local_stack import free_port
from service_kit.sql_files import queries


@pytest.fixture(scope="module")
def api(shared_system: Any, wait_until: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    port = free_port()
    shared_system.process("api", tmp_path_factory.mktemp("api") / "log", JOBTRAIL_API_PORT=str(port))
    shared_system.projector()
    shared_system.projector(part="items")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
        wait_until(lambda: answers(f"{client.base_url}/readyz"), "the API does not become ready")
        yield client


@pytest.fixture
def tenant() -> str:
    return f"tenant-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def stream(make_stream: Any, tenant: str) -> Any:
    return make_stream(7, tenant)


HELD = "the price falls to a tenth"
ABOUT = {"title": "Cà phê sữa đá", "sku": "CF-1", "linked_by": "sku", "note": "name and e-mail differ"}


def test_items_tell_what_they_are_and_why_they_are_held(
    *, api: httpx.Client, shared_system: Any, stream: Any, wait_until: Any
) -> None:
    events = stream.job(1, attempts=1, progresses=0)
    name = events[0]["subject"]
    shared_system.send(events)
    more: list[dict[str, Any]] = [
        {"action": "skipped", "held": HELD, "about": ABOUT},
        {"action": "skipped", "about": {"title": '"held":"no'}},
        {"action": "failed", "error": {"category": "CONFLICT", "code": "C", "message": "no"}},
        {"action": "updated"},
    ]
    for number, fields in enumerate(more * 3):
        data = {"job": {"type": "PRODUCT_SYNC", "account": "shop-1"}, "attempt": 0, "item": f"sku-{number}", **fields}
        event = stream.envelope("item.recorded.v1", name, f"{name}/sku-{number:02}/0", stream.start, data)
        shared_system.send([event], shared_system.topics.items)
    address = f"/jobs/{name}/items"
    wait_until(lambda: api.get(f"/jobs/{name}").status_code == 200, "the job is missing")
    wait_until(lambda: len(shown(api, address)["items"]) == 12, "items are missing")

    def numbers(**filters: Any) -> list[int]:
        found: list[str] = []
        page = shown(api, address, limit=2, **filters)
        while True:
            found += [item["item"] for item in page["items"]]
            if page["next"] is None:
                return [int(item.removeprefix("sku-")) for item in found]
            page = shown(api, address, limit=2, cursor=page["next"], **filters)

    first, second = shown(api, address, limit=2)["items"]
    assert (first["held"], first["about"]) == (HELD, ABOUT)
    assert (second["held"], second["about"]) == (None, {"title": '"held":"no'})
    assert numbers() == list(range(12))
    assert numbers(held="true") == [0, 4, 8]
    assert numbers(action="failed") == [2, 6, 10]
    assert numbers(action=["failed", "updated"]) == [2, 3, 6, 7, 10, 11]
    assert numbers(action="updated", held="true") == []
    # The statement itself, with a bound of five rows: one fits, and the scan goes on behind the fifth.
    with psycopg.connect(shared_system.database_url, row_factory=dict_row) as connection:
        values = {"job_id": name, "after_at": None, "after_id": None, "actions": ["updated"], "held": False}
        rows = connection.execute(
            queries("job_tracker.store", "reads.sql")["items"].format(scope=""),
            values | {"scanned": 5, "most": 4, "most_bytes": 2**20},
        )
        found, last = cut_scan(rows.fetchall(), 2, 5)
    assert [row["item"] for row in found] == ["sku-3"]
    assert last is not None and last["item"] == "sku-4"


@pytest.mark.parametrize(
    ("outcome", "code", "metadata", "held"),
    [
        ("partial", "ITEMS_HELD", {"held": 3, "planToken": "t"}, 3),
        ("failure", "CHANGE_TOO_LARGE", {"planToken": "t"}, None),
        ("partial", "WOULD_STOP", {"held": True}, None),
        ("success", None, {"held": 0}, None),
    ],
)
def test_a_list_tells_how_a_job_ended(
    *,
    api: httpx.Client,
    shared_system: Any,
    stream: Any,
    tenant: str,
    wait_until: Any,
    outcome: str,
    code: str | None,
    metadata: dict[str, Any],
    held: int | None,
) -> None:
    events = stream.job(1, attempts=1, progresses=0)
    error = {"category": "CHANGE_TOO_LARGE", "code": code, "message": "too much"} if code else None
    events[-1]["data"] |= {"outcome": outcome, "metadata": metadata, "error": error}
    shared_system.send(events)
    wait_until(lambda: shown(api, "/jobs", tenant=tenant, limit=1)["jobs"][0:1] != [], "the job is missing")
    wait_until(lambda: shown(api, "/jobs", tenant=tenant)["jobs"][0]["state"] == "finished", "it is not finished")
    (listed,) = shown(api, "/jobs", tenant=tenant)["jobs"]
    assert (listed["error_code"], listed["held"]) == (code, held)
    job = shown(api, f"/jobs/{listed['job_id']}")["job"]
    assert (job["error_code"], job["metadata"]) == (code, metadata)


def test_matches_carry_the_names_of_both_records(*, api: httpx.Client, shared_system: Any) -> None:
    with psycopg.connect(shared_system.database_url, autocommit=True) as connection:
        connection.execute("""
        CREATE SCHEMA matcher;
        CREATE SCHEMA puller;
        CREATE VIEW matcher.api_matches AS SELECT 't' AS tenant, 'a' AS account, 'shopify' AS platform,
            'sku' AS method, * FROM (VALUES ('product', 'v1', 's1', 'review'), ('customer', 'c1', 'x', 'auto'))
            AS r (kind, hub_id, remote_id, status);
        CREATE VIEW matcher.api_totals AS SELECT 't' AS tenant, 'a' AS account, 'product' AS kind, 2::bigint AS records;
        CREATE VIEW puller.api_products AS SELECT 't' AS tenant, *
        FROM (VALUES ('a', 'nhanh', 'v1', 'Áo', 'XL', 'S-1'), ('other', 'shopify', 's1', 'Not this one', NULL, NULL))
            AS r (account, platform, variant_id, title, variant_title, sku);
        CREATE VIEW puller.api_customers AS SELECT 't' AS tenant, 'a' AS account, 'nhanh' AS platform,
            'c1' AS customer_id, 'Lan' AS name;
        """)
    customer, product = shown(api, "/matches", tenant="t", names="true")["matches"]
    assert (product["hub"], product["remote"]) == ({"title": "Áo / XL", "sku": "S-1"}, None)
    assert (customer["hub"], customer["remote"]) == ({"title": "Lan", "sku": None}, None)
    assert "hub" not in shown(api, "/matches", tenant="t")["matches"][0]
