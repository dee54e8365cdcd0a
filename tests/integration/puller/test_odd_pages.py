"""Pages that the sandbox never gives: an item twice, an item without an id, an item that is none."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from tests.http_server import running_server


def _customer(number: int, **changes: Any) -> dict[str, Any]:
    return {"id": number, "name": f"Khách {number}", "mobile": None, "updatedAt": 1733387520, **changes}


PAGES: dict[str, tuple[list[Any], Any]] = {
    "": ([_customer(1), _customer(1), {"name": "không có mã"}, "chữ"], {"id": "1"}),
    "1": ([], {"id": "2"}),
    "2": ([_customer(2, totalAmount="-"), _customer(1, name="Khách đổi tên"), _customer(3)], {"id": "3"}),
    "3": ([_customer(2, totalAmount="-"), _customer(3)], None),
}


class _OddNhanh(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        items, following = PAGES[(body["paginator"].get("next") or {"id": ""})["id"]]
        answer = json.dumps({"code": 1, "data": items, "paginator": {"next": following}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the test's output is for the test."""


@pytest.fixture
def odd_nhanh() -> Iterator[str]:
    with running_server(_OddNhanh) as address:
        yield address


def test_every_record_counts_once_and_every_odd_item_is_recorded(
    world: Any, puller: Callable[[], Any], odd_nhanh: str
) -> None:
    credentials = {"app_id": "1", "business_id": "2", "access_token": "token"}
    world.store.put_connection("demo", world.account, "nhanh", odd_nhanh, credentials)
    with puller():
        job_id = world.request("PULL_NHANH_CUSTOMERS")
        data = world.finished(job_id).data
        items = world.items(job_id, 3)
    assert data.outcome == "partial"
    counters = data.counters
    assert (counters.processed, counters.successful, counters.failed, counters.total) == (5, 2, 3, None)
    counted = {name: data.metadata[name] for name in ("pages", "created", "updated", "unchanged", "repeated")}
    assert counted == {"pages": 4, "created": 2, "updated": 0, "unchanged": 0, "repeated": 3}
    # Who the items without an id are is unknown: so nobody can be said to be gone.
    assert "gone" not in data.metadata
    said = {item.data.item: item.data.error.message for item in items}
    assert said == {
        "page 1 item 3": "id: is missing or no id",
        "page 1 item 4": "item: expected an object, got text",
        "2": "totalAmount: '-' is no number",
    }
    names = world.rows("select customer_id, name from puller.api_customers order by customer_id")
    assert names == [
        {"customer_id": "1", "name": "Khách đổi tên"},
        {"customer_id": "3", "name": "Khách 3"},
    ]
