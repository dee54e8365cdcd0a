"""Lists that break off, lead in a circle or never end: errors, not ends."""

import json
import re
import signal
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from tests.http_server import running_server

NO_NODES = {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}
COST = {
    "requestedQueryCost": 10,
    "actualQueryCost": 1,
    "throttleStatus": {"maximumAvailable": 20_000.0, "currentlyAvailable": 20_000.0, "restoreRate": 1000.0},
}


@pytest.mark.parametrize("kind", ["product", "customer"])
def test_a_list_that_ends_before_its_count_is_a_failure(world: Any, puller: Callable[[], Any], kind: str) -> None:
    job_type, held = f"PULL_SHOPIFY_{kind.upper()}S", world.shops["shopify"]["records"][f"{kind}s"]
    listed = "select count(*)::int as n from puller.record where account = %(account)s and gone_at is null"
    with puller():
        assert world.run(job_type).data.outcome == "success"
        before = world.rows(listed)
        world.sandbox.switch(world.account, "shopify", lists_end_after=held - 1)
        data = world.run(job_type, page_size=20).data
        assert (data.outcome, data.error.category, data.error.code) == ("failure", "PLATFORM_ERROR", "INCOMPLETE")
        assert f"counts {held} {kind}s but listed only {held - 1}" in data.error.message
        assert (data.counters.processed, data.counters.total) == (held - 1, held)
        assert ("gone" in data.metadata, "planToken" in data.metadata) == (False, False)
        assert world.rows(listed) == before
        # The same of a part of the list.
        query = world.run(job_type, query="id:>0").data
        assert query.error.code == "INCOMPLETE"
        world.sandbox.switch(world.account, "shopify", lists_end_after=None)
        whole = world.run(job_type).data
        assert (whole.outcome, whole.metadata["gone"], whole.counters.processed) == ("success", 0, held)


@pytest.mark.long
def test_a_resumed_pull_compares_the_records_of_all_its_attempts(world: Any, puller: Callable[[], Any]) -> None:
    held = world.shops["shopify"]["records"]["customers"]

    def pages(job_id: str) -> int:
        if world.rows("select from pg_class where oid = to_regclass('puller.inbox')") == []:
            return 0  # the worker is still making its schema
        query = "select (cursor ->> 'pages')::int as n from puller.inbox where job_id = %(job)s"
        rows = world.rows(query, job=job_id)
        return (rows[0]["n"] or 0) if rows else 0

    for ends, code in ((held - 3, "INCOMPLETE"), (None, None)):
        world.sandbox.switch(world.account, "shopify", lists_end_after=ends)
        world.sandbox.fault("shopify", world.account, "slow", seconds=0.5)
        with puller() as process:
            job_id = world.request("PULL_SHOPIFY_CUSTOMERS", page_size=5)
            world.wait_until(lambda job_id=job_id: pages(job_id) >= 3, message="the pull is under way")
            process.send_signal(signal.SIGKILL)
            process.wait()
        world.sandbox.clear_faults()
        with puller():
            data = world.finished(job_id).data
        assert data.attempt == 2
        assert (data.error and data.error.code) == code
        assert data.counters.processed == (ends or held)


