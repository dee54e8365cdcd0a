"""Orders and retail bills: one sale counts once, changes and deletions are seen, spans are short enough."""

import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

DAY = 86_400
BUYER = {"id": 7, "name": "Nguyễn Văn An", "mobile": "0912345678"}
SALES = "select kind, document_id, bill_ids, total::float8 as total, status_word, customer_id from puller.api_orders"
LIVE = f"{SALES} where deleted_at is null order by kind, document_id"


def _put(world: Any, kind: str, number: int, **more: Any) -> None:
    line = {"product_id": 11, "quantity": 2, "price": 100_000, "vat_percent": 8, "discount": 5000, "name": "Áo"}
    body = {"id": number, "lines": [line], "buyer": BUYER, **more}
    world.sandbox.http.put(f"/records/{world.account}/nhanh/{kind}", json=body).raise_for_status()


def _asked(world: Any, path: str, after: int = 0) -> list[dict[str, Any]]:
    entries = world.sandbox.requests(world.account, "nhanh")[after:]
    return [entry["body"]["filters"] for entry in entries if entry["path"] == path]


def test_sales_count_once_and_changes_and_deletions_are_seen(world: Any, puller: Callable[[], Any]) -> None:
    now = int(time.time())
    for number in (1, 2, 3):
        _put(world, "order", number, created_at=now - number * DAY, updated_at=now - number * DAY)
    _put(world, "order", 4, status=99, channel=77, created_at=now - 90 * DAY, updated_at=now - 90 * DAY)
    _put(world, "bill", 51, order_id=1)
    _put(world, "bill", 52)
    _put(world, "bill", 53, order_id=4)  # of an order that is not stored yet: the sale counts by its bill
    with puller():
        data = world.run("PULL_NHANH_ORDERS").data
        assert (data.outcome, data.error) == ("success", None)
        assert (data.metadata["orders"], data.metadata["bills"], data.metadata["created"]) == (3, 3, 6)
        assert {"speed", "duration", "pages", "requests", "rateLimitHits", "changedSince", "changedUntil"} <= set(
            data.metadata
        )
        total = 2 * (108_000 - 5000)
        sales = {(row["kind"], row["document_id"]): row for row in world.rows(LIVE)}
        assert set(sales) == {("order", "1"), ("order", "2"), ("order", "3"), ("bill", "52"), ("bill", "53")}
        assert sales["order", "1"]["bill_ids"] == ["51"]
        assert {row["total"] for row in sales.values()} == {total}
        assert sales["order", "2"]["status_word"] == "new"
        assert {row["customer_id"] for row in sales.values()} == {"7"}
        lines = world.rows("select product_id, quantity::int, total::int from puller.api_order_lines")
        assert [tuple(line.values()) for line in lines] == [("11", 2, total)] * 6

        # A given span reads it, in spans of at most 31 days, and moves no mark.
        marks = world.rows("select kind, mark from puller.pull_cursor order by kind")
        assert len(marks) == 4
        sent = len(world.sandbox.requests(world.account, "nhanh"))
        old = (datetime.now(UTC) - timedelta(days=100)).isoformat()
        span = world.run("PULL_NHANH_ORDERS", updated_from=old).data
        assert (span.metadata["created"], span.metadata["unchanged"]) == (1, 6)
        assert world.rows("select kind, mark from puller.pull_cursor order by kind") == marks
        asked = _asked(world, "order/list", sent)
        assert len(asked) == 4
        assert all(0 < one["updatedAtTo"] - one["updatedAtFrom"] <= 31 * DAY for one in asked)
        bills = _asked(world, "bill/retail", sent)
        for one in bills:
            assert (datetime.fromisoformat(one["toDate"]) - datetime.fromisoformat(one["fromDate"])).days <= 30
        sales = {(row["kind"], row["document_id"]): row for row in world.rows(LIVE)}
        assert set(sales) == {("order", str(number)) for number in (1, 2, 3, 4)} | {("bill", "52")}
        assert sales["order", "4"]["status_word"] is None
        assert world.rows("select status, channel from puller.api_orders where document_id = '4'") == [
            {"status": 99, "channel": 77}
        ]

        # Changes and deletions since the mark.
        world.sandbox.edit(world.account, "nhanh", "order", 2, set={"info": {"status": 60}}, at=None)
        records = f"/records/{world.account}/nhanh"
        world.sandbox.http.delete(f"{records}/order/3").raise_for_status()
        world.sandbox.http.delete(f"{records}/bill/52").raise_for_status()
        again = world.run("PULL_NHANH_ORDERS").data
        assert (again.metadata["updated"], again.metadata["deleted"], again.metadata["created"]) == (1, 2, 0)
        sales = {(row["kind"], row["document_id"]): row for row in world.rows(LIVE)}
        assert set(sales) == {("order", "1"), ("order", "2"), ("order", "4")}
        assert sales["order", "2"]["status_word"] == "success"
        once_more = world.run("PULL_NHANH_ORDERS").data
        assert (once_more.metadata["updated"], once_more.metadata["deleted"]) == (0, 0)
    _assert_no_personal_data(world)


def _assert_no_personal_data(world: Any) -> None:
    for table in ("sales_document", "sales_line", "inbox"):
        text = str(world.rows(f"select * from puller.{table}"))
        assert not [part for part in ("Nguyễn Văn An", "0912345678") if part in text]


@pytest.mark.long
def test_kill_9_in_the_middle_of_a_span(world: Any, puller: Callable[[], Any]) -> None:
    now = int(time.time())
    for number in range(1, 13):
        _put(world, "order", number, created_at=now - number * 7 * DAY, updated_at=now - number * 7 * DAY)
    world.sandbox.switch(world.account, "nhanh", page_limit=1, short_pages=False)
    start = (datetime.now(UTC) - timedelta(days=90)).isoformat()

    def parts(job_id: str) -> int:
        rows = world.rows("select (cursor ->> 'part')::int as n from puller.inbox where job_id = %(job)s", job=job_id)
        return (rows[0]["n"] or 0) if rows else 0

    with puller() as process:
        assert world.run("PULL_NHANH_CUSTOMERS").data.outcome == "success"
        world.sandbox.fault("nhanh", world.account, "slow", seconds=0.7, path="order/list")
        job_id = world.request("PULL_NHANH_ORDERS", updated_from=start)
        world.wait_until(lambda: parts(job_id) >= 1, message="the pull is under way")
        process.send_signal(signal.SIGKILL)
        process.wait()
    # A change during the pull moves the order to the last span; nothing else is lost with it.
    world.sandbox.edit(world.account, "nhanh", "order", 12, set={"info": {"status": 60}}, at=None)
    world.sandbox.clear_faults()
    with puller():
        data = world.finished(job_id).data
        assert (data.outcome, data.attempt) == ("success", 2)
        assert data.metadata["orders"] == 12
        spans = {(one["updatedAtFrom"], one["updatedAtTo"]) for one in _asked(world, "order/list")}
        assert len(spans) == 4  # the same ones in both attempts
    stored = world.rows("select document_id::int as id, status from puller.sales_document order by 1")
    assert [(row["id"], row["status"]) for row in stored] == [(n, 60 if n == 12 else 54) for n in range(1, 13)]


def test_an_order_that_cannot_be_read_fails_alone_and_a_refused_list_ends_the_job(
    world: Any, puller: Callable[[], Any]
) -> None:
    _put(world, "order", 1)
    _put(world, "order", 2)
    world.sandbox.edit(
        world.account, "nhanh", "order", 1, set={"products": [{"productId": 11, "quantity": 1}]}, at=None
    )
    denied = '{"code":0,"errorCode":"ERR_403","messages":"no permission"}'
    with puller():
        world.sandbox.fault("nhanh", world.account, "garbage", path="bill/retail", body=denied, count=1)
        job_id = world.request("PULL_NHANH_ORDERS")
        data = world.finished(job_id).data
        assert (data.outcome, data.error.category) == ("failure", "PERMISSION_DENIED")
        (failed,) = world.items(job_id, 1)
        assert "products[0].totalAmount: is missing" in failed.data.error.message
        # The orders were read to their end, the bills were not.
        assert [row["kind"] for row in world.rows("select kind from puller.pull_cursor")] == ["orders"]
        assert [row["document_id"] for row in world.rows(LIVE)] == ["2"]
        backwards = {"updated_from": "2026-03-01T00:00:00Z", "updated_to": "2026-02-01T00:00:00Z"}
        refused = world.run("PULL_NHANH_ORDERS", **backwards).data
        assert (refused.error.category, refused.error.code) == ("VALIDATION_FAILED", "WRONG_PARAMETER")