class _OddShop(BaseHTTPRequestHandler):
    """A shop whose customers' pages are told by the test: cursor -> [(ids, next cursor), ...], one after the other, the
    last one again and again; counts likewise."""

    pages: dict[str, list[tuple[list[int | None], str | None]]]
    counts: list[int | None]
    endless = False

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        variables = body["variables"]
        name = re.search(r"^query (\w+)", body["query"], re.MULTILINE)
        assert name is not None
        data: dict[str, Any] = {}
        if name[1] == "CustomersCount" or variables.get("count"):
            count = self.counts.pop(0) if len(self.counts) > 1 else self.counts[0]
            data["customersCount"] = None if count is None else {"count": count}
        if name[1] == "Customers":
            ids, following = self._page(variables.get("after") or "")
            info = {"hasNextPage": following is not None, "endCursor": following}
            data["customers"] = {"nodes": [_customer(number) for number in ids], "pageInfo": info}
        answer = json.dumps({"data": data, "extensions": {"cost": COST}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _page(self, after: str) -> tuple[list[int | None], str | None]:
        if self.endless:
            return [1], str(int(after or 0) + 1)
        told = self.pages[after]
        return told.pop(0) if len(told) > 1 else told[0]

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the test's output is for the test."""


def _customer(number: int | None) -> dict[str, Any]:
    name = {} if number is None else {"id": f"gid://shopify/Customer/{number}"}
    return {**name, "firstName": "Khách", "lastName": str(number), "addressesV2": NO_NODES}


@pytest.fixture
def odd_shop(world: Any) -> Iterator[Callable[..., None]]:
    """Connect the account to a shop with these pages and counts."""
    with running_server(_OddShop) as address:

        def connect(
            pages: dict[str, list[tuple[list[int | None], str | None]]], *counts: int | None, endless: bool = False
        ) -> None:
            _OddShop.pages, _OddShop.counts, _OddShop.endless = pages, list(counts), endless
            world.store.put_connection("demo", world.account, "shopify", address, {"access_token": "shpat_0123456789"})

        yield connect


@pytest.mark.parametrize(
    ("pages", "counts", "processed", "code"),
    [
        ({"": [([1], "a")], "a": [([2], None)]}, [3], 2, "INCOMPLETE"),
        ({"": [([1], "a")], "a": [([2], None)]}, [2], 2, None),
        ({"": [([1], "a")], "a": [([2], None)]}, [1, 2], 2, None),  # one was added while the pull ran
        ({"": [([1], "a")], "a": [([2], None)]}, [3, 2], 2, None),  # one was deleted meanwhile
        ({"": [([1], "a")], "a": [([2], None)]}, [None], 2, None),  # the shop tells no count
        ({"": [([1], "a")], "a": [([2], None)]}, [3, None], 2, "INCOMPLETE"),
        ({"": [([1], "a")], "a": [([2], None), ([2, 3], None)]}, [2, 3], 3, None),  # added behind the last page
        ({"": [([1], "a")], "a": [([2], None), ([2], "b")], "b": [([3], None)]}, [3], 3, None),
        ({"": [([], None)]}, [4], 0, "INCOMPLETE"),
        ({"": [([1, 1], "a")], "a": [([1], None)]}, [2], 1, "INCOMPLETE"),  # one record three times is one
        ({"": [([1, None], None)]}, [2], 2, None),  # what has no id is there all the same
        ({"": [([1, None], None)]}, [4], 2, "INCOMPLETE"),
    ],
)
def test_the_listed_records_are_compared_with_the_count_at_the_end(
    world: Any,
    puller: Callable[[], Any],
    odd_shop: Callable[..., None],
    pages: dict[str, list[tuple[list[int | None], str | None]]],
    counts: list[int | None],
    processed: int,
    code: str | None,
) -> None:
    odd_shop({after: list(told) for after, told in pages.items()}, *counts)
    with puller():
        data = world.run("PULL_SHOPIFY_CUSTOMERS").data
    assert (data.error and data.error.code) == code
    assert data.counters.processed == processed
    assert ("gone" in data.metadata) == (code is None and all(None not in ids for ids, _ in pages[""]))


def test_a_cycle_of_cursors_ends_a_pull(world: Any, puller: Callable[[], Any], odd_shop: Callable[..., None]) -> None:
    odd_shop({"": [([1], "a")], "a": [([2], "b")], "b": [([3], "a")]}, 3)
    with puller():
        data = world.run("PULL_SHOPIFY_CUSTOMERS").data
    assert (data.outcome, data.error.category, data.error.code) == ("failure", "PLATFORM_ERROR", "REPEATED_CURSOR")
    assert "gone" not in data.metadata


def test_an_endless_list_ends_the_pull(world: Any, puller: Callable[[], Any], odd_shop: Callable[..., None]) -> None:
    odd_shop({}, 1, endless=True)
    with puller():
        data = world.run("PULL_SHOPIFY_CUSTOMERS", page_size=1).data
    assert (data.outcome, data.error.category, data.error.code) == ("failure", "PLATFORM_ERROR", "ENDLESS_LIST")
    assert data.counters.processed == 1
    assert 100 < data.metadata["pages"] < 110


class _EndlessNhanh(BaseHTTPRequestHandler):
    """A Nhanh that lists one customer for ever, behind ever new cursors."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = body["paginator"].get("next") or {"id": "0"}
        one = {"id": 1, "name": "Khách", "mobile": None, "updatedAt": 1733387520}
        paginator = {"next": {"id": str(int(asked["id"]) + 1)}}
        answer = json.dumps({"code": 1, "data": [one], "paginator": paginator}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the test's output is for the test."""


def test_a_nhanh_list_of_seen_records_only_ends_the_pull(world: Any, puller: Callable[[], Any]) -> None:
    credentials = {"app_id": "1", "business_id": "2", "access_token": "token"}
    with running_server(_EndlessNhanh) as address, puller():
        world.store.put_connection("demo", world.account, "nhanh", address, credentials)
        data = world.run("PULL_NHANH_CUSTOMERS").data
    assert (data.outcome, data.error.category, data.error.code) == ("failure", "PLATFORM_ERROR", "ENDLESS_LIST")
    assert (data.counters.processed, "gone" in data.metadata) == (1, False)


@pytest.mark.parametrize("data", ["true", '"x"', '{"5": {"id": 5}}'])
def test_data_of_another_type_ends_no_list(world: Any, puller: Callable[[], Any], data: str) -> None:
    with puller():
        world.run("PULL_NHANH_CUSTOMERS")
        body = f'{{"code": 1, "data": {data}, "paginator": {{"next": null}}}}'
        world.sandbox.fault("nhanh", world.account, "garbage", body=body)
        end = world.run("PULL_NHANH_CUSTOMERS").data
    assert (end.outcome, end.error.category, end.error.code) == ("failure", "PLATFORM_ERROR", "BAD_ENVELOPE")
    assert "gone" not in end.metadata


def test_null_data_beside_a_next_is_requested_again(world: Any, puller: Callable[[], Any]) -> None:
    held = world.shops["nhanh"]["records"]["customers"]
    body = '{"code": 1, "data": null, "paginator": {"next": {"updatedAt": "1", "id": "1"}}}'
    with puller():
        world.run("PULL_NHANH_CUSTOMERS")
        for skip in (0, 1):
            world.sandbox.fault("nhanh", world.account, "garbage", count=2, skip=skip, body=body)
            data = world.run("PULL_NHANH_CUSTOMERS", page_size=20).data
            assert (data.outcome, data.counters.processed, data.metadata["gone"]) == ("success", held, 0)
            assert data.metadata["requests"] == data.metadata["pages"] + 2
            world.sandbox.clear_faults()
